package release

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/durable"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// vault keeps files and what is known of them on disk:
//
//	period.keys             the ring
//	incoming/RANDOM/        a transfer that is being received; of no account after a kill
//	files/TRANSFER/record   JSON, replaced atomically; the truth about the transfer
//	files/TRANSFER/RANDOM   sealed bytes, named by the record; any other such file is left over and removed at start
//
// A transfer becomes real by one rename of its directory, and every later change by one rename of its record, each after an
// fsync of all that it refers to. So at any point of a kill either the old or the new state stands.
type vault struct {
	dir   string
	ring  *ring
	mu    sync.Mutex         // one change of records at a time; never held while bytes stream
	point func(point string) // a test's way to be killed between two steps; nil otherwise
	log   *slog.Logger
}

// record is the part of a transfer that is stored in clear.
type record struct {
	Version   int          `json:"version"`
	Transfer  string       `json:"transfer"`
	From      anchors.Zone `json:"from,omitzero"` // zero in the tombstone of a record that could not be read
	To        anchors.Zone `json:"to,omitzero"`
	Created   time.Time    `json:"created"`
	Erased    *time.Time   `json:"erased,omitempty"`
	Original  *blob        `json:"original,omitempty"`
	Sanitized *blob        `json:"sanitized,omitempty"`
	// Shown is what the approver is shown of these sanitized bytes, by role: it dies with them.
	Shown   map[string]*blob `json:"shown,omitempty"`
	Details *sealedJSON      `json:"details,omitempty"`
}

// blob is one stored file.
type blob struct {
	File   string  `json:"file"`
	Key    wrapped `json:"key"`
	SHA256 string  `json:"sha256"`
	Size   int64   `json:"size"`

	raw []byte // the key itself, between sealing and wrapping; a period key may rotate in between
}

// sealedJSON holds what may name residents and people: it dies with its key.
type sealedJSON struct {
	Key    wrapped `json:"key"`
	Nonce  []byte  `json:"nonce"`
	Sealed []byte  `json:"sealed"`
}

// details is what sealedJSON holds.
type details struct {
	Name        string           `json:"name"`
	Requester   string           `json:"requester"`
	Section     string           `json:"section,omitempty"`
	Attestation *verdict.Signed  `json:"attestation,omitempty"`
	Approvals   []verdict.Signed `json:"approvals,omitempty"`
}

// Roles of stored bytes, part of what seals them.
const (
	roleOriginal  = "original"
	roleSanitized = "sanitized"
	roleDetails   = "details"
	roleReport    = "report"
	rolePages     = "pages"
)

// blobs are all stored files of a transfer, by role.
func (r *record) blobs() map[string]*blob {
	all := maps.Clone(r.Shown)
	if all == nil {
		all = map[string]*blob{}
	}
	if r.Original != nil {
		all[roleOriginal] = r.Original
	}
	if r.Sanitized != nil {
		all[roleSanitized] = r.Sanitized
	}
	return all
}

var transferID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

func openVault(dir string, now time.Time, log *slog.Logger) (*vault, error) {
	for _, d := range []string{dir, filepath.Join(dir, "files"), filepath.Join(dir, "incoming")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("open the vault: %w", err)
		}
	}
	r, err := openRing(filepath.Join(dir, "period.keys"), now)
	if err != nil {
		return nil, err
	}
	v := &vault{dir: dir, ring: r, log: log}
	if err := v.recover(); err != nil {
		return nil, fmt.Errorf("open the vault: %w", err)
	}
	return v, nil
}

// recover removes what a kill left half-done and ends a rotation that had begun.
func (v *vault) recover() error {
	half, err := os.ReadDir(filepath.Join(v.dir, "incoming"))
	if err != nil {
		return err
	}
	for _, e := range half {
		if err := os.RemoveAll(filepath.Join(v.dir, "incoming", e.Name())); err != nil {
			return err
		}
	}
	ids, err := v.ids()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := v.recoverOne(id); err != nil {
			v.log.Error("a transfer is damaged and will be refused", "transfer", id, "error", err)
		}
	}
	if v.ring.rotating() {
		if err := v.rewrap(); err != nil {
			v.log.Error("the rotation of the period key is not finished", "error", err)
		}
	}
	return nil
}

func (v *vault) recoverOne(id string) error {
	if err := scrubLeft(v.recordPath(id)); err != nil {
		return err
	}
	rec, err := v.read(id)
	if err != nil {
		return err
	}
	return v.sweep(rec)
}

// sweep removes files of a transfer that its record does not name.
func (v *vault) sweep(rec record) error {
	keep := map[string]bool{"record": true}
	for _, b := range rec.blobs() {
		keep[b.File] = true
	}
	dir := filepath.Join(v.dir, "files", rec.Transfer)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	removed := false
	for _, e := range entries {
		if !keep[e.Name()] {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
			removed = true
		}
	}
	if removed {
		return durable.SyncDir(dir)
	}
	return nil
}

func (v *vault) ids() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(v.dir, "files"))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if transferID.MatchString(e.Name()) {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// get gives the record of a transfer; an erased one is still known, so that its number can't be used again.
func (v *vault) get(id string) (record, error) {
	if !transferID.MatchString(id) {
		return record{}, unknown("with that number")
	}
	rec, err := v.read(id)
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, unknown(id)
	}
	return rec, err
}

func (v *vault) read(id string) (record, error) {
	b, err := os.ReadFile(v.recordPath(id))
	if err != nil {
		return record{}, fmt.Errorf("read the record of %s: %w", id, err)
	}
	var rec record
	if err := json.Unmarshal(b, &rec); err != nil || rec.Version != 1 || rec.Transfer != id {
		return record{}, refuse(http.StatusInternalServerError, CodeDamaged, "the record of %s is damaged: %v", id, err)
	}
	return rec, nil
}

func (v *vault) recordPath(id string) string { return filepath.Join(v.dir, "files", id, "record") }

// create receives a new transfer: all of it is on disk when this returns, or nothing is.
func (v *vault) create(ctx context.Context, rec record, d details, body io.Reader, max int64) (record, error) {
	rec.Version = 1
	stage := filepath.Join(v.dir, "incoming", randomName())
	if err := os.Mkdir(stage, 0o700); err != nil {
		return record{}, fmt.Errorf("receive %s: %w", rec.Transfer, err)
	}
	fail := func(err error) (record, error) { return record{}, errors.Join(err, os.RemoveAll(stage)) }
	v.at("create: staged")
	b, err := v.seal(ctx, stage, rec.Transfer, roleOriginal, body, max)
	if err != nil {
		return fail(err)
	}
	v.at("create: sealed")

	v.mu.Lock()
	defer v.mu.Unlock()
	rec.Original = &b
	if err := v.wrap(rec.Original, sealName(rec.Transfer, roleOriginal)); err != nil {
		return fail(err)
	}
	if rec.Details, err = v.sealDetails(rec.Transfer, d); err != nil {
		return fail(err)
	}
	line, err := json.Marshal(rec)
	if err != nil {
		return fail(err)
	}
	if err := durable.Write(filepath.Join(stage, "record"), line, 0o600); err != nil {
		return fail(fmt.Errorf("receive %s: %w", rec.Transfer, err))
	}
	if err := durable.SyncDir(stage); err != nil {
		return fail(fmt.Errorf("receive %s: %w", rec.Transfer, err))
	}
	v.at("create: recorded")
	final := filepath.Join(v.dir, "files", rec.Transfer)
	if _, err := os.Lstat(final); err == nil {
		return fail(refuse(http.StatusConflict, CodeExists, "transfer %s: that number was used before", rec.Transfer))
	}
	if err := os.Rename(stage, final); err != nil {
		return fail(fmt.Errorf("receive %s: %w", rec.Transfer, err))
	}
	v.at("create: renamed")
	if err := durable.SyncDir(filepath.Join(v.dir, "files")); err != nil {
		return record{}, fmt.Errorf("receive %s: %w", rec.Transfer, err)
	}
	return rec, nil
}

// update changes the record of a transfer under the vault's lock. change may refuse.
func (v *vault) update(id string, change func(*record, *details) error) (record, details, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	rec, err := v.get(id)
	if err != nil {
		return record{}, details{}, err
	}
	if rec.Erased != nil {
		return record{}, details{}, erased(id)
	}
	d, err := v.details(rec)
	if err != nil {
		return record{}, details{}, err
	}
	if err := change(&rec, &d); err != nil {
		return record{}, details{}, err
	}
	if rec.Details, err = v.sealDetails(id, d); err != nil {
		return record{}, details{}, err
	}
	return rec, d, v.replace(rec, false)
}

// replace makes rec the truth about its transfer and removes what it does not name. Called under the lock.
func (v *vault) replace(rec record, scrub bool) error {
	line, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	v.at("update: before")
	if err := replaceFile(v.recordPath(rec.Transfer), line, scrub); err != nil {
		return fmt.Errorf("write the record of %s: %w", rec.Transfer, err)
	}
	v.at("update: after")
	if err := v.sweep(rec); err != nil {
		return fmt.Errorf("tidy %s: %w", rec.Transfer, err)
	}
	return nil
}

// stage stores bytes beside a transfer's record, which does not name them yet.
func (v *vault) stage(ctx context.Context, id, role string, body io.Reader, max int64) (blob, error) {
	dir := filepath.Join(v.dir, "incoming", randomName())
	if err := os.Mkdir(dir, 0o700); err != nil {
		return blob{}, fmt.Errorf("store %s: %w", id, err)
	}
	b, err := v.seal(ctx, dir, id, role, body, max)
	if err != nil {
		return blob{}, errors.Join(err, os.RemoveAll(dir))
	}
	b.File = filepath.Join(filepath.Base(dir), b.File)
	return b, nil
}

// adopt moves staged bytes into the transfer's directory. Called inside update, before the record names them.
func (v *vault) adopt(id, role string, b *blob) error {
	from := filepath.Join(v.dir, "incoming", b.File)
	stage := filepath.Dir(from)
	b.File = filepath.Base(b.File)
	if err := v.wrap(b, sealName(id, role)); err != nil {
		return err
	}
	if err := os.Rename(from, filepath.Join(v.dir, "files", id, b.File)); err != nil {
		return fmt.Errorf("store %s: %w", id, err)
	}
	v.at("adopt: moved")
	if err := durable.SyncDir(filepath.Join(v.dir, "files", id)); err != nil {
		return fmt.Errorf("store %s: %w", id, err)
	}
	return os.Remove(stage)
}

// drop forgets staged bytes.
func (v *vault) drop(b blob) error {
	return os.RemoveAll(filepath.Join(v.dir, "incoming", filepath.Dir(b.File)))
}

// seal writes body under a new key into a new file of dir.
func (v *vault) seal(ctx context.Context, dir, id, role string, body io.Reader, max int64) (blob, error) {
	b := blob{File: randomName(), raw: make([]byte, keySize)}
	rand.Read(b.raw)
	f, err := os.OpenFile(filepath.Join(dir, b.File), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return blob{}, fmt.Errorf("store %s: %w", id, err)
	}
	defer f.Close()
	w, err := newSealer(f, b.raw, sealName(id, role))
	if err != nil {
		return blob{}, fmt.Errorf("store %s: %w", id, err)
	}
	sum := sha256.New()
	b.Size, err = io.Copy(io.MultiWriter(w, sum), io.LimitReader(contextReader{ctx, body}, max+1))
	if err != nil {
		return blob{}, fmt.Errorf("store %s: %w", id, err)
	}
	if b.Size > max {
		return blob{}, refuse(http.StatusRequestEntityTooLarge, CodeTooLarge, "%s: over %d bytes", id, max)
	}
	b.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if err := w.Close(); err != nil {
		return blob{}, fmt.Errorf("store %s: %w", id, err)
	}
	if err := f.Sync(); err != nil {
		return blob{}, fmt.Errorf("store %s: %w", id, err)
	}
	return b, nil
}

// open reads the whole stored file once and compares its hash, and only then gives a reader from its start: no byte leaves
// of a file whose end is not what it should be. The caller closes it.
func (v *vault) open(rec record, role string) (io.ReadCloser, blob, error) {
	b := rec.blobs()[role]
	if b == nil {
		return nil, blob{}, refuse(http.StatusConflict, CodeNotSanitized, "%s has no %s bytes", rec.Transfer, role)
	}
	damaged := func(err error) error {
		return refuse(http.StatusInternalServerError, CodeDamaged, "%s, %s: %v", rec.Transfer, role, err)
	}
	key, err := v.ring.unwrap(b.Key, sealName(rec.Transfer, role))
	if err != nil {
		return nil, blob{}, damaged(err)
	}
	f, err := os.Open(filepath.Join(v.dir, "files", rec.Transfer, filepath.Base(b.File)))
	if err != nil {
		return nil, blob{}, damaged(err)
	}
	fail := func(err error) (io.ReadCloser, blob, error) { return nil, blob{}, errors.Join(damaged(err), f.Close()) }
	r, err := newOpener(f, key, sealName(rec.Transfer, role))
	if err != nil {
		return fail(err)
	}
	sum := sha256.New()
	n, err := io.Copy(sum, r)
	if err != nil {
		return fail(err)
	}
	if n != b.Size || hex.EncodeToString(sum.Sum(nil)) != b.SHA256 {
		return fail(errDamaged)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fail(err)
	}
	if r, err = newOpener(f, key, sealName(rec.Transfer, role)); err != nil {
		return fail(err)
	}
	return struct {
		io.Reader
		io.Closer
	}{r, f}, *b, nil
}

func (v *vault) sealDetails(id string, d details) (*sealedJSON, error) {
	plain, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	key := make([]byte, keySize)
	rand.Read(key)
	w, err := v.ring.wrap(key, sealName(id, roleDetails))
	if err != nil {
		return nil, err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	s := &sealedJSON{Key: w, Nonce: nonce(0, true)} // the key is used once
	s.Sealed = aead.Seal(nil, s.Nonce, plain, []byte(sealName(id, roleDetails)))
	return s, nil
}

func (v *vault) details(rec record) (details, error) {
	damaged := func(err error) (details, error) {
		return details{}, refuse(http.StatusInternalServerError, CodeDamaged, "the details of %s: %v", rec.Transfer, err)
	}
	if rec.Details == nil {
		return damaged(errDamaged)
	}
	name := sealName(rec.Transfer, roleDetails)
	key, err := v.ring.unwrap(rec.Details.Key, name)
	if err != nil {
		return damaged(err)
	}
	aead, err := newAEAD(key)
	if err != nil {
		return damaged(err)
	}
	if len(rec.Details.Nonce) != aead.NonceSize() {
		return damaged(errDamaged)
	}
	plain, err := aead.Open(nil, rec.Details.Nonce, rec.Details.Sealed, []byte(name))
	if err != nil {
		return damaged(errDamaged)
	}
	var d details
	if err := json.Unmarshal(plain, &d); err != nil {
		return damaged(err)
	}
	return d, nil
}

// erase destroys keys and bytes; a tombstone without any secret stays. What is damaged can be erased, too; of a record that can't be
// read only the number is kept. It refuses where there are more approvals than are known; known < 0 is however many.
func (v *vault) erase(id string, known int, now time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	rec, err := v.get(id)
	if hasCode(err, CodeUnknown) {
		return err
	}
	if err != nil {
		v.log.Error("a transfer is erased whose record can't be read", "transfer", id, "error", err)
		rec = record{}
	}
	if rec.Erased != nil {
		return v.sweep(rec)
	}
	if d, derr := v.details(rec); known >= 0 && err == nil && derr == nil && len(d.Approvals) > known {
		return refuse(http.StatusConflict, CodeApproved, "%s: %d approvals, of which %d are known", id, len(d.Approvals), known)
	}
	t := now.UTC()
	return v.replace(record{Version: 1, Transfer: id, From: rec.From, To: rec.To, Created: rec.Created, Erased: &t}, true)
}

// written is when the record of a transfer was last written, for one that can't be read.
func (v *vault) written(id string) (time.Time, error) {
	info, err := os.Lstat(v.recordPath(id))
	if errors.Is(err, fs.ErrNotExist) {
		info, err = os.Lstat(filepath.Dir(v.recordPath(id)))
	}
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// rotate makes a new period key, wraps every live file key with it, and overwrites the old one.
func (v *vault) rotate(now time.Time) error {
	if err := v.ring.add(now); err != nil {
		return fmt.Errorf("rotate the period key: %w", err)
	}
	v.at("rotate: added")
	return v.rewrap()
}

// rewrap finishes a rotation. A transfer that is damaged for good loses its keys with the old period key; a fault that may pass,
// such as a full disk, keeps the old key until the next attempt, after all others have been wrapped.
func (v *vault) rewrap() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	ids, err := v.ids()
	if err != nil {
		return fmt.Errorf("rotate the period key: %w", err)
	}
	var errs []error
	for _, id := range ids {
		err := v.rewrapOne(id)
		switch {
		case hasCode(err, CodeDamaged), errors.Is(err, errDamaged), errors.Is(err, fs.ErrNotExist):
			v.log.Error("a transfer is damaged; its keys are lost with this rotation", "transfer", id, "error", err)
		case err != nil:
			errs = append(errs, fmt.Errorf("rotate the period key: %s: %w", id, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := v.ring.forget(); err != nil {
		return fmt.Errorf("rotate the period key: %w", err)
	}
	return nil
}

func (v *vault) rewrapOne(id string) error {
	rec, err := v.read(id)
	if err != nil || rec.Erased != nil {
		return err
	}
	line, err := v.rewrapped(&rec)
	if err != nil {
		return err
	}
	if err := replaceFile(v.recordPath(id), line, false); err != nil {
		return err
	}
	v.at("rotate: one rewrapped")
	return nil
}

// rewrapped wraps the keys of a record with the current period key and gives the record's new line.
func (v *vault) rewrapped(rec *record) ([]byte, error) {
	for role, b := range rec.blobs() {
		if err := v.rewrapKey(&b.Key, sealName(rec.Transfer, role)); err != nil {
			return nil, err
		}
	}
	if rec.Details != nil {
		if err := v.rewrapKey(&rec.Details.Key, sealName(rec.Transfer, roleDetails)); err != nil {
			return nil, err
		}
	}
	return json.Marshal(rec)
}

// wrap wraps the key of freshly sealed bytes. Called under the lock, with the record written before it is given up, so that a
// rotation either finds the record or comes before.
func (v *vault) wrap(b *blob, name string) (err error) {
	b.Key, err = v.ring.wrap(b.raw, name)
	b.raw = nil
	return err
}

func (v *vault) rewrapKey(w *wrapped, name string) error {
	key, err := v.ring.unwrap(*w, name)
	if err != nil {
		return err
	}
	*w, err = v.ring.wrap(key, name)
	return err
}

func (v *vault) at(point string) {
	if v.point != nil {
		v.point(point)
	}
}

func hasCode(err error, code string) bool {
	var r *Refusal
	return errors.As(err, &r) && r.Code == code
}

func sealName(id, role string) string { return strings.Join([]string{"sekisho", role, id}, " ") }

func randomName() string {
	b := make([]byte, 12)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// contextReader ends a copy when its request ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

package release

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/socket"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

const passphrase = "関所の合言葉 tanaka"

// One hash for all tests: 600,000 iterations are slow on purpose.
var tanakaHash = sync.OnceValues(func() (string, error) { return HashPassphrase(passphrase) })

// house is a release server on a real socket, with settings owned by root and callers that are the real users.
type house struct {
	t        *testing.T
	dir      string
	sock     string
	server   *Server
	verifier ed25519.PrivateKey
	now      time.Time
	mu       sync.Mutex
}

const townRoutes = `version: 1
routes:
  - {from: lgwan, to: internet, approvals: [section-head], formats: [txt, csv, png, jpeg, docx, xlsx, pptx], max_size: 100000, keep_days: 7}
  - {from: internet, to: lgwan, approvals: [], formats: [txt], max_size: 1000, keep_days: 3, decision: "CISO 2026-04-01 第12号"}
  - {from: my-number, to: lgwan, approvals: [section-head, it-section-head], formats: [txt], max_size: 1000, keep_days: 3}
`

func newHouse(t *testing.T) *house {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes root-owned settings and calls as other users: run it as root")
	}
	hash, err := tanakaHash()
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: other users must reach the socket, and nobody but root may write above the settings.
	dir, err := os.MkdirTemp("/var/tmp", "sekisho-release-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, dir: dir, sock: filepath.Join(dir, "api.sock"), verifier: priv, now: time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC)}
	h.write("routes.yaml", townRoutes)
	h.write("approvers.yaml", fmt.Sprintf(`version: 1
approvers:
  - {person: tanaka, section: zeimu, role: section-head, zones: [lgwan, my-number], hash: %q}
  - {person: suzuki, section: zeimu, role: section-head, zones: [internet], hash: %q}
  - {person: sato, section: joho, role: it-section-head, zones: [my-number], hash: %q}
  - {person: kato, section: soumu, role: section-head, zones: [lgwan], hash: %q}
  - {person: ito, section: zeimu, role: section-head, zones: [lgwan], hash: %q}
`, hash, hash, hash, hash, hash))
	h.write("verifier.pub", base64.StdEncoding.EncodeToString(pub)+"\n")
	h.server, err = New(Options{State: filepath.Join(dir, "state"), Paths: h.paths(), Now: h.clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	l, err := socket.Listen(h.sock)
	if err != nil {
		t.Fatal(err)
	}
	srv := socket.Server(h.server.Handler())
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return h
}

func (h *house) paths() Paths {
	return Paths{Routes: filepath.Join(h.dir, "routes.yaml"), Approvers: filepath.Join(h.dir, "approvers.yaml"), Verifier: filepath.Join(h.dir, "verifier.pub"),
		Isolation: filepath.Join(h.dir, "isolation", "state.json")}
}

func (h *house) clock() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.now }

func (h *house) later(d time.Duration) { h.mu.Lock(); defer h.mu.Unlock(); h.now = h.now.Add(d) }

func (h *house) write(name, s string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(s), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// as gives a client whose connections the kernel reports as that user's.
func (h *house) as(name string) *Client { h.t.Helper(); return Over(clientAs(h.t, h.sock, name)) }

func clientAs(t *testing.T, sock, name string) *http.Client {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("%v; hack/bootstrap makes the users", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		runtime.LockOSThread() // SO_PEERCRED is the effective user of the thread that connects
		defer runtime.UnlockOSThread()
		const same = ^uintptr(0)
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, same, uintptr(uid), same); e != 0 {
			return nil, e
		}
		c, err := net.Dial("unix", sock)
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, same, 0, same); e != 0 {
			return nil, e
		}
		return c, err
	}}}
}

func (h *house) control() *Client              { return h.as(place.ControlUser) }
func (h *house) broker() *Client               { return h.as(place.BrokerUser) }
func (h *house) portal(z anchors.Zone) *Client { return h.as(place.PortalUser(z)) }

func sum(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }

// send brings a file as far as received.
func (h *house) send(id string, from, to anchors.Zone, body []byte) {
	h.t.Helper()
	d, err := h.control().StoreOriginal(h.t.Context(), NewOriginal{Transfer: id, Name: "住民.txt", Requester: "yamada", Section: "zeimu", From: from, To: to}, bytes.NewReader(body))
	if err != nil || d.SHA256 != sum(body) || d.Size != int64(len(body)) {
		h.t.Fatalf("store %s: %+v %v", id, d, err)
	}
}

// attestation is what an honest verifier says.
func (h *house) attestation(id string, from, to anchors.Zone, original, rebuilt []byte) verdict.Attestation {
	return verdict.Attestation{Transfer: id, OriginalSHA256: sum(original), SanitizedSHA256: sum(rebuilt), Size: int64(len(rebuilt)), Name: "住民.txt",
		From: from.String(), To: to.String(), PolicyRevision: h.revision(), Verifier: "test", Time: h.clock()}
}

// revision is what an honest broker reads from the routes file.
func (h *house) revision() string {
	b, err := os.ReadFile(h.paths().Routes)
	if err != nil {
		h.t.Fatal(err)
	}
	return sum(b)
}

func (h *house) sign(a verdict.Attestation) verdict.Signed {
	h.t.Helper()
	s, err := verdict.Sign(h.verifier, verdict.KindAttestation, a)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func (h *house) sanitize(id string, from, to anchors.Zone, original, rebuilt []byte) {
	h.t.Helper()
	if err := h.broker().StoreSanitized(h.t.Context(), id, h.sign(h.attestation(id, from, to, original, rebuilt)), rebuilt); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) approve(z anchors.Zone, id, person string, rebuilt []byte) (verdict.Signed, error) {
	return h.portal(z).Approve(h.t.Context(), ApprovalRequest{Transfer: id, SanitizedSHA256: sum(rebuilt), Person: person, Passphrase: passphrase, Reason: "業務上必要"})
}

func (h *house) released(z anchors.Zone, id string) ([]byte, string, error) {
	f, err := h.portal(z).Released(h.t.Context(), id)
	if err != nil {
		return nil, "", err
	}
	defer f.Body.Close()
	b, err := io.ReadAll(f.Body)
	return b, f.Disposition, err
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

var original, rebuilt = []byte("original\x00with macro"), bytes.Repeat([]byte("rebuilt "), 9000)

func TestOneFileFromZoneToZone(t *testing.T) {
	h := newHouse(t)
	h.send("t1", anchors.LGWAN, anchors.Internet, original)
	f, err := h.broker().Original(t.Context(), "t1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(f.Body)
	f.Body.Close()
	if err != nil || !bytes.Equal(got, original) || f.Original.Name != "住民.txt" || f.Original.Requester != "yamada" || f.Original.MaxSize != 100000 {
		t.Fatalf("original: %q %+v %v", got, f.Original, err)
	}
	h.sanitize("t1", anchors.LGWAN, anchors.Internet, original, rebuilt)
	_, _, err = h.released(anchors.Internet, "t1")
	wantCode(t, err, CodeApprovalMissing)

	see, err := h.portal(anchors.LGWAN).Sanitized(t.Context(), "t1")
	if err != nil || see.SHA256 != sum(rebuilt) {
		t.Fatalf("the approver sees %s, %v", see.SHA256, err)
	}
	see.Body.Close()
	signed, err := h.approve(anchors.LGWAN, "t1", "tanaka", rebuilt)
	if err != nil {
		t.Fatal(err)
	}
	var a verdict.Approval
	if err := signed.Open(h.server.PublicKey(), verdict.KindApproval, &a); err != nil || a.Person != "tanaka" || a.Section != "zeimu" || a.SanitizedSHA256 != sum(rebuilt) || a.PolicyRevision != h.revision() || a.Reason != "業務上必要" {
		t.Errorf("approval %+v %v", a, err)
	}
	if again, err := h.approve(anchors.LGWAN, "t1", "tanaka", rebuilt); err != nil || !bytes.Equal(again.Signature, signed.Signature) {
		t.Errorf("the same approval again: %v", err)
	}
	out, disposition, err := h.released(anchors.Internet, "t1")
	if err != nil || !bytes.Equal(out, rebuilt) {
		t.Fatalf("released %d bytes, %v", len(out), err)
	}
	if !strings.Contains(disposition, "filename*=utf-8''%E4%BD%8F%E6%B0%91.txt") {
		t.Errorf("name on the answer: %s", disposition)
	}
	st, err := h.control().State(t.Context(), "t1")
	if err != nil || st.State != "releasable" || len(st.Approvals) != 1 {
		t.Errorf("state %+v %v", st, err)
	}
	wantCode(t, h.control().Erase(t.Context(), "t1", 0), CodeApproved) // one approval that nobody has written down
	if _, _, err := h.released(anchors.Internet, "t1"); err != nil {
		t.Errorf("after it was not erased: %v", err)
	}
	if err := h.control().Erase(t.Context(), "t1", 1); err != nil {
		t.Fatal(err)
	}
	_, _, err = h.released(anchors.Internet, "t1")
	wantCode(t, err, CodeErased)
	_, err = h.control().StoreOriginal(t.Context(), NewOriginal{Transfer: "t1", Name: "a.txt", Requester: "yamada", Section: "zeimu", From: anchors.LGWAN, To: anchors.Internet}, bytes.NewReader(original))
	wantCode(t, err, CodeExists)
}

// TestNothingComesOut tries every way to get bytes that were not approved as they must be. Each line is one lie.
func TestNothingComesOut(t *testing.T) {
	lg, in, mn := anchors.LGWAN, anchors.Internet, anchors.MyNumber
	evil := []byte("not what the verifier saw")
	for _, c := range []struct {
		name string
		try  func(h *house) error
		code string
	}{
		{"release of the original, never sanitized", func(h *house) error {
			_, _, err := h.released(in, "t")
			return err
		}, CodeNotSanitized},
		{"attestation signed with another key", func(h *house) error {
			_, key, _ := ed25519.GenerateKey(rand.Reader)
			s, _ := verdict.Sign(key, verdict.KindAttestation, h.attestation("t", lg, in, original, rebuilt))
			return h.broker().StoreSanitized(h.t.Context(), "t", s, rebuilt)
		}, CodeAttestation},
		{"attestation of another kind", func(h *house) error {
			s, _ := verdict.Sign(h.verifier, verdict.KindApproval, h.attestation("t", lg, in, original, rebuilt))
			return h.broker().StoreSanitized(h.t.Context(), "t", s, rebuilt)
		}, CodeAttestation},
		{"attestation for other bytes", func(h *house) error {
			return h.broker().StoreSanitized(h.t.Context(), "t", h.sign(h.attestation("t", lg, in, original, rebuilt)), evil)
		}, CodeAttestation},
		{"attestation for another original", func(h *house) error {
			return h.broker().StoreSanitized(h.t.Context(), "t", h.sign(h.attestation("t", lg, in, evil, rebuilt)), rebuilt)
		}, CodeAttestation},
		{"attestation for another transfer", func(h *house) error {
			return h.broker().StoreSanitized(h.t.Context(), "t", h.sign(h.attestation("t2", lg, in, original, rebuilt)), rebuilt)
		}, CodeAttestation},
		{"attestation for another route", func(h *house) error {
			return h.broker().StoreSanitized(h.t.Context(), "t", h.sign(h.attestation("t", in, lg, original, rebuilt)), rebuilt)
		}, CodeAttestation},
		{"a kind that the route does not admit", func(h *house) error {
			a := h.attestation("t", lg, in, original, rebuilt)
			a.Name = "a.exe"
			return h.broker().StoreSanitized(h.t.Context(), "t", h.sign(a), rebuilt)
		}, CodeFormat},
		{"a rebuilt file over the limit", func(h *house) error {
			big := make([]byte, 100_001)
			return h.broker().StoreSanitized(h.t.Context(), "t", h.sign(h.attestation("t", lg, in, original, big)), big)
		}, CodeTooLarge},
		{"control stores its own rebuilt file", func(h *house) error {
			return h.control().StoreSanitized(h.t.Context(), "t", h.sign(h.attestation("t", lg, in, original, rebuilt)), rebuilt)
		}, CodeRole},
		{"control reads the original", func(h *house) error { _, err := h.control().Original(h.t.Context(), "t"); return err }, CodeRole},
		{"control reads the rebuilt file", func(h *house) error { _, err := h.control().Sanitized(h.t.Context(), "t"); return err }, CodeRole},
		{"control releases", func(h *house) error { _, err := h.control().Released(h.t.Context(), "t"); return err }, CodeRole},
		{"control approves", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			_, err := h.control().Approve(h.t.Context(), ApprovalRequest{Transfer: "t", SanitizedSHA256: sum(rebuilt), Person: "tanaka", Passphrase: passphrase})
			return err
		}, CodeRole},
		{"the broker approves", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			_, err := h.broker().Approve(h.t.Context(), ApprovalRequest{Transfer: "t", SanitizedSHA256: sum(rebuilt), Person: "tanaka", Passphrase: passphrase})
			return err
		}, CodeRole},
		{"root releases", func(h *house) error { _, err := h.as("root").Released(h.t.Context(), "t"); return err }, CodeRole},
		{"a stranger asks", func(h *house) error { _, err := h.as("nobody").Released(h.t.Context(), "t"); return err }, CodeRole},
		{"a portal stores an original", func(h *house) error {
			_, err := h.portal(lg).StoreOriginal(h.t.Context(), NewOriginal{Transfer: "x", Name: "a.txt", Requester: "y", Section: "zeimu", From: lg, To: in}, bytes.NewReader(original))
			return err
		}, CodeRole},
		{"the sending zone's portal downloads", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			if _, err := h.approve(lg, "t", "tanaka", rebuilt); err != nil {
				return err
			}
			_, _, err := h.released(lg, "t")
			return err
		}, CodeZone},
		{"a third zone's portal downloads", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			if _, err := h.approve(lg, "t", "tanaka", rebuilt); err != nil {
				return err
			}
			_, _, err := h.released(mn, "t")
			return err
		}, CodeZone},
		{"the destination's portal looks before approval", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			_, err := h.portal(in).Sanitized(h.t.Context(), "t")
			return err
		}, CodeZone},
		{"approval in the destination zone", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			_, err := h.approve(in, "t", "suzuki", rebuilt)
			return err
		}, CodeZone},
		{"no approval", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			_, _, err := h.released(in, "t")
			return err
		}, CodeApprovalMissing},
		{"approval by the requester", func(h *house) error {
			_, err := h.control().StoreOriginal(h.t.Context(), NewOriginal{Transfer: "own", Name: "a.txt", Requester: "tanaka", Section: "zeimu", From: lg, To: in}, bytes.NewReader(original))
			if err != nil {
				return err
			}
			h.sanitize("own", lg, in, original, rebuilt)
			_, err = h.approve(lg, "own", "tanaka", rebuilt)
			return err
		}, CodeOwnRequest},
		{"approval by another section's head", func(h *house) error {
			_, err := h.control().StoreOriginal(h.t.Context(), NewOriginal{Transfer: "sec", Name: "a.txt", Requester: "yamada", Section: "zeimu", From: lg, To: in}, bytes.NewReader(original))
			if err != nil {
				return err
			}
			h.sanitize("sec", lg, in, original, rebuilt)
			_, err = h.approve(lg, "sec", "kato", rebuilt)
			return err
		}, CodeNotSectionMember},
		{"a request of no section where a section head decides", func(h *house) error {
			_, err := h.control().StoreOriginal(h.t.Context(), NewOriginal{Transfer: "sec", Name: "a.txt", Requester: "yamada", From: lg, To: in}, bytes.NewReader(original))
			return err
		}, CodeSection},
		{"a request of a blank section where a section head decides", func(h *house) error {
			_, err := h.control().StoreOriginal(h.t.Context(), NewOriginal{Transfer: "sec", Name: "a.txt", Requester: "yamada", Section: " \t", From: lg, To: in}, bytes.NewReader(original))
			return err
		}, CodeSection},
		{"approval of a stored request of no section", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			if _, _, err := h.server.vault.update("t", func(_ *record, d *details) error { d.Section = ""; return nil }); err != nil {
				return err
			}
			_, err := h.approve(lg, "t", "tanaka", rebuilt)
			return err
		}, CodeNotSectionMember},
		{"approval of other bytes", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			_, err := h.approve(lg, "t", "tanaka", evil)
			return err
		}, CodeHashMismatch},
		{"approval before there is anything", func(h *house) error {
			_, err := h.approve(lg, "t", "tanaka", rebuilt)
			return err
		}, CodeNotSanitized},
		{"approval by somebody of another zone", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			_, err := h.approve(lg, "t", "suzuki", rebuilt)
			return err
		}, CodePassphrase},
		{"approval by an invented person", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			_, err := h.approve(lg, "t", "mallory", rebuilt)
			return err
		}, CodePassphrase},
		{"wrong passphrase", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			_, err := h.portal(lg).Approve(h.t.Context(), ApprovalRequest{Transfer: "t", SanitizedSHA256: sum(rebuilt), Person: "tanaka", Passphrase: "guess guess"})
			return err
		}, CodePassphrase},
		{"other bytes after the approval", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			if _, err := h.approve(lg, "t", "tanaka", rebuilt); err != nil {
				return err
			}
			return h.broker().StoreSanitized(h.t.Context(), "t", h.sign(h.attestation("t", lg, in, original, evil)), evil)
		}, CodeFixed},
		{"approval carried over to other bytes on disk", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			if _, err := h.approve(lg, "t", "tanaka", rebuilt); err != nil {
				return err
			}
			// The disk's contents are changed behind the daemon's back: another attested file takes the approved one's place.
			_, _, err := h.server.vault.update("t", func(rec *record, d *details) error {
				s := h.sign(h.attestation("t", lg, in, original, evil))
				rec.Sanitized.SHA256, rec.Sanitized.Size, d.Attestation = sum(evil), int64(len(evil)), &s
				return nil
			})
			if err != nil {
				return err
			}
			_, _, err = h.released(in, "t")
			return err
		}, CodeApprovalMissing},
		{"attestation under a revision that control made up", func(h *house) error {
			a := h.attestation("t", lg, in, original, rebuilt)
			a.PolicyRevision = "42"
			return h.broker().StoreSanitized(h.t.Context(), "t", h.sign(a), rebuilt)
		}, CodeRevision},
		{"attestation under no revision", func(h *house) error {
			a := h.attestation("t", lg, in, original, rebuilt)
			a.PolicyRevision = ""
			return h.broker().StoreSanitized(h.t.Context(), "t", h.sign(a), rebuilt)
		}, CodeRevision},
		{"approval of what was checked under other routes", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			h.write("routes.yaml", townRoutes+"# changed\n")
			_, err := h.approve(lg, "t", "tanaka", rebuilt)
			return err
		}, CodeRevision},
		{"a look at what was checked under other routes", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			h.write("routes.yaml", townRoutes+"# changed\n")
			_, err := h.portal(lg).Sanitized(h.t.Context(), "t")
			return err
		}, CodeRevision},
		{"release of what was approved under other routes", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			if _, err := h.approve(lg, "t", "tanaka", rebuilt); err != nil {
				return err
			}
			h.write("routes.yaml", townRoutes+"# changed\n")
			_, _, err := h.released(in, "t")
			return err
		}, CodeRevision},
		{"an approval of other routes beside a check of the present ones", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			s, err := verdict.Sign(h.server.key, verdict.KindApproval, verdict.Approval{Transfer: "t", SanitizedSHA256: sum(rebuilt), From: "lgwan", To: "internet",
				PolicyRevision: sum([]byte("old routes")), Person: "tanaka", Section: "zeimu", Role: RoleSectionHead})
			if err != nil {
				return err
			}
			if _, _, err := h.server.vault.update("t", func(_ *record, d *details) error { d.Approvals = append(d.Approvals, s); return nil }); err != nil {
				return err
			}
			_, _, err = h.released(in, "t")
			return err
		}, CodeApprovalMissing},
		{"forged approval on disk", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			_, key, _ := ed25519.GenerateKey(rand.Reader)
			s, _ := verdict.Sign(key, verdict.KindApproval, verdict.Approval{Transfer: "t", SanitizedSHA256: sum(rebuilt), From: "lgwan", To: "internet", PolicyRevision: h.revision(), Person: "tanaka", Role: RoleSectionHead})
			if _, _, err := h.server.vault.update("t", func(_ *record, d *details) error { d.Approvals = append(d.Approvals, s); return nil }); err != nil {
				return err
			}
			_, _, err := h.released(in, "t")
			return err
		}, CodeApprovalMissing},
		{"damaged bytes on disk", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			if _, err := h.approve(lg, "t", "tanaka", rebuilt); err != nil {
				return err
			}
			rec, err := h.server.vault.get("t")
			if err != nil {
				return err
			}
			f, err := os.OpenFile(filepath.Join(h.dir, "state/files/t", rec.Sanitized.File), os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte{0}, 100); err != nil {
				return err
			}
			_, _, err = h.released(in, "t")
			return err
		}, CodeDamaged},
		{"the route was taken away", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			if _, err := h.approve(lg, "t", "tanaka", rebuilt); err != nil {
				return err
			}
			h.write("routes.yaml", "version: 1\nroutes: []\n")
			_, _, err := h.released(in, "t")
			return err
		}, CodeNoRoute},
		{"the route now demands more", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			if _, err := h.approve(lg, "t", "tanaka", rebuilt); err != nil {
				return err
			}
			h.write("routes.yaml", strings.Replace(townRoutes, "[section-head]", "[section-head, it-section-head]", 1))
			h.sanitize("t", lg, in, original, rebuilt)
			if _, err := h.approve(lg, "t", "tanaka", rebuilt); err != nil {
				return err
			}
			_, _, err := h.released(in, "t")
			return err
		}, CodeApprovalMissing},
		{"the verifier's key was changed", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			if _, err := h.approve(lg, "t", "tanaka", rebuilt); err != nil {
				return err
			}
			pub, _, _ := ed25519.GenerateKey(rand.Reader)
			h.write("verifier.pub", base64.StdEncoding.EncodeToString(pub))
			_, _, err := h.released(in, "t")
			return err
		}, CodeAttestation},
		{"settings that others can write", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			if _, err := h.approve(lg, "t", "tanaka", rebuilt); err != nil {
				return err
			}
			if err := os.Chmod(filepath.Join(h.dir, "approvers.yaml"), 0o666); err != nil {
				return err
			}
			_, _, err := h.released(in, "t")
			return err
		}, CodeSetting},
		{"expired", func(h *house) error {
			h.sanitize("t", lg, in, original, rebuilt)
			if _, err := h.approve(lg, "t", "tanaka", rebuilt); err != nil {
				return err
			}
			h.later(7 * 24 * time.Hour)
			_, _, err := h.released(in, "t")
			return err
		}, CodeExpired},
		{"My Number to internet", func(h *house) error {
			_, err := h.control().StoreOriginal(h.t.Context(), NewOriginal{Transfer: "f1", Name: "a.txt", Requester: "y", Section: "zeimu", From: mn, To: in}, bytes.NewReader(original))
			return err
		}, CodeForbiddenPair},
		{"internet to My Number", func(h *house) error {
			_, err := h.control().StoreOriginal(h.t.Context(), NewOriginal{Transfer: "f1", Name: "a.txt", Requester: "y", Section: "zeimu", From: in, To: mn}, bytes.NewReader(original))
			return err
		}, CodeForbiddenPair},
		{"out of the management zone", func(h *house) error {
			_, err := h.control().StoreOriginal(h.t.Context(), NewOriginal{Transfer: "f1", Name: "a.txt", Requester: "y", Section: "zeimu", From: anchors.Management, To: in}, bytes.NewReader(original))
			return err
		}, CodeForbiddenPair},
		{"no such route", func(h *house) error {
			_, err := h.control().StoreOriginal(h.t.Context(), NewOriginal{Transfer: "x", Name: "a.txt", Requester: "y", Section: "zeimu", From: lg, To: mn}, bytes.NewReader(original))
			return err
		}, CodeNoRoute},
		{"an original over the limit", func(h *house) error {
			_, err := h.control().StoreOriginal(h.t.Context(), NewOriginal{Transfer: "x", Name: "a.txt", Requester: "y", Section: "zeimu", From: in, To: lg}, io.MultiReader(bytes.NewReader(make([]byte, 1001))))
			return err
		}, CodeTooLarge},
		{"the same number twice", func(h *house) error {
			_, err := h.control().StoreOriginal(h.t.Context(), NewOriginal{Transfer: "t", Name: "a.txt", Requester: "y", Section: "zeimu", From: lg, To: in}, bytes.NewReader(evil))
			return err
		}, CodeExists},
		{"a number that is a path", func(h *house) error {
			_, err := h.control().StoreOriginal(h.t.Context(), NewOriginal{Transfer: "../x", Name: "a.txt", Requester: "y", Section: "zeimu", From: lg, To: in}, bytes.NewReader(evil))
			return err
		}, CodeRequest},
		{"one approval where two are demanded", func(h *house) error {
			small := []byte("small")
			h.send("two", mn, lg, original)
			h.sanitize("two", mn, lg, original, small)
			if _, err := h.approve(mn, "two", "tanaka", small); err != nil {
				return err
			}
			_, _, err := h.released(lg, "two")
			return err
		}, CodeApprovalMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			h.send("t", lg, in, original)
			wantCode(t, c.try(h), c.code)
		})
	}
}

// TestStatement: the approver's portal learns from release itself what it is about, and nobody else does.
func TestStatement(t *testing.T) {
	h, lg := newHouse(t), anchors.LGWAN
	_, err := h.control().StoreOriginal(t.Context(), NewOriginal{Transfer: "t", Name: "original.docm", Requester: "yamada", Section: "zeimu", From: lg, To: anchors.Internet}, bytes.NewReader(original))
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.portal(lg).Statement(t.Context(), "t")
	wantCode(t, err, CodeNotSanitized)
	h.sanitize("t", lg, anchors.Internet, original, rebuilt)
	got, err := h.portal(lg).Statement(t.Context(), "t")
	want := Statement{Transfer: "t", Name: "住民.txt", Size: int64(len(rebuilt)), SanitizedSHA256: sum(rebuilt), From: lg, To: anchors.Internet, Requester: "yamada", Section: "zeimu"}
	if err != nil || got != want {
		t.Errorf("got %+v %v, want %+v", got, err, want)
	}
	for who, code := range map[string]string{
		place.ControlUser: CodeRole, place.BrokerUser: CodeRole, "root": CodeRole, "nobody": CodeRole,
		place.PortalUser(anchors.Internet): CodeZone, place.PortalUser(anchors.MyNumber): CodeZone, place.PortalUser(anchors.Management): CodeZone,
	} {
		got, err := h.as(who).Statement(t.Context(), "t")
		wantCode(t, err, code)
		if got != (Statement{}) {
			t.Errorf("%s learns %+v", who, got)
		}
	}
	_, err = h.portal(lg).Statement(t.Context(), "other")
	wantCode(t, err, CodeUnknown)
}

func TestTwoStages(t *testing.T) {
	h, small := newHouse(t), []byte("small")
	h.send("two", anchors.MyNumber, anchors.LGWAN, original)
	h.sanitize("two", anchors.MyNumber, anchors.LGWAN, original, small)
	for _, p := range []string{"sato", "tanaka"} {
		if _, err := h.approve(anchors.MyNumber, "two", p, small); err != nil {
			t.Fatal(err)
		}
	}
	if b, _, err := h.released(anchors.LGWAN, "two"); err != nil || !bytes.Equal(b, small) {
		t.Errorf("%q %v", b, err)
	}
}

// TestChangedRoutesAskForANewCheckAndApproval: after a change of the routes file the old approval is void, and a new check and a new
// approval, of the same or of other bytes, bring the file out.
func TestChangedRoutesAskForANewCheckAndApproval(t *testing.T) {
	for name, next := range map[string][]byte{"the same bytes": rebuilt, "other bytes": []byte("rebuilt under the new rules")} {
		h, lg, in := newHouse(t), anchors.LGWAN, anchors.Internet
		h.send("t", lg, in, original)
		h.sanitize("t", lg, in, original, rebuilt)
		if _, err := h.approve(lg, "t", "tanaka", rebuilt); err != nil {
			t.Fatal(err)
		}
		h.write("routes.yaml", townRoutes+"# changed\n")
		if st, err := h.control().State(t.Context(), "t"); err != nil || st.State != "refused" || st.Code != CodeRevision {
			t.Errorf("%s: %+v %v", name, st, err)
		}
		h.sanitize("t", lg, in, original, next)
		_, _, err := h.released(in, "t")
		wantCode(t, err, CodeApprovalMissing)
		if st, err := h.control().State(t.Context(), "t"); err != nil || len(st.Approvals) != 0 {
			t.Errorf("%s: the void approval is still told: %+v %v", name, st, err)
		}
		if _, err := h.approve(lg, "t", "tanaka", next); err != nil {
			t.Fatal(err)
		}
		if b, _, err := h.released(in, "t"); err != nil || !bytes.Equal(b, next) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}

func TestInboundWithTheOfficersDecisionNeedsNoApproval(t *testing.T) {
	h, small := newHouse(t), []byte("small")
	_, err := h.control().StoreOriginal(t.Context(), NewOriginal{Transfer: "in", Name: "住民.txt", Requester: "yamada", From: anchors.Internet, To: anchors.LGWAN}, bytes.NewReader(original))
	if err != nil { // nobody decides, so no section is needed
		t.Fatal(err)
	}
	_, _, err = h.released(anchors.LGWAN, "in")
	wantCode(t, err, CodeNotSanitized) // F3 all the same
	h.sanitize("in", anchors.Internet, anchors.LGWAN, original, small)
	if b, _, err := h.released(anchors.LGWAN, "in"); err != nil || !bytes.Equal(b, small) {
		t.Errorf("%q %v", b, err)
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	h := newHouse(t)
	h.send("t", anchors.LGWAN, anchors.Internet, original)
	h.sanitize("t", anchors.LGWAN, anchors.Internet, original, rebuilt)
	guess := func(p string) error {
		_, err := h.portal(anchors.LGWAN).Approve(t.Context(), ApprovalRequest{Transfer: "t", SanitizedSHA256: sum(rebuilt), Person: "tanaka", Passphrase: p})
		return err
	}
	for range freeTries {
		wantCode(t, guess("wrong wrong"), CodePassphrase)
	}
	err := guess(passphrase)
	wantCode(t, err, CodeThrottled)
	var r *Refusal
	if errors.As(err, &r) && (r.Wait < 1 || r.Wait > 30) {
		t.Errorf("wait %d s", r.Wait)
	}
	if _, err := h.approve(anchors.LGWAN, "t", "ito", rebuilt); err != nil {
		t.Errorf("another person is not slowed down: %v", err)
	}
	h.later(31 * time.Second)
	if err := guess(passphrase); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

// TestOneZoneCantLockApproversOutOfAnother: wrong passphrases that come from one zone's portal, for a person who is there or for
// nobody, close no door in another zone.
func TestOneZoneCantLockApproversOutOfAnother(t *testing.T) {
	h, small := newHouse(t), []byte("small")
	h.send("lg", anchors.LGWAN, anchors.Internet, original)
	h.sanitize("lg", anchors.LGWAN, anchors.Internet, original, rebuilt)
	h.send("mn", anchors.MyNumber, anchors.LGWAN, original)
	h.sanitize("mn", anchors.MyNumber, anchors.LGWAN, original, small)
	for _, who := range []string{"tanaka", "nobody"} {
		for range freeTries + 1 {
			h.portal(anchors.MyNumber).Approve(t.Context(), ApprovalRequest{Transfer: "mn", SanitizedSHA256: sum(small), Person: who, Passphrase: "wrong wrong"})
		}
		_, err := h.approve(anchors.MyNumber, "mn", who, small)
		wantCode(t, err, CodeThrottled)
	}
	if _, err := h.approve(anchors.LGWAN, "lg", "tanaka", rebuilt); err != nil {
		t.Errorf("locked out of the other zone: %v", err)
	}
	_, err := h.approve(anchors.LGWAN, "lg", "nobody", rebuilt)
	wantCode(t, err, CodePassphrase)
}

func TestExpiredFilesAreErased(t *testing.T) {
	h := newHouse(t)
	h.send("old", anchors.LGWAN, anchors.Internet, original)
	h.later(6 * 24 * time.Hour)
	h.send("new", anchors.LGWAN, anchors.Internet, original)
	h.later(25 * time.Hour)
	if err := h.server.Tend(t.Context(), 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{"old": "erased", "new": "received"} {
		if st, err := h.control().State(t.Context(), id); err != nil || st.State != want {
			t.Errorf("%s: %+v %v, want %s", id, st, err, want)
		}
	}
	left, err := os.ReadDir(filepath.Join(h.dir, "state/files/old"))
	if err != nil || len(left) != 1 {
		t.Errorf("left of the erased file: %v %v", left, err)
	}
}

// TestNothingIsReadableOnDisk looks for planted markers, for names and for contents, in every file of the vault.
func TestNothingIsReadableOnDisk(t *testing.T) {
	h := newHouse(t)
	marker := []byte("MARKER-3141592653-MARKER")
	body := bytes.Repeat(marker, 100)
	_, err := h.control().StoreOriginal(t.Context(), NewOriginal{Transfer: "t", Name: string(marker) + ".txt", Requester: string(marker), Section: "zeimu", From: anchors.LGWAN, To: anchors.Internet}, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	a := h.attestation("t", anchors.LGWAN, anchors.Internet, body, body)
	a.Name = string(marker) + ".txt"
	if err := h.broker().StoreSanitized(t.Context(), "t", h.sign(a), body); err != nil {
		t.Fatal(err)
	}
	if _, err := h.approve(anchors.LGWAN, "t", "tanaka", body); err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(filepath.Join(h.dir, "state"), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if bytes.Contains(b, marker) || bytes.Contains(b, []byte(base64.StdEncoding.EncodeToString(marker)[:24])) || bytes.Contains(b, []byte("tanaka")) {
			t.Errorf("%s holds a marker", path)
		}
		return err
	})
	if err != nil || files < 4 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestAttachmentNames(t *testing.T) {
	for in, want := range map[string]string{
		"a.txt":              `attachment; filename=a.txt`,
		`../../etc/passwd`:   `attachment; filename=passwd`,
		`C:\x\y.txt`:         `attachment; filename=y.txt`,
		"a\r\nSet-Cookie: b": `attachment; filename="a__Set-Cookie: b"`,
		"x\u202Etxt.exe":     `attachment; filename=x_txt.exe`,
		"":                   `attachment; filename=_`,
		"髙\U000E0100.txt":    `attachment; filename*=utf-8''%E9%AB%99%F3%A0%84%80.txt`,
	} {
		if got := attachment(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestSentences(t *testing.T) {
	for _, c := range []string{CodeRole, CodeRequest, CodeUnknown, CodeExists, CodeForbiddenPair, CodeNoRoute, CodeFormat, CodeTooLarge, CodeAttestation, CodeNotSanitized, CodeNotShown, CodeFixed,
		CodeApprovalMissing, CodeOwnRequest, CodePassphrase, CodeThrottled, CodeHashMismatch, CodeExpired, CodeApproved, CodeErased, CodeDamaged, CodeNotSectionMember, CodeSetting, CodeZone, CodeSection, CodeRevision, CodeError} {
		if ja, en := Sentences.Sentence(c, "ja"), Sentences.Sentence(c, "en"); ja == c || en == c || ja == en {
			t.Errorf("%s: %q, %q", c, ja, en)
		}
	}
}

// Package antivirus asks ClamAV about bytes.
//
// Problem: what a scanner says is only as good as what it looked at, and clamd answers OK to what lies beyond its limits, to
// whatever its signatures are too old for, and to nobody at all. Mechanism: every file, and every file in a file, is sent by itself
// (INSTREAM, clamd(8)) to a clamd whose configuration this package writes, so that a limit that was reached is an alarm; the age of
// the signatures is asked with each file. Life cycle: a Daemon holds no connection; one call is one connection. Invariant (F4):
// only the answer "OK" by a clamd whose signatures are young enough lets a file go on. Silence, slowness, nonsense, a limit or an
// unknown age are refusals.
package antivirus

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Daemon is a clamd that listens on a Unix socket.
type Daemon struct {
	Socket string
	Oldest time.Duration    // signatures that are older block; 0 is DefaultOldest
	Limit  int64            // bytes of one stream; 0 is MaxStream, what Configuration sets
	Now    func() time.Time // nil is time.Now
	Start  time.Duration    // how long files wait for it to listen (Absence); 0 is StartPatience, less is not at all
	// Patience lets a caller change how long a file of so many bytes may take; nil is Scaled.
	Patience func(size int64) time.Duration
}

// DefaultOldest is when signatures are too old to say anything: alarms come much earlier.
const DefaultOldest = 30 * 24 * time.Hour

// MaxStream is the longest file that is sent, in bytes: clamd itself takes nothing over 2 GB.
const MaxStream = 1 << 30

// Scaled is how long a file of so many bytes may take: always longer than clamd takes to give up by itself (maxScan), which it does not
// when its caller has gone, and long enough for it to load new signatures in between.
func Scaled(size int64) time.Duration {
	return maxScan + 30*time.Second + time.Duration(size>>20)*time.Second
}

// Engine is what clamd says of itself.
type Engine struct {
	Version    string    // "ClamAV 1.4.3"
	Signatures int       // number of the daily database
	Made       time.Time // when that was made; zero: it doesn't say
}

func (e Engine) String() string {
	if e.Made.IsZero() {
		return e.Version
	}
	return fmt.Sprintf("%s, signatures %d of %s", e.Version, e.Signatures, e.Made.UTC().Format("2006-01-02 15:04 UTC"))
}

// Codes of refusals.
const (
	Found  = "scan.found"  // a signature matches
	Limit  = "scan.limit"  // it was not looked at to its end
	Stale  = "scan.stale"  // the signatures are too old, or of unknown age
	Silent = "scan.silent" // no answer, a late one, or one that is none
	None   = "scan.none"   // reported, and no refusal: nobody was there to be asked
)

// Refusal is why a file may not go on. Detail is bounded and printable: names of signatures come from a database, other words
// from a daemon that read a stranger's file.
type Refusal struct {
	Code, Detail string
	cause        error
}

func (r *Refusal) Error() string { return strings.TrimSpace(r.Code + " " + r.Detail) }

func (r *Refusal) Unwrap() error { return r.cause }

func refuse(code, format string, args ...any) error {
	return &Refusal{Code: code, Detail: printable(fmt.Sprintf(format, args...))}
}

// Scan has the bytes looked at. It answers the engine that did, or a *Refusal.
func (d *Daemon) Scan(ctx context.Context, body []byte) (Engine, error) {
	patience := Scaled
	if d.Patience != nil {
		patience = d.Patience
	}
	limit := d.Limit
	if limit == 0 {
		limit = MaxStream
	}
	if int64(len(body)) > limit {
		return Engine{}, refuse(Limit, "%d bytes, limit %d", len(body), limit)
	}
	ctx, cancel := context.WithTimeout(ctx, patience(int64(len(body))))
	defer cancel()
	e, err := d.Engine(ctx)
	if err != nil {
		return Engine{}, err
	}
	if err := d.young(e); err != nil {
		return e, err
	}
	answer, err := d.ask(ctx, "INSTREAM", body)
	if err != nil {
		return e, err
	}
	return e, understood(answer)
}

// Engine asks for versions, of program and signatures.
func (d *Daemon) Engine(ctx context.Context) (Engine, error) {
	answer, err := d.ask(ctx, "VERSION", nil)
	if err != nil {
		return Engine{}, err
	}
	return engine(answer)
}

// engine reads the answer to VERSION: "ClamAV 1.4.3/27000/Sun Nov 22 09:00:00 2026", or the program alone.
func engine(answer string) (Engine, error) {
	parts := strings.SplitN(answer, "/", 3)
	e := Engine{Version: printable(parts[0])}
	if !strings.HasPrefix(e.Version, "ClamAV ") {
		return Engine{}, refuse(Silent, "its version is %q", answer)
	}
	if len(parts) == 3 {
		n, err1 := strconv.Atoi(parts[1])
		made, err2 := time.ParseInLocation(time.ANSIC, parts[2], time.Local) // it writes its local time
		if err := errors.Join(err1, err2); err != nil {
			return Engine{}, refuse(Silent, "its version is %q", answer)
		}
		e.Signatures, e.Made = n, made
	}
	return e, nil
}

// Age of the engine's signatures.
func (d *Daemon) Age(e Engine) time.Duration {
	now := time.Now
	if d.Now != nil {
		now = d.Now
	}
	return now().Sub(e.Made)
}

func (d *Daemon) young(e Engine) error {
	oldest := d.Oldest
	if oldest == 0 {
		oldest = DefaultOldest
	}
	if e.Made.IsZero() {
		return refuse(Stale, "%s has no daily signatures", e.Version)
	}
	if d.Age(e) < -24*time.Hour {
		return refuse(Stale, "%s: that day has not come; look at the clock", e)
	}
	if age := d.Age(e); age > oldest {
		return refuse(Stale, "%s: %d days old, at most %d", e, int(age/(24*time.Hour)), int(oldest/(24*time.Hour)))
	}
	return nil
}

// understood reads the answer to a stream. Only OK is OK.
func understood(answer string) error {
	of, verdict, _ := strings.Cut(answer, ": ")
	name, found := strings.CutSuffix(verdict, " FOUND")
	switch {
	case of == "stream" && verdict == "OK":
		return nil
	case of == "stream" && found && strings.HasPrefix(name, "Heuristics.Limits.Exceeded"):
		return refuse(Limit, "%s", name)
	case of == "stream" && found:
		return refuse(Found, "%s", name)
	case strings.HasPrefix(answer, "INSTREAM size limit exceeded"):
		return refuse(Limit, "%s", answer)
	}
	return refuse(Silent, "it answers %q", answer)
}

// maxAnswer bounds a line of clamd's, in bytes.
const maxAnswer = 4096

// ask sends one command, and a stream with it when there is one, and reads the answer. clamd answers a stream that is too long before
// it has read all of it, so that the answer counts and not the broken pipe.
func (d *Daemon) ask(ctx context.Context, command string, stream []byte) (string, error) {
	var dial net.Dialer
	c, err := dial.DialContext(ctx, "unix", d.Socket)
	if err != nil {
		no := &Refusal{Code: Silent, Detail: printable(fmt.Sprintf("clamd: %v", err))}
		if nobody(err) {
			no.cause = errAway
		}
		return "", no
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	sent := make(chan error, 1)
	go func() { sent <- send(c, command, stream) }()
	line, err := bufio.NewReader(io.LimitReader(c, maxAnswer)).ReadString(0)
	if err == nil {
		return strings.TrimSuffix(line, "\x00"), nil
	}
	c.Close()
	if ctx.Err() != nil {
		return "", refuse(Silent, "no answer in time")
	}
	return "", refuse(Silent, "clamd: %v", errors.Join(err, <-sent))
}

// chunk of a stream, in bytes.
const chunk = 256 << 10

func send(w io.Writer, command string, stream []byte) error {
	if _, err := io.WriteString(w, "z"+command+"\x00"); err != nil || stream == nil {
		return err
	}
	var size [4]byte
	for len(stream) > 0 {
		n := min(len(stream), chunk)
		binary.BigEndian.PutUint32(size[:], uint32(n))
		if _, err := w.Write(size[:]); err != nil {
			return err
		}
		if _, err := w.Write(stream[:n]); err != nil {
			return err
		}
		stream = stream[n:]
	}
	_, err := w.Write(make([]byte, 4))
	return err
}

// printable bounds text to a line of 200 printable characters.
func printable(s string) string {
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if len(out) == 200 {
			break
		}
		if !strconv.IsPrint(r) {
			r = '·'
		}
		out = append(out, r)
	}
	return string(out)
}

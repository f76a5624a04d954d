package antivirus

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func code(err error) string {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return fmt.Sprint(err)
}

// A daemon that was taken over by what it read lets nothing pass by nonsense.
func TestOnlyOKIsOK(t *testing.T) {
	for answer, want := range map[string]string{
		"stream: OK":             "<nil>",
		"stream: Win.Test FOUND": Found,
		"stream: OK FOUND":       Found,
		"stream: Heuristics.Limits.Exceeded.X FOUND": Limit,
		"INSTREAM size limit exceeded. ERROR":        Limit,
		"stream: Can't allocate memory ERROR":        Silent,
		"OK":                                         Silent,
		"stream: OK\nstream: OK":                     Silent,
		"/tmp/x: OK":                                 Silent,
		"":                                           Silent,
	} {
		if err := understood(answer); code(err) != want {
			t.Errorf("%q: got %v, want %s", answer, err, want)
		}
	}
	for _, lines := range []string{"", "stream: OK", strings.Repeat("x", 10_000) + "\x00", "ClamAV 1/x/y\x00", "Other 1\x00"} {
		socket := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Write([]byte(lines))
				c.Close()
			}
		}()
		d := &Daemon{Socket: socket}
		if _, err := d.Scan(t.Context(), []byte("x")); code(err) != Silent {
			t.Errorf("%.40q: got %v, want %s", lines, err, Silent)
		}
		l.Close()
	}
}

func TestEveryCodeHasASentence(t *testing.T) {
	var m map[string]map[string]string
	if err := json.Unmarshal(codesJSON, &m); err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{Found, Limit, Stale, Silent, None} {
		if len(m[c]["ja"]) < 20 || len(m[c]["en"]) < 20 {
			t.Errorf("code %s has no sentence", c)
		}
	}
	if len(m) != 5 {
		t.Errorf("%d codes, want 5", len(m))
	}
}

// FuzzAnswer: whatever a daemon says, only "stream: OK" lets a file pass, and what is told of it is short and printable.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"stream: OK", "stream: Win.Test FOUND", "stream: Heuristics.Limits.Exceeded.X FOUND", "ClamAV 1.4.3/27000/Sun Nov 22 09:00:00 2026", "ClamAV 1.4.3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		err := understood(answer)
		if (err == nil) != (answer == "stream: OK") {
			t.Fatalf("%q: %v", answer, err)
		}
		e, no := engine(answer)
		for _, s := range []string{fmt.Sprint(err), fmt.Sprint(no), e.String()} {
			if len(s) > 1000 || strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
				t.Fatalf("%q", s)
			}
		}
	})
}

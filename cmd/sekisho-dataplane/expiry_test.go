package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// A record that ends while control is dead ends all the same, at its minute: what `until` says in the document that control
// committed is in the tables. A connection that is open ends with it, and control does not bring it back when it comes again.
// The clock is the real one: with the dataplane alive it cannot be set.
func TestRecordEndsWhileControlIsDead(t *testing.T) {
	h := newHall(t)
	handleTCP(t, "lg-asp", eltax, func(c net.Conn) {
		io.WriteString(c, "hello")
		io.Copy(c, c)
	})
	serveTCP(t, "in-web", "203.0.113.11:443")
	netlab.Until(t, 20*time.Second, "the first revision in force", func() bool { return h.status(t).Revision != "" })

	end := time.Now().Add(70 * time.Second).Truncate(time.Minute) // in ten seconds or more
	minute := end.In(time.FixedZone("JST", 9*60*60)).Format("2006-01-02 15:04")
	file := filepath.Join(t.TempDir(), "town.yaml")
	text := strings.Replace(h.must(t, "show"), "until: 2036-03-31", `until: "`+minute+`"`, 1) // eltax-submit, the first of the records
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h.must(t, "commit", file)
	expect(t, true, "mn-pc1", eltax)
	expect(t, true, "in-pc1", "203.0.113.11:443")
	h.kill(t)
	open := dial(t, "mn-pc1", eltax)
	for time.Until(end) > time.Second {
		if !echoes(open) && time.Until(end) > 0 {
			t.Fatalf("the open connection stopped %s before its record's end", time.Until(end))
		}
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(time.Until(end.Add(300 * time.Millisecond)))
	if echoes(open) {
		t.Error("the open connection goes on after its record's end")
	}
	expect(t, false, "mn-pc1", eltax)
	expect(t, true, "in-pc1", "203.0.113.11:443")

	h.control(t)
	time.Sleep(5 * time.Second) // twice as long as control waits before it looks at what is in force
	expect(t, false, "mn-pc1", eltax)
	expect(t, true, "in-pc1", "203.0.113.11:443")
}

// dial opens a connection that stays open, and reads what the server says first.
func dial(t *testing.T, ns, addr string) net.Conn {
	t.Helper()
	var c net.Conn
	netlab.Do(t, ns, func() (err error) {
		c, err = net.DialTimeout("tcp", addr, 5*time.Second)
		return err
	})
	t.Cleanup(func() { c.Close() })
	if _, err := io.ReadFull(c, make([]byte, len("hello"))); err != nil {
		t.Fatal(err)
	}
	return c
}

// echoes tells whether a byte comes back.
func echoes(c net.Conn) bool {
	c.SetDeadline(time.Now().Add(300 * time.Millisecond))
	_, err1 := c.Write([]byte{1})
	_, err2 := io.ReadFull(c, make([]byte, 1))
	return err1 == nil && err2 == nil
}

package antivirus

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// speaks is a clamd that calls everything OK.
func speaks(t *testing.T, socket string) net.Listener {
	t.Helper()
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
			go func() {
				defer c.Close()
				b := make([]byte, 4096)
				n, _ := c.Read(b)
				answer := "stream: OK\x00"
				if n > 2 && b[1] == 'V' {
					answer = "ClamAV 1.4.3/27823/" + time.Now().Format(time.ANSIC) + "\x00"
				}
				c.Write([]byte(answer))
				for ; n > 0; n, _ = c.Read(b) { //nolint:revive // until the caller has read and gone
				}
			}()
		}
	}()
	return l
}

func TestAFileWaitsForAClamdThatStarts(t *testing.T) {
	d := &Daemon{Socket: filepath.Join(t.TempDir(), "s"), Start: time.Minute}
	var a Absence
	var l net.Listener
	told := 0
	_, err := a.Scan(t.Context(), d, []byte("x"), func() { told++; l = speaks(t, d.Socket) })
	if err != nil || told != 1 {
		t.Fatalf("told %d times, %v", told, err)
	}
	if _, err := a.Scan(t.Context(), d, []byte("x"), func() { t.Error("waits for one that is there") }); err != nil {
		t.Error(err)
	}
	if l.Close(); !a.since.IsZero() {
		t.Error("it is back, and counted as away")
	}
}

// The files together wait once, not each as long; what was long ago is forgotten.
func TestFilesDoNotWaitForEver(t *testing.T) {
	d := &Daemon{Socket: filepath.Join(t.TempDir(), "s"), Start: time.Second}
	var a Absence
	waited := func() (told int, took time.Duration) {
		t.Helper()
		begin := time.Now()
		if _, err := a.Scan(t.Context(), d, []byte("x"), func() { told++ }); code(err) != Silent {
			t.Errorf("got %v, want %s", err, Silent)
		}
		return told, time.Since(begin)
	}
	if told, took := waited(); told != 1 || took < time.Second {
		t.Errorf("the first: told %d times, took %s", told, took)
	}
	if told, _ := waited(); told != 0 {
		t.Error("the second waits, too")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Scan(gone, d, []byte("x"), func() {}); err == nil {
		t.Error("a scan that nobody waits for finds nothing")
	}
	if told, _ := waited(); told != 0 {
		t.Error("after one who gave up, the next waits again")
	}
	a.last, a.since = a.last.Add(-time.Hour), a.since.Add(-time.Hour)
	if told, _ := waited(); told != 1 {
		t.Error("after an hour in which nobody asked it is not waited for")
	}
}

func TestOnlyAnAbsentClamdIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	mute, err := net.Listen("unix", filepath.Join(dir, "mute"))
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	go func() {
		for {
			c, err := mute.Accept()
			if err != nil {
				return
			}
			c.Close() // as one that the file broke does
		}
	}()
	for _, socket := range []string{"mute", "mute/below"} { // the last is no socket and will be none
		d := &Daemon{Socket: filepath.Join(dir, socket)}
		if _, err := new(Absence).Scan(t.Context(), d, []byte("x"), func() { t.Errorf("%s is waited for", socket) }); code(err) != Silent {
			t.Errorf("%s: got %v, want %s", socket, err, Silent)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	d := &Daemon{Socket: filepath.Join(dir, "none")}
	if _, err := new(Absence).Scan(ctx, d, []byte("x"), cancel); code(err) != Silent { // whoever gives up ends the wait
		t.Errorf("got %v, want %s", err, Silent)
	}
}

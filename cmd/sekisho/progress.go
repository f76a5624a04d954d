package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/sandbox"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// maxPasswords bounds a file of passwords, in bytes.
const maxPasswords = verdict.MaxKeys * (verdict.MaxKey + 2)

// readPasswords reads those that --passwords names; they are no argument, because everybody on the machine can read those.
func readPasswords(path string, stdin io.Reader) ([]string, error) {
	from := stdin
	switch path {
	case "":
		return nil, nil
	case "-":
	default:
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read the passwords: %w", err)
		}
		defer f.Close()
		from = f
	}
	b, err := io.ReadAll(io.LimitReader(from, maxPasswords+1))
	if err == nil && len(b) > maxPasswords {
		err = fmt.Errorf("over %d bytes; want one password a line, at most %d", maxPasswords, verdict.MaxKeys)
	}
	if err != nil {
		return nil, fmt.Errorf("read the passwords from %s: %w", path, err)
	}
	keys, err := verdict.ParseKeys(string(b))
	if err != nil {
		return nil, fmt.Errorf("read the passwords from %s: %w; want one a line", path, err)
	}
	return keys, nil
}

// watched shows on a terminal how far a file is, in one line; done takes the line away.
func watched(ctx context.Context, path string, stderr io.Writer) (under context.Context, done func()) {
	f, ok := stderr.(*os.File)
	if !ok {
		return ctx, func() {}
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return ctx, func() {}
	}
	return sandbox.Watch(ctx, progress(path, f)), func() { fmt.Fprint(f, erase) }
}

// erase has a terminal begin its line anew.
const erase = "\r\x1b[K"

// progress writes each stage over the one before.
func progress(path string, w io.Writer) func(verdict.Stage) {
	var mu sync.Mutex
	return func(s verdict.Stage) {
		mu.Lock()
		defer mu.Unlock()
		at := s.Name
		if s.Of > 0 {
			at = fmt.Sprintf("%s %d/%d", s.Name, s.Done, s.Of)
		}
		fmt.Fprintf(w, "%s%q: %s", erase, path, at) // quoted: a name may hold what a terminal obeys
	}
}

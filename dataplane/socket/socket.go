// Package socket is HTTP over Unix sockets between the daemons, with the caller known by the kernel's word (SO_PEERCRED).
package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

type peerKey struct{}

// Peer is who called: the process that made the connection, by the kernel's word.
type Peer struct {
	UID, GID uint32
	PID      int32
	Conn     uint64 // no two connections of a server have the same
}

// PeerOf tells who made a request that came through Serve.
func PeerOf(r *http.Request) (Peer, bool) {
	p, ok := r.Context().Value(peerKey{}).(Peer)
	return p, ok
}

// Listen binds path (directory made with mode 0711, socket mode 0666, stale socket removed). Admission is by peer user.
func Listen(path string) (*net.UnixListener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen on %s: remove the old socket: %w", path, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		l.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return l, nil
}

// Server serves h; every request's context carries its Peer. Callers set timeouts on the result.
func Server(h http.Handler) *http.Server {
	var conns atomic.Uint64
	return &http.Server{Handler: h, ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		if p, err := peer(c); err == nil {
			p.Conn = conns.Add(1)
			return context.WithValue(ctx, peerKey{}, p)
		}
		return ctx
	}}
}

// Admit wraps h so that only root and the named users reach it; all others get 403. A user that does not exist admits nobody.
func Admit(h http.Handler, users ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := PeerOf(r)
		if ok && (p.UID == 0 || slices.ContainsFunc(users, p.Is)) {
			h.ServeHTTP(w, r)
			return
		}
		http.Error(w, "this socket is not for user "+strconv.Itoa(int(p.UID)), http.StatusForbidden)
	})
}

// Is tells whether the peer is the named user.
func (p Peer) Is(name string) bool {
	u, err := user.Lookup(name)
	return err == nil && u.Uid == strconv.FormatUint(uint64(p.UID), 10)
}

// Client speaks HTTP to the socket at path; use any host in the URL ("http://gate/status").
func Client(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
}

func peer(c net.Conn) (Peer, error) {
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return Peer{}, fmt.Errorf("peer of %T: not a Unix socket", c)
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return Peer{}, err
	}
	if credErr != nil {
		return Peer{}, credErr
	}
	return Peer{UID: cred.Uid, GID: cred.Gid, PID: cred.Pid}, nil
}

// Command sekisho-release holds the files between the zones and gives them out on proof only; see package release.
//
//	sekisho-release prepare --name N   as root, once: directories, signing key, its public half
//	sekisho-release --name N           as user sekisho-release: serve
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/socket"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "sekisho-release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stderr io.Writer) error {
	prepare := len(args) > 0 && args[0] == "prepare"
	if prepare {
		args = args[1:]
	}
	flags := flag.NewFlagSet("sekisho-release", flag.ContinueOnError)
	flags.SetOutput(stderr)
	name := flags.String("name", "sekisho", "name of the gate on this machine")
	rotate := flags.Duration("rotate", 24*time.Hour, "age at which the period key is replaced and the old one destroyed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	i := place.Instance(*name)
	if prepare {
		return release.Prepare(i)
	}
	return serve(ctx, i, *rotate, slog.New(slog.NewTextHandler(stderr, nil)))
}

func serve(ctx context.Context, i place.Instance, rotate time.Duration, log *slog.Logger) error {
	unlock, err := lock(filepath.Join(i.StateOf("release"), "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	s, err := release.New(release.Options{
		State: i.StateOf("release"),
		Paths: release.Paths{Routes: i.Routes(), Approvers: i.Approvers(), Verifier: i.VerifierKey(), Isolation: i.Isolation()},
		Log:   log,
	})
	if err != nil {
		return err
	}
	l, err := socket.Listen(i.ReleaseSocket())
	if err != nil {
		return err
	}
	srv := socket.Server(s.Handler())
	srv.ReadHeaderTimeout = 10 * time.Second
	srv.IdleTimeout = 2 * time.Minute
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	log.Info("serving", "socket", i.ReleaseSocket())

	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if err := s.Tend(ctx, rotate); err != nil && ctx.Err() == nil {
			log.Error("tending the files", "error", err)
		}
		select {
		case <-tick.C:
		case err := <-failed:
			return fmt.Errorf("serve: %w", err)
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			if err := srv.Shutdown(end); err != nil && !errors.Is(err, http.ErrServerClosed) {
				return errors.Join(fmt.Errorf("stop: %w", err), srv.Close())
			}
			return nil
		}
	}
}

// lock keeps a second daemon from the same files.
func lock(path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the vault: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the vault %s: another sekisho-release serves it: %w", path, err), f.Close())
	}
	return func() { f.Close() }, nil
}

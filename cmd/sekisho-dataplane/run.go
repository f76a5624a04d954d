package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// runGate is the daemon. It runs as root inside the gate's network namespace.
func runGate(ctx context.Context, args []string, stderr io.Writer) int {
	instance, ok := instanceFlag("run", args, stderr)
	if !ok {
		return 2
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	if err := serve(ctx, instance, log); err != nil {
		fmt.Fprintln(stderr, "sekisho-dataplane:", err)
		return 1
	}
	return 0
}

func instanceFlag(name string, args []string, stderr io.Writer) (place.Instance, bool) {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	n := fs.String("name", "", "`name` of the gate instance")
	if fs.Parse(args) != nil || *n == "" || fs.NArg() > 0 {
		fmt.Fprintf(stderr, "usage: sekisho-dataplane %s --name NAME\n", name)
		return "", false
	}
	return place.Instance(*n), true
}

// serve answers on the instance's socket until ctx ends.
func serve(ctx context.Context, instance place.Instance, log *slog.Logger) error {
	mux := http.NewServeMux()
	l, err := socket.Listen(instance.DataplaneSocket())
	if err != nil {
		return err
	}
	s := socket.Server(socket.Admit(mux, place.ControlUser))
	s.ReadHeaderTimeout = 10 * time.Second
	context.AfterFunc(ctx, func() { s.Close() })
	log.Info("serving", "socket", instance.DataplaneSocket())
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", instance.DataplaneSocket(), err)
	}
	return nil
}

// runRemove takes away what run made.
func runRemove(ctx context.Context, args []string, stderr io.Writer) int {
	if _, ok := instanceFlag("remove", args, stderr); !ok {
		return 2
	}
	return 0
}

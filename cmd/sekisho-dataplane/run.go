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

	"github.com/sekisho/sekisho/dataplane/gate"
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

// serve holds the gate and answers on the instance's socket until ctx ends.
func serve(ctx context.Context, instance place.Instance, log *slog.Logger) error {
	if err := gate.Outside(instance); err != nil {
		return err
	}
	g, err := gate.Open(ctx, instance, log)
	if err != nil {
		return err
	}
	defer g.Close()
	l, err := socket.Listen(instance.DataplaneSocket())
	if err != nil {
		return err
	}
	s := socket.Server(socket.Admit(g.Handler(), place.ControlUser))
	s.ReadHeaderTimeout = 10 * time.Second
	s.IdleTimeout = time.Minute
	ctx, stop := context.WithCancel(ctx)
	running := make(chan struct{})
	go func() {
		defer close(running)
		g.Run(ctx)
	}()
	context.AfterFunc(ctx, func() { s.Close() })
	log.Info("serving", "socket", instance.DataplaneSocket())
	err = s.Serve(l)
	stop()
	<-running
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", instance.DataplaneSocket(), err)
	}
	return nil
}

// runRemove takes away what run made. Keys and the accepted generation stay.
func runRemove(_ context.Context, args []string, stderr io.Writer) int {
	instance, ok := instanceFlag("remove", args, stderr)
	if !ok {
		return 2
	}
	if err := gate.Remove(instance, slog.New(slog.NewTextHandler(stderr, nil))); err != nil {
		fmt.Fprintln(stderr, "sekisho-dataplane:", err)
		return 1
	}
	return 0
}

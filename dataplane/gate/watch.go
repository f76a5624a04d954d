package gate

import (
	"context"
	"log/slog"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/sekisho/sekisho/dataplane/backstop"
)

// calm is the shortest time between two rounds of settling that changes outside asked for: whoever makes links bounce all
// the time keeps the gate busy a tenth of the time at most.
const calm = 100 * time.Millisecond

// changes tells, until ctx ends, that links or rules of this network namespace changed: a port that bounced, a driver that reset
// (and turned offloads on again), a device that came, went or was renamed, rules that somebody touched. Several changes may
// make one message. What is missed (the kernel drops messages when they are too many) is found by the timer.
func changes(ctx context.Context, log *slog.Logger) <-chan struct{} {
	out := make(chan struct{}, 1)
	tell := func() {
		select {
		case out <- struct{}{}:
		default: // one is waiting already
		}
	}
	go listen(ctx, log, "links", func() error { return linkChanges(ctx, tell) })
	go listen(ctx, log, "rules", func() error { return backstop.Changes(ctx, tell) })
	return out
}

// listen runs one source of messages again when it fails.
func listen(ctx context.Context, log *slog.Logger, what string, run func() error) {
	for ctx.Err() == nil {
		if err := run(); err != nil && ctx.Err() == nil {
			log.Warn("listen for changes", "of", what, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func linkChanges(ctx context.Context, tell func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	updates := make(chan netlink.LinkUpdate, 64)
	failed := make(chan error, 1)
	err := netlink.LinkSubscribeWithOptions(updates, ctx.Done(), netlink.LinkSubscribeOptions{ErrorCallback: func(err error) {
		select {
		case failed <- err:
		default:
		}
	}})
	if err != nil {
		return err
	}
	tell() // about what changed while nobody listened
	for range updates {
		tell()
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

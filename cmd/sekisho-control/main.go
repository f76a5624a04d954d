// Command sekisho-control decides, remembers and shows: configuration, people, transfers, audit, monitoring.
//
// Problem: all of this is large and speaks to browsers, so it is the part that will be taken over first. Mechanism: it runs
// without any right, listens on Unix sockets only, one for each zone's portal and one for root, and reaches the network,
// files and packets through daemons that check it. Life cycle: root runs `sekisho-control prepare` before each start, since the
// directory of the sockets does not survive a reboot; then, as its own user, it opens log and store, takes up what a stop interrupted, hands
// its revision to the dataplane, serves; on SIGTERM it ends the requests under way first. Invariant: a request's zone is
// that of the socket it came in by, and whatever was answered is on disk.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/sekisho/sekisho/controlplane/office"
	"github.com/sekisho/sekisho/dataplane/place"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stderr io.Writer) int {
	prepare := len(args) > 0 && args[0] == "prepare"
	if prepare {
		args = args[1:]
	}
	fs := flag.NewFlagSet("sekisho-control", flag.ContinueOnError)
	fs.SetOutput(stderr)
	name := fs.String("name", "", "`name` of the gate instance")
	if fs.Parse(args) != nil || *name == "" || fs.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: sekisho-control [prepare] --name NAME   prepare: as root, before each start, make the directory of the sockets")
		return 2
	}
	if prepare {
		if err := office.Prepare(place.Instance(*name)); err != nil {
			fmt.Fprintln(stderr, "sekisho-control:", err)
			return 1
		}
		return 0
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	if err := serve(ctx, place.Instance(*name), log); err != nil {
		fmt.Fprintln(stderr, "sekisho-control:", err)
		return 1
	}
	return 0
}

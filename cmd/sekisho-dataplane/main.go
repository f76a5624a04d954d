// Command sekisho-dataplane is the privileged daemon: packets, tunnels, bandwidth and backstop of one gate.
//
// Problem: something must hold the rights to change the network, and whatever holds them must not be talked into joining two
// zones. Mechanism: a small program with one verb that matters, "here is a whole generation", which it compares with the
// root-owned anchors before a single object changes. Life cycle: `run` re-opens what is pinned, installs the backstop, applies
// the last accepted generation again and then serves its Unix socket; ending it changes nothing for a packet. Invariant: it
// reads no file from users and speaks no HTTP to a network.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/sekisho/sekisho/dataplane/tunnel"
)

// command is one sub-command; run returns the exit code.
type command struct {
	name, usage string
	run         func(ctx context.Context, args []string, stderr io.Writer) int
}

func commands() []command {
	return []command{
		{"run", "run --name NAME                guard the ports of this network namespace", runGate},
		{tunnel.ChildCommand, "wireguard                      (started by run) one WireGuard device, without rights", runChild},
		{"region", "region --config FILE           the far end of a gate's tunnels; region key, region check, region --unit", runRegion},
		{"preshared", "preshared --name NAME export|import PEER   a peer's pre-shared key, to standard output or from standard input", runPreshared},
		{"remove", "remove --name NAME             detach, unpin and delete everything that run made", runRemove},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	code := dispatch(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// dispatch runs the sub-command that args name. Exit code 2 means wrong usage.
func dispatch(ctx context.Context, args []string, stderr io.Writer) int {
	if len(args) > 0 {
		for _, c := range commands() {
			if c.name == args[0] {
				return c.run(ctx, args[1:], stderr)
			}
		}
		fmt.Fprintf(stderr, "sekisho-dataplane: no sub-command %q\n", args[0])
	}
	fmt.Fprintln(stderr, "usage of sekisho-dataplane:")
	for _, c := range commands() {
		fmt.Fprintln(stderr, "  sekisho-dataplane "+c.usage)
	}
	return 2
}

func runChild(ctx context.Context, args []string, stderr io.Writer) int {
	return tunnel.Child(ctx, stderr)
}

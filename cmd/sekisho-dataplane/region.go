package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"

	"github.com/sekisho/sekisho/dataplane/tunnel"
)

// runRegion is the far end of a tunnel. It says "region is up" on stderr when it is, and ends on SIGTERM.
func runRegion(ctx context.Context, args []string, stderr io.Writer) int {
	fs := flag.NewFlagSet("region", flag.ContinueOnError)
	fs.SetOutput(stderr)
	file := fs.String("config", "", "YAML `file`: device, private-key, listen, mtu, addresses, routes, echo, gate {public-key, endpoint, allowed}")
	if fs.Parse(args) != nil || *file == "" || fs.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: sekisho-dataplane region --config FILE")
		return 2
	}
	c, err := tunnel.ReadRegion(*file)
	if err == nil {
		err = tunnel.Region(ctx, c, slog.New(slog.NewTextHandler(stderr, nil)), nil)
	}
	if err != nil {
		fmt.Fprintln(stderr, "sekisho-dataplane:", err)
		return 1
	}
	return 0
}

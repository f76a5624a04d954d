package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/sekisho/sekisho/dataplane/tunnel/region"
)

// regionUnit is the systemd unit of a far end on a small virtual machine.
//
//go:embed region.service
var regionUnit string

// runRegion is the far end of the gate's tunnels. It says "region is up" on stderr when it is, reads its file again on SIGHUP and
// ends on SIGTERM.
func runRegion(ctx context.Context, args []string, stderr io.Writer) int {
	verb := "run"
	if len(args) > 0 && slices.Contains([]string{"run", "key", "check"}, args[0]) {
		verb, args = args[0], args[1:]
	}
	fs := flag.NewFlagSet("region", flag.ContinueOnError)
	fs.SetOutput(stderr)
	file := fs.String("config", "", "YAML `file`: version 1, devices [{device, private-key-file, listen, mtu, gate {public-key, endpoint, allowed, preshared}}], addresses, routes, echo, state")
	unit := fs.Bool("unit", false, "print a systemd unit and end")
	err := fs.Parse(args)
	if err == nil && *unit {
		fmt.Print(regionUnit)
		return 0
	}
	if err != nil || *file == "" || fs.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: sekisho-dataplane region [run|key|check] --config FILE | --unit")
		return 2
	}
	switch verb {
	case "run":
		again := make(chan os.Signal, 1)
		signal.Notify(again, syscall.SIGHUP)
		err = region.Run(ctx, *file, region.Options{Log: slog.New(slog.NewTextHandler(stderr, nil)), Stderr: stderr, Again: again})
	default:
		err = tellRegion(*file, verb == "key")
	}
	if err != nil {
		fmt.Fprintln(stderr, "sekisho-dataplane:", err)
		return 1
	}
	return 0
}

// tellRegion checks a far end's file; with keys it makes those that are missing and prints the public ones.
func tellRegion(path string, keys bool) error {
	f, err := region.Read(path)
	if err != nil {
		return err
	}
	if !keys {
		fmt.Printf("%s: %d devices, %d addresses, %d routes\n", path, len(f.Devices), len(f.Addresses), len(f.Routes))
		return nil
	}
	public, err := f.PublicKeys()
	if err != nil {
		return err
	}
	for _, d := range slices.Sorted(maps.Keys(public)) {
		fmt.Println(d, public[d])
	}
	return nil
}

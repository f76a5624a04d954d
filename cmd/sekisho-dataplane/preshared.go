package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel"
)

// runPreshared hands a pre-shared key to a peer that cannot be told of it inside the tunnel, or takes one from there. Only root at
// the box can: the daemon shows keys to nobody.
func runPreshared(ctx context.Context, args []string, stderr io.Writer) int {
	return preshared(args, os.Stdin, os.Stdout, stderr)
}

func preshared(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("preshared", flag.ContinueOnError)
	f.SetOutput(stderr)
	name := f.String("name", "", "`name` of the gate instance")
	if f.Parse(args) != nil || *name == "" || f.NArg() != 2 {
		fmt.Fprintln(stderr, "usage: sekisho-dataplane preshared --name NAME export|import PEER")
		return 2
	}
	vault, peer := tunnel.KeyFolder(place.Instance(*name).StateOf("dataplane")), f.Arg(1)
	var err error
	switch f.Arg(0) {
	case "export":
		var text string
		if text, err = tunnel.ExportPreshared(vault, peer); err == nil {
			_, err = fmt.Fprintln(stdout, text)
		}
	case "import":
		var b []byte
		if b, err = io.ReadAll(io.LimitReader(stdin, 1000)); err == nil {
			err = tunnel.ImportPreshared(vault, peer, string(b))
		}
	default:
		err = fmt.Errorf("%q: want export or import", f.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(stderr, "sekisho-dataplane preshared:", err)
		return 1
	}
	return 0
}

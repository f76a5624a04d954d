package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/socket"
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
	instance, peer := place.Instance(*name), f.Arg(1)
	vault := tunnel.KeyFolder(instance.StateOf("dataplane"))
	err := known(instance, peer)
	switch {
	case err != nil:
	case f.Arg(0) == "export":
		var text string
		if text, err = tunnel.ExportPreshared(vault, peer, !upWithout(instance, peer)); err == nil {
			_, err = fmt.Fprintln(stdout, text)
		}
	case f.Arg(0) == "import":
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

// known refuses a peer that the anchors do not hold: its key would be for nobody.
func known(i place.Instance, peer string) error {
	a, err := anchors.Load(i.Anchors())
	if err != nil {
		return err
	}
	var names []string
	for _, t := range a.Tunnels {
		for _, p := range t.Peers {
			names = append(names, p.ID)
		}
	}
	if !slices.Contains(names, peer) {
		return fmt.Errorf("no peer %q: there are %s", peer, strings.Join(names, ", "))
	}
	return nil
}

// upWithout tells whether a running daemon has the peer up without a pre-shared key.
func upWithout(i place.Instance, peer string) bool {
	r, err := socket.Client(i.DataplaneSocket()).Get("http://gate/status")
	if err != nil {
		return false // nothing runs, nothing is up
	}
	defer r.Body.Close()
	var s gate.Status
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		return true // a key made now could cut the tunnel
	}
	return slices.ContainsFunc(s.Tunnels, func(t tunnel.Status) bool { return t.Peer == peer && t.State != "down" && !t.Preshared })
}

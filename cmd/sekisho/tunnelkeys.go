package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config/exchange"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/durable"
)

// tunnelKey gives the gate's public keys away: as a document, as a QR code in the terminal, or as a picture of one.
func tunnelKey(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs, name := tunnelFlags("key", "--name N [--qr] [--out FILE]", stderr)
	asCode := fs.Bool("qr", false, "draw a QR code")
	out := fs.String("out", "", "write to a `file`; one that ends in .png or .svg becomes a QR code")
	if rest, err := interspersed(fs, args); err != nil || len(rest) > 0 || *name == "" {
		if err == nil {
			fs.Usage()
		}
		return errUsage
	}
	k, err := gateKeys(ctx, *name)
	if err != nil {
		return err
	}
	b := k.Text()
	kind := filepath.Ext(*out)
	if *asCode || kind == ".png" || kind == ".svg" {
		code, err := k.QR()
		if err != nil {
			return err
		}
		switch kind {
		case ".png":
			b = code.PNG()
		case ".svg":
			b = code.SVG()
		default:
			b = append([]byte(code.Terminal()), b...)
		}
	}
	return deliver(b, *out, stdout, "fingerprint "+k.Fingerprint())
}

// gateKeys asks the dataplane for the gate's own public keys. They are the daemon's, not the configuration's: a private key is made
// on the box, before there is any configuration.
func gateKeys(ctx context.Context, name string) (exchange.Keys, error) {
	d := dataplaneOf(name)
	var byDevice map[string]string
	if err := d.get(ctx, "/tunnel-keys", nil, &byDevice); err != nil {
		return exchange.Keys{}, err
	}
	var a anchors.Anchors
	if err := d.get(ctx, "/anchors", nil, &a); err != nil {
		return exchange.Keys{}, err
	}
	if len(byDevice) == 0 {
		return exchange.Keys{}, errors.New("the anchors have no tunnel yet: root adds them first (`sekisho anchors FILE`)")
	}
	return exchange.New(exchange.Gate, a.Name, byDevice)
}

// deliver prints what was made, or writes it to a file and says so.
func deliver(b []byte, out string, stdout io.Writer, what string) error {
	if out == "" {
		_, err := stdout.Write(b)
		return err
	}
	if err := durable.Replace(out, b, 0o644); err != nil {
		return err
	}
	_, err := fmt.Fprintf(stdout, "%s: written, %s\n", out, what)
	return err
}

// tunnelRegion writes the file of a far end, for the machine there.
func tunnelRegion(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs, name := tunnelFlags("region", "ID FILE|--name N [--keys FILE] [--out FILE]", stderr)
	keys := fs.String("keys", "", "`file` with the gate's public keys, as `sekisho tunnel key` writes it (default: asked of the gate --name)")
	out := fs.String("out", "", "write to a `file` (default: the terminal)")
	rest, err := interspersed(fs, args)
	if err != nil || len(rest) < 1 || len(rest) > 2 || *keys == "" && *name == "" {
		if err == nil {
			fs.Usage()
		}
		return errUsage
	}
	cfg, _, _, err := configured(ctx, rest[1:], *name, stderr)
	if err != nil {
		return err
	}
	var k exchange.Keys
	if *keys != "" {
		k, err = readKeys(*keys)
	} else {
		k, err = gateKeys(ctx, *name)
	}
	if err == nil && k.Of != exchange.Gate {
		err = fmt.Errorf("%s holds the keys of a %s: want the gate's", *keys, k.Of)
	}
	if err != nil {
		return err
	}
	b, err := exchange.FarFile(cfg, k, rest[0], exchange.FarState)
	if err != nil {
		return err
	}
	return deliver(b, *out, stdout, "the gate's keys have the fingerprint "+k.Fingerprint())
}

func readKeys(file string) (exchange.Keys, error) {
	f, err := os.Open(file)
	if err != nil {
		return exchange.Keys{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, exchange.MaxBytes+1))
	if err != nil {
		return exchange.Keys{}, fmt.Errorf("%s: %w", file, err)
	}
	k, err := exchange.Parse(b)
	if err != nil {
		return k, fmt.Errorf("%s: %w", file, err)
	}
	return k, nil
}

// tunnelImport puts a region's public keys into a configuration, whose other lines stay as they are.
func tunnelImport(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs, name := tunnelFlags("import", "KEYS FILE|--name N [--region ID] [--end ID] [--out FILE]", stderr)
	region := fs.String("region", "", "`id` of the region (default: what the keys say)")
	end := fs.String("end", "", "`id` of the end, where a region has several on one tunnel")
	out := fs.String("out", "", "write the configuration to a `file` (default: the terminal)")
	rest, err := interspersed(fs, args)
	if err != nil || len(rest) < 1 || len(rest) > 2 {
		if err == nil {
			fs.Usage()
		}
		return errUsage
	}
	k, err := readKeys(rest[0])
	if err != nil {
		return err
	}
	_, file, doc, err := configured(ctx, rest[1:], *name, stderr)
	if err != nil {
		return err
	}
	text, changes, err := exchange.Put(doc, k, *region, *end)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "fingerprint of the keys: %s; compare it with the far end's by voice before you go on\n", k.Fingerprint())
	if len(changes) == 0 {
		fmt.Fprintf(stderr, "%s holds these keys already: nothing changes\n", file)
	}
	for _, c := range changes {
		fmt.Fprintf(stderr, "%s:%d: end %s on %s: %s becomes %s\n", file, c.Line, c.End, c.Device, c.Old, c.New)
	}
	if err := deliver(text, *out, stdout, fmt.Sprintf("%d keys are new", len(changes))); err != nil || len(changes) == 0 {
		return err
	}
	fmt.Fprintln(stderr, "a key counts once root has it in the anchors (`sekisho anchors FILE`, `sekisho anchors put`) and the configuration is committed (`sekisho commit`)")
	return nil
}

// tunnelRotate has the gate make a new pre-shared key for an end; `tunnel status` tells when it is in force.
func tunnelRotate(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs, name := tunnelFlags("rotate", "END --name N", stderr)
	rest, err := interspersed(fs, args)
	if err != nil || len(rest) != 1 || *name == "" || strings.TrimSpace(rest[0]) == "" {
		if err == nil {
			fs.Usage()
		}
		return errUsage
	}
	if err := dataplaneOf(*name).post(ctx, "/tunnel-keys/rotate", url.Values{"peer": {rest[0]}}); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s: a new pre-shared key is offered to the far end; packets go on, and `sekisho tunnel status --name %s` tells when it is in force\n", rest[0], *name)
	return nil
}

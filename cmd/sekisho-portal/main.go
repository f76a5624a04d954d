// Command sekisho-portal stands in one zone, in the zone's own network namespace and as the zone's own user, and answers its
// browsers over HTTPS. See package portal.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"

	"github.com/sekisho/sekisho/controlplane/web/portal"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/release"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sekisho-portal:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("sekisho-portal", flag.ContinueOnError)
	name := fs.String("name", "sekisho", "instance of the gate")
	zoneName := fs.String("zone", "", "zone to stand in: my-number, lgwan, internet or management")
	listen := fs.String("listen", ":443", "address to listen on, inside the zone's namespace; unused when the service manager passes a socket")
	certFile := fs.String("cert", "", "certificate chain, PEM (default: tls.pem in the portal's state directory)")
	keyFile := fs.String("key", "", "private key, PEM (default: tls.key in the portal's state directory)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	zone, err := anchors.ParseZone(*zoneName)
	if err != nil {
		return fmt.Errorf("--zone: %w", err)
	}
	if !slices.Contains(place.PortalZones, zone) {
		return fmt.Errorf("--zone %s: no portal stands there; want one of %v", zone, place.PortalZones)
	}
	at := place.Instance(*name)
	if *certFile == "" {
		*certFile = at.PortalCert(zone)
	}
	if *keyFile == "" {
		*keyFile = at.PortalKey(zone)
	}
	cert, err := tls.LoadX509KeyPair(*certFile, *keyFile)
	if err != nil {
		return fmt.Errorf("certificate of the portal of %s: %w; `sekisho init` makes one", zone, err)
	}
	l, err := listener(*listen)
	if err != nil {
		return err
	}
	defer l.Close()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("daemon", "portal", "zone", zone.String())
	log.Info("listening", "address", l.Addr().String())
	return portal.Serve(ctx, l, cert, portal.New(portal.Options{
		Control: at.ControlSocket(zone), Release: release.NewClient(at.ReleaseSocket()), Log: log, Reports: zone == anchors.Management,
	}), log)
}

// listener takes the socket that the service manager opened for this process (LISTEN_PID, LISTEN_FDS), or opens one itself.
func listener(address string) (net.Listener, error) {
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) && os.Getenv("LISTEN_FDS") == "1" {
		f := os.NewFile(3, "listen")
		defer f.Close()
		l, err := net.FileListener(f)
		if err != nil {
			return nil, fmt.Errorf("take over the passed socket: %w", err)
		}
		return l, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; an unprivileged user needs net.ipv4.ip_unprivileged_port_start=0 in this namespace for ports below 1024", address, err)
	}
	return l, nil
}

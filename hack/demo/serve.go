package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/hack/town"
)

// serve lets a person's browser stand where a station of each zone stands: connections to a loopback port are opened again
// from that station's namespace, so they pass the gate as its own would. It ends with ctx.
func (j *job) serve(ctx context.Context) error {
	portals, err := town.Portals()
	if err != nil {
		return err
	}
	record, err := j.name.Record()
	if err != nil {
		return err
	}
	fmt.Fprintln(j.out, "\nOpen in a browser on this machine (the certificate is of the town's own CA):")
	var doors sync.WaitGroup
	for _, p := range portals {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		context.AfterFunc(ctx, func() { l.Close() })
		doors.Go(func() { j.door(ctx, l, p) })
		what := "portal, " + p.Zone.String()
		if p.Zone == anchors.Management {
			what = "console"
		}
		// A host name of its own for each zone: browsers keep cookies by name, not by port.
		fmt.Fprintf(j.out, "  %-18s https://%s.localhost:%d/\n", what, p.Zone, l.Addr().(*net.TCPAddr).Port)
	}
	fmt.Fprintln(j.out, "\nSign in as (passwords of this run only):")
	for _, p := range record.People {
		fmt.Fprintf(j.out, "  %-10s %-28s %-13s %s\n", p.ID, p.Password, p.Role, strings.Join(p.Zones, ", "))
		if p.Passphrase != "" {
			fmt.Fprintf(j.out, "  %-10s %-28s passphrase for approvals\n", "", p.Passphrase)
		}
	}
	fmt.Fprintf(j.out, "\nLook around: out/bin/lab status --name %s; out/bin/lab exec --name %s mn-pc1 -- ping -c1 198.18.10.1\nCtrl-C ends it and removes everything.\n", j.name, j.name)
	<-ctx.Done()
	doors.Wait()
	return nil
}

// door passes connections on.
func (j *job) door(ctx context.Context, l net.Listener, p town.Portal) {
	var open sync.WaitGroup
	defer open.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				fmt.Fprintf(j.out, "door to the portal of %s: %v\n", p.Zone, err)
			}
			return
		}
		open.Go(func() {
			defer c.Close()
			far, err := j.dial(ctx, p.From, netip.Addr{}, netip.AddrPortFrom(p.Addr, 443))
			if err != nil {
				fmt.Fprintf(j.out, "door to the portal of %s: %v\n", p.Zone, err)
				return
			}
			defer far.Close()
			stop := context.AfterFunc(ctx, func() { c.Close(); far.Close() })
			defer stop()
			there := make(chan struct{})
			go func() {
				defer close(there)
				pass(far, c)
			}()
			pass(c, far)
			<-there
		})
	}
}

// pass copies until the source ends, and ends the other side's reading; an error ends it as well.
func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if t, ok := to.(*net.TCPConn); ok && err == nil {
		err = t.CloseWrite()
	}
	if err != nil {
		to.Close()
		from.Close()
	}
}

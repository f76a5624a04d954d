package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/hack/town"
)

// proven is step 1: what is in force, and what stands guard.
func (j *job) proven(ctx context.Context) error {
	j.section(1, "The policy is proven and loaded, and every port is guarded")
	j.check("sekisho check of the town's configuration", "proven", func() (string, bool, error) {
		out, err := j.town.Sekisho(ctx, "check", j.name.ConfigFile())
		_, proven, _ := strings.Cut(lastLine(out), ": ")
		proven, _, _ = strings.Cut(proven, ", hash")
		return proven, err == nil, err
	})
	if err := j.must(ctx, "tables in force at the dataplane", "a revision, its hash", func() (string, bool, error) {
		s, err := j.status(ctx)
		return fmt.Sprintf("revision %s, tables %.12s, epoch %d", s.Revision, s.Hash, s.Epoch), s.Revision != "" && s.Hash != "", err
	}); err != nil {
		return err
	}
	j.check("programs on the gate's ports", "native XDP and tcx on every port", func() (string, bool, error) {
		var s gate.Status
		// The tunnel device appears with the first revision and is guarded by the scan that follows.
		err := j.town.Poll(ctx, 5*time.Second, "every port to be guarded", func(ctx context.Context) (err error) {
			if s, err = j.status(ctx); err != nil {
				return err
			}
			for _, p := range s.Ports {
				if !p.Guarded() || !p.Up {
					return fmt.Errorf("%s is not guarded: %s", p.Name, p.Error)
				}
			}
			return nil
		})
		return guarded(s.Ports), err == nil && len(s.Ports) >= 12, err
	})
	j.check("the kernel's word on it (ip link in the gate)", "xdp on every Ethernet port", func() (string, bool, error) {
		return j.kernelSaysNative()
	})
	j.check("the monitoring host reads /metrics at the console", "the gate's figures", func() (string, bool, error) {
		console, err := town.PortalOf(anchors.Management)
		if err != nil {
			return "", false, err
		}
		text, err := j.fetch(ctx, console.From, "https://"+console.Addr.String()+":443/metrics")
		series := 0
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "sekisho_") {
				series++
			}
		}
		return fmt.Sprintf("%d series", series), series > 0, err
	})
	return nil
}

func guarded(ports []packet.PortStatus) string {
	native, tunnels := 0, 0
	for _, p := range ports {
		switch {
		case p.Guarded() && p.Tunnel:
			tunnels++
		case p.Guarded():
			native++
		}
	}
	return fmt.Sprintf("%d ports with native XDP and tcx, %d tunnel device with tcx, of %d", native, tunnels, len(ports))
}

// kernelSaysNative asks the kernel, not the daemon, how XDP is attached.
func (j *job) kernelSaysNative() (string, bool, error) {
	links, err := j.gateLinks()
	if err != nil {
		return "", false, err
	}
	native := 0
	var bare []string
	for _, l := range links {
		a := l.Attrs()
		if a.Name == "lo" || l.Type() != "veth" {
			continue
		}
		// 1: IFLA_XDP attached in driver mode, linux/if_link.h
		if a.Xdp != nil && a.Xdp.Attached && a.Xdp.AttachMode == 1 {
			native++
		} else {
			bare = append(bare, a.Name)
		}
	}
	if len(bare) > 0 {
		return "without: " + strings.Join(bare, " "), false, nil
	}
	return fmt.Sprintf("%d of %d in driver mode", native, native), native >= 11, nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

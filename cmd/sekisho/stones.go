package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/packet/stones"
)

const stonesUsage = "stones FILE [--anchors FILE] [--json]"

// runStones lists the stepping stones of a configuration: what stands in one zone, can be reached from a second and reaches a
// third. Exit code 1 only when it could not look: a stone is a finding, no fault.
func runStones(_ context.Context, args []string, stdout, stderr io.Writer) int {
	fs, o := policyFlags(stonesUsage, stderr)
	asJSON := fs.Bool("json", false, "print the list as JSON")
	file, ok := oneFile(fs, args)
	if !ok {
		return exitUsage
	}
	c, ok := compile(file, o, stderr)
	if !ok || !c.proven(stderr) {
		return exitFailed
	}
	found := stones.Find(&c.Tables, c.anchors)
	if *asJSON {
		if found == nil {
			found = []stones.Stone{}
		}
		return printJSON(stdout, stderr, found)
	}
	names := namesOf(c.cfg)
	for _, s := range found {
		fmt.Fprintf(stdout, "%s reaches %s by %s:\n", s.From, s.To, called(s.Stone, names))
		for i, h := range s.Path {
			fmt.Fprintf(stdout, "  %d  %s -> %s\n     %s\n", i+1, called(h.From, names), called(h.To, names), c.way(h))
		}
		if s.Targets > 1 {
			fmt.Fprintf(stdout, "     and %d more classes of %s from there\n", s.Targets-1, s.To)
		}
	}
	fmt.Fprintf(stdout, "%s: %s\n", file, countStones(len(found)))
	return exitOK
}

func countStones(n int) string {
	if n == 1 {
		return "1 stepping stone between zones"
	}
	return fmt.Sprintf("%d stepping stones between zones", n)
}

// way says by what one step is possible.
func (c *compiled) way(h stones.Hop) string {
	if h.Direct {
		return "directly: both are in one segment, the gate does not see it"
	}
	s := strings.Join(h.Ports, ", ") + ", permitted by " + strings.Join(c.places(h.Records), ", ")
	if h.Tunnel != "" {
		s += ", through tunnel " + h.Tunnel
	}
	if h.Timed {
		s += ", at times"
	}
	return s
}

// called is a node with its members as the configuration calls them.
func called(n stones.Node, names map[string]string) string {
	var members []string
	for _, m := range n.Members {
		if name := names[m]; name != "" {
			m = name
		}
		if !slices.Contains(members, m) {
			members = append(members, m)
		}
	}
	n.Members = members
	return n.String()
}

// namesOf is what the configuration calls each address.
func namesOf(cfg *config.Config) map[string]string {
	names := map[string]string{}
	add := func(id string, addresses []netip.Addr) {
		for _, a := range addresses {
			names[a.String()] = id
		}
	}
	for i := range cfg.Services {
		add(cfg.Services[i].ID, cfg.Services[i].Addresses)
	}
	for i := range cfg.Stations {
		add(cfg.Stations[i].ID, cfg.Stations[i].Addresses)
	}
	return names
}

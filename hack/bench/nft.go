package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
)

// rules writes the town's policy for nftables and conntrack, in its fastest form: sets, whatever the number of records.
// Known connections pass first; only a new one is looked up. binding: every packet is held against its registered MAC and
// address, as the gate does.
func rules(t *town, binding bool) string {
	var b strings.Builder
	b.WriteString("flush ruleset\ntable ip bench {\n")
	set := func(name, keys string, n int, element func(i int)) {
		fmt.Fprintf(&b, "set %s { typeof %s; size %d; elements = {\n", name, keys, n+1)
		for i := range n {
			element(i)
			b.WriteString(",\n")
		}
		b.WriteString("} }\n")
	}
	set("stations", "iif . ether saddr . ip saddr", t.stations+t.services, func(i int) {
		if i < t.stations {
			fmt.Fprintf(&b, "%s . %s . %s", stationPort, stationMAC(i), stationAddr(i))
		} else {
			i -= t.stations
			fmt.Fprintf(&b, "%s . %s . %s", servicePort, serviceMAC(i), serviceAddr(i))
		}
	})
	set("permits", "ip saddr . ip daddr . tcp dport", len(t.pairs), func(i int) {
		p := t.pairs[i]
		fmt.Fprintf(&b, "%s . %s . %d", stationAddr(p.station), serviceAddr(p.service), p.port)
	})
	if binding {
		b.WriteString("chain arriving { type filter hook prerouting priority raw; policy accept;\niif . ether saddr . ip saddr != @stations drop\n}\n")
	}
	b.WriteString("chain crossing { type filter hook forward priority filter; policy drop;\nct state established,related accept\n")
	b.WriteString("ct state new ip saddr . ip daddr . tcp dport @permits accept\n}\n}\n")
	return b.String()
}

// loadRules puts rules in force in the lane's namespace.
func (l *lane) loadRules(rules string) error {
	return l.in(func() error {
		c := exec.Command("nft", "-f", "-")
		c.Stdin = strings.NewReader(rules)
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("load the rules of nftables: %w: %s", err, bytes.TrimSpace(out[:min(len(out), 500)]))
		}
		return nil
	})
}

package policy

import (
	"bytes"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// FuzzCompile: what Parse lets through compiles, its anchors are whole, and the proof finds fault with nothing but the
// records themselves: which zones they join, and by how single stations and services.
func FuzzCompile(f *testing.F) {
	doc, err := os.ReadFile("../config/examples/lab.yaml")
	if err != nil {
		f.Fatal(err)
	}
	lab := string(doc)
	f.Add(doc)
	for _, r := range [][2]string{
		{"to: {services: [eltax]}", "to: {services: [web]}"},
		{"from: {segments: [in-office]}", "from: {groups: [tax-desks]}"},
		{"to: {services: [web]}\n    ports: []", "to: {prefixes: [203.0.113.128/25, \"2001:db8:31::/96\"]}\n    ports: [tcp/1000-2000, icmp/echo]"},
		{"gate: [198.18.40.1]", `gate: [198.18.40.1], routers: [{mac: "02:00:5e:00:00:01", addresses: [198.18.40.2], behind: [198.18.40.128/25]}]`},
		{"port: mg0,", "port: mg0, vlan: 40,"},
		{"ports: [tcp/443], name: {ja: eLTAX", "ports: [tcp/443, tcp/444, udp/1-65535], name: {ja: eLTAX"},
		{"gate: [198.51.100.62]", "gate: [198.51.100.62, 198.51.100.61]"},
		{"    owner: 税務課", "    owner: 税務課\n    state: suspended\n    approved: {by: 記入, on: 2036-01-01}\n    review: 2026-01-01"},
		{"stations: [mn-pc1], name: {ja: 税務課窓口", "services: [eltax, web], name: {ja: 税務課窓口"},
		{"to: {services: [web]}\n    ports: []", "to: {groups: [tax-desks]}\n    ports: [icmp/8, icmp6/128]"},
		{"model: alpha", "model: beta\nmeasures:\n  - {id: edr, planned: {until: 2026-04-01}}\n  - {id: epp, done: {by: x, on: 2036-04-01, evidence: x}}"},
		{"owner: 情報管理室}\n\nservices", "owner: 情報管理室}\n  - {id: cloud, segment: tokyo, addresses: [198.51.100.33]}\n\nservices"},
	} {
		f.Add([]byte(strings.Replace(lab, r[0], r[1], 1)))
	}
	ofRecords := []string{"I1", "I2", "I3", "I13"}
	f.Fuzz(func(t *testing.T, doc []byte) {
		cfg, errs := config.Parse(bytes.Clone(doc))
		if errs != nil {
			return
		}
		a := Anchors(cfg)
		if err := a.Validate(); err != nil {
			t.Fatalf("a clean configuration has broken anchors: %v", err)
		}
		g, err := Compile(cfg, a)
		if err != nil {
			if strings.Contains(err.Error(), "has room for") {
				return
			}
			t.Fatalf("a clean configuration does not compile: %v", err)
		}
		for _, v := range proof.Check(&g.Tables, a) {
			if !slices.Contains(ofRecords, v.Invariant) {
				t.Fatalf("the compiler broke %v", v)
			}
		}
		for _, r := range g.Tables.Rules {
			for _, c := range cfg.Communications {
				if !c.Active() && slices.Contains(r.Records, c.ID) {
					t.Fatalf("record %s is %s and stands in rule %d", c.ID, c.State, r.ID)
				}
			}
		}
		look(t, cfg, &g.Tables)
		h, err := Compile(cfg, a)
		if err != nil || packet.Hash(h.Tables) != packet.Hash(g.Tables) {
			t.Fatalf("two compilations differ (%v)", err)
		}
	})
}

// look has everything that reports on a configuration report twice the same.
func look(t *testing.T, cfg *config.Config, tables *packet.Tables) {
	u := Usage{Records: map[string]Use{}, Stations: map[string]Use{}}
	for i := range cfg.Communications {
		u.Records[cfg.Communications[i].ID] = Use{First: november.AddDate(-1, 0, 0)}
	}
	reports := func() (out []any) {
		out = append(out, Hygiene(cfg, tables, &u, november, UsualLimits()))
		for i := range cfg.Communications {
			unfolded, err := Unfold(cfg, tables, cfg.Communications[i].ID)
			if err != nil || !cfg.Communications[i].Active() && len(unfolded.Cells) > 0 {
				t.Fatalf("%+v, %v", unfolded, err)
			}
			out = append(out, unfolded)
		}
		list, err := cfg.Checklist(nil, november)
		if err != nil {
			t.Fatal(err)
		}
		return append(out, list)
	}
	if first, second := reports(), reports(); !reflect.DeepEqual(first, second) {
		t.Fatalf("got\n%+v\nthen\n%+v", first, second)
	}
}

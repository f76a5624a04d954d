package config

import (
	"fmt"
	"strings"
	"testing"
)

// lived is the lab with records in every state of their life, and groups as destinations.
func lived(t testing.TB) string {
	doc := read(t, "lab")
	for _, r := range [][2]string{
		{"communications:\n", `  - {id: systems, services: [resident, resident-standby]}
communications:
`},
		{"    purpose: 地方税の電子申告の受付", `    state: active
    approved: {by: 税務課長 山川, on: 2026-03-20}
    since: 2026-04-01
    review: 2027-02-28
    purpose: 地方税の電子申告の受付`},
		{"    purpose: 申告データの照会", "    state: draft\n    purpose: 申告データの照会"},
		{"    purpose: 情報収集", "    state: suspended\n    purpose: 情報収集"},
		{"    purpose: 帳票の出力", "    state: expired\n    purpose: 帳票の出力"},
		{"to: {services: [resident-standby]}", "to: {groups: [systems]}"},
		{"from: {stations: [lg-pc1, lg-pc2]}\n    to: {services: [eltax]}\n    ports: []", "from: {stations: [lg-pc1]}\n    to: {groups: [tax-desks]}\n    ports: [tcp/8443, icmp/8, icmp6/128]"},
	} {
		out := strings.Replace(doc, r[0], r[1], 1)
		if out == doc {
			t.Fatalf("%q is not in the lab", r[0])
		}
		doc = out
	}
	return doc
}

func TestLifeIsRead(t *testing.T) {
	cfg, errs := Parse([]byte(lived(t)))
	if errs != nil {
		t.Fatal(errs)
	}
	c := cfg.Communications[0]
	if c.State != Active || !c.Active() || c.Approved.By != "税務課長 山川" || c.Approved.On.String() != "2026-03-20" || c.Review.String() != "2027-02-28" {
		t.Errorf("got %+v", c)
	}
	got := ""
	for i := range cfg.Communications {
		got += fmt.Sprintf("%s %t, ", cfg.Communications[i].State, cfg.Communications[i].Active())
	}
	if want := "active true, draft false, suspended false,  true, expired false,  true,  true, "; got != want {
		t.Errorf("got states %q, want %q", got, want)
	}
}

var lifeFaults = []fault{
	{"unknown state", "state: suspended", "state: suspend", "suspend", "did you mean suspended?"},
	{"state that is none", "state: draft", "state: 承認済み", "承認済み", "one of draft, active, suspended, expired"},
	{"approval without a day", ", on: 2026-03-20", "", "{by", `key "on" is missing`},
	{"approval by nobody", "by: 税務課長 山川, ", "", "{", `key "by" is missing`},
	{"approval that is no map", "approved: {by: 税務課長 山川, on: 2026-03-20}", "approved: 2026-03-20", "2026-03-20", "want a map with by, on"},
	{"approved when it was over", "on: 2026-03-20", "on: 2036-04-01", "2036-04-01", "when its time is over (until 2036-03-31)"},
	{"review before it begins", "review: 2027-02-28", "review: 2026-03-31", "2026-03-31", "before since 2026-04-01"},
	{"review on no day", "review: 2027-02-28", "review: 2027-02-29", "2027-02-29", "existing day"},

	{"group of nothing", "{id: systems, services: [resident, resident-standby]}", "{id: systems}", "{", "give either stations or services (0 of the two"},
	{"group of both", "{id: systems, services:", "{id: systems, stations: [mn-pc1], services:", "{", "give either stations or services (2 of the two"},
	{"group of a service that is not there", "services: [resident, resident-standby]", "services: [resident, residents]", "residents", `there is no service "residents"; did you mean resident?`},
	{"group with a service given twice", "services: [resident, resident-standby]", "services: [resident, resident]", "resident", "given twice"},
	{"services that open", "from: {stations: [mn-pc1]}", "from: {groups: [systems]}", "systems", "which open nothing: want a group of stations"},
	{"destination group that is not there", "to: {groups: [systems]}", "to: {groups: [sistems]}", "sistems", "did you mean systems?"},
	{"destination group given twice", "to: {groups: [systems]}", "to: {groups: [systems, systems]}", "systems", "given twice"},
	{"group and services", "to: {groups: [systems]}", "to: {groups: [systems], services: [eltax]}", "{", "exactly one of services, stations, groups, prefixes (2 are given)"},
	{"port that a group's service does not offer", "to: {groups: [systems]}\n    ports: []", "to: {groups: [systems]}\n    ports: [tcp/5201]", "tcp/5201", `service "resident-standby" does not offer tcp/5201`},
	{"group of stations without ports", "ports: [tcp/8443, icmp/8, icmp6/128]", "ports: []", "[", "must say which"},
	{"groups of both kinds without ports", "to: {groups: [systems]}", "to: {groups: [systems, tax-desks]}", "[", "must say which"},
	{"group on both sides", "from: {stations: [lg-pc1]}", "from: {stations: [mn-pc1]}", "tax-desks", "tax-desks is named on both sides"},
	{"group in the same segment", "from: {stations: [lg-pc1]}", "from: {stations: [mn-pc2]}", "id", `both sides lie in segment "mn-office"`},

	{"ICMP error", "icmp/8, icmp6/128", "icmp/3", "icmp/3", "by that packet's live flow, and by no record"},
	{"ICMPv6 error", "icmp/8, icmp6/128", "icmp6/2", "icmp6/2", "by that packet's live flow, and by no record"},
	{"ICMP redirect", "icmp/8, icmp6/128", "icmp/5", "icmp/5", "by no record"},
	{"ICMPv6 redirect", "icmp/8, icmp6/128", "icmp6/137", "icmp6/137", "by no record"},
	{"ICMP answer", "icmp/8, icmp6/128", "icmp/0", "icmp/0", "passes by the flow of the question"},
	{"neighbour discovery", "icmp/8, icmp6/128", "icmp6/135", "icmp6/135", "stays within its own network"},
	{"ICMP question that the packet core does not know", "icmp/8, icmp6/128", "icmp/13", "icmp/13", "the packet core knows echo requests only"},
	{"ICMP type that is none", "icmp/8, icmp6/128", "icmp/256", "icmp/256", "icmp/8, icmp6/128"},
	{"echo of one version twice", "icmp/8, icmp6/128", "icmp/echo, icmp6/128", "icmp6/128", "overlaps icmp/echo"},
}

func TestLifeIsChecked(t *testing.T) {
	doc := lived(t)
	for _, f := range lifeFaults {
		t.Run(f.name, func(t *testing.T) { f.check(t, doc) })
	}
}

func TestOneEchoIsAmongBoth(t *testing.T) {
	spec := func(s string) (p PortSpec) {
		t.Helper()
		if err := p.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct {
		p, q  string
		among bool
	}{
		{"icmp/8", "icmp/echo", true}, {"icmp6/128", "icmp/echo", true}, {"icmp/echo", "icmp/echo", true}, {"icmp/echo", "icmp/8", false},
		{"icmp/8", "icmp6/128", false}, {"icmp/8", "tcp/8", false}, {"tcp/8", "icmp/8", false}, {"tcp/443", "tcp/440-450", true}, {"tcp/440-451", "tcp/440-450", false}, {"esp", "esp", true}, {"esp", "ah", false},
	} {
		if got := spec(c.p).Among([]PortSpec{spec("udp/1"), spec(c.q)}); got != c.among {
			t.Errorf("%s among [udp/1, %s]: got %t", c.p, c.q, got)
		}
	}
}

package policy

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy/internal/drawn"
)

// midday of 1 November 2026 in Japan.
var november = time.Date(2026, 11, 1, 12, 0, 0, 0, time.FixedZone("JST", 9*3600))

// tidy is the lab with nothing to find but what a case spoils.
func tidy(t testing.TB) string {
	doc, err := os.ReadFile("../config/examples/lab.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(doc), "    until: 2036-03-31\n", "    approved: {by: 情報政策課長, on: 2026-03-20}\n    review: 2027-02-28\n    until: 2036-03-31\n")
	for _, r := range [][2]string{
		{"from: {stations: [mn-pc1]}", "from: {groups: [tax-desks]}"},
		{"from: {segments: [in-office]}", "from: {stations: [in-pc1]}"},
		{"    purpose: 申告データの照会\n", "    purpose: 申告データの照会\n    basis: 利用契約 第3条\n"},
		{"    purpose: 情報収集\n", "    purpose: 情報収集\n    basis: 情報セキュリティポリシー\n"},
		{"    purpose: 帳票の出力\n", "    purpose: 帳票の出力\n    basis: 住民基本台帳法 第5条\n"},
		{"    purpose: バックアップの取得\n", "    purpose: バックアップの取得\n    basis: 業務継続計画\n"},
		{"    purpose: 東京リージョン停止時の住民記録の利用\n", "    purpose: 東京リージョン停止時の住民記録の利用\n    basis: 業務継続計画\n"},
	} {
		text = replaced(t, text, r[0], r[1])
	}
	return text
}

func replaced(t testing.TB, doc, old, new string) string {
	t.Helper()
	out := strings.Replace(doc, old, new, 1)
	if out == doc {
		t.Fatalf("%q is not in the document", old)
	}
	return out
}

func reported(t testing.TB, doc string, u *Usage) (Report, *config.Config) {
	t.Helper()
	cfg, errs := config.Parse([]byte(doc))
	if errs != nil {
		t.Fatalf("%v\n%s", errs, doc)
	}
	g, err := Compile(cfg, Anchors(cfg))
	if err != nil {
		t.Fatal(err)
	}
	return Hygiene(cfg, &g.Tables, u, november, UsualLimits()), cfg
}

func TestHygiene(t *testing.T) {
	const another = "communications:\n  - {id: another, from: {stations: [mn-pc1]}, to: {services: [eltax]}, ports: [tcp/443], purpose: 確認, basis: x, owner: x, approved: {by: x, on: 2026-01-01}, review: 2027-01-01, until: 2036-03-31%s}\n"
	week := "windows:\n  - {id: mornings, days: [mon], from: 08:00, to: 12:00}\n  - {id: evenings, days: [mon], from: 12:00, to: 18:00}\n"
	// two writes a pair of records that share what lg-pc2 may open, each with a part of its own.
	two := func(first, second string) string {
		const form = "  - {id: %s, from: {stations: [lg-pc2, %s]}, to: {services: [resident]}, ports: [tcp/443], purpose: 確認, basis: x, owner: x, approved: {by: x, on: 2026-01-01}, review: 2045-01-01, until: 2050-03-31%s}\n"
		return week + "communications:\n" + fmt.Sprintf(form, "one", "lg-pc1", first) + fmt.Sprintf(form, "other", "in-pc1", second)
	}
	used := func(days int) Use { return Use{First: november.AddDate(-1, 0, 0), Last: november.AddDate(0, 0, -days)} }
	cases := []struct {
		name     string
		old, new string
		usage    *Usage
		want     []string // kind, ids and a part of the text of each finding
	}{
		{"nothing", "", "", nil, nil},
		{"ended", "until: 2036-03-31", "until: 2026-10-31", nil, []string{"expired [eltax-submit] ended after 2026-10-31"}},
		{"its last day", "until: 2036-03-31", "until: 2026-11-01", nil, []string{"ending [eltax-submit] ends after 2026-11-01"}},
		{"ends in thirty days", "until: 2036-03-31", "until: 2026-11-30", nil, []string{"ending [eltax-submit] ends after 2026-11-30"}},
		{"ends in thirty-one days", "until: 2036-03-31", "until: 2026-12-01", nil, nil},
		{"review was to be", "review: 2027-02-28", "review: 2026-10-31", nil, []string{"review-overdue [eltax-submit] was to be looked at by 2026-10-31"}},
		{"review today", "review: 2027-02-28", "review: 2026-11-01", nil, []string{"review-due [eltax-submit] is to be looked at by 2026-11-01"}},
		{"no review", "    review: 2027-02-28\n", "", nil, []string{"no-review [eltax-submit] never looked at again"}},
		{"no approval", "    approved: {by: 情報政策課長, on: 2026-03-20}\n", "", nil, []string{"no-approval [eltax-submit] nobody is named"}},
		{"approval to come", "on: 2026-03-20", "on: 2026-11-02", nil, []string{"future-approval [eltax-submit] 2026-11-02, which is still to come"}},
		{"approval today", "on: 2026-03-20", "on: 2026-11-01", nil, nil},
		{"approved too late", "on: 2026-03-20}", "on: 2026-04-02}\n    since: 2026-04-01", nil, []string{"late-approval [eltax-submit] in force since 2026-04-01 and was approved only on 2026-04-02"}},
		{"no basis", "    basis: 地方税法 第747条の2\n", "", nil, []string{"no-basis [eltax-submit] no legal or contractual basis"}},
		{"a template's words", "    basis: 地方税法 第747条の2\n    owner: 税務課", "    basis: 記入（法令・条例・契約）\n    owner: 記入（所管課）", nil, []string{"not-filled-in [eltax-submit] \"記入（法令・条例・契約）\" is still to be filled in"}},
		{"a draft needs no papers yet", "    basis: 地方税法 第747条の2\n", "    state: draft\n", nil, []string{"unused-group [tax-desks] group tax-desks"}},
		{"stations without owner", "addresses: [198.18.40.11], owner: 情報管理室", "addresses: [198.18.40.11]", nil, []string{"no-owner [noc] 1 stations belong to no section: noc"}},

		{"never used", "", "", &Usage{Records: map[string]Use{"web-use": {First: november.AddDate(0, 0, -90)}, "asp-use": {First: november.AddDate(0, 0, -89)}}}, []string{"never-used [web-use] no packet pass in the 90 days"}},
		{"not used any more", "", "", &Usage{Records: map[string]Use{"web-use": used(90), "asp-use": used(89)}}, []string{"not-used [web-use] no packet pass for 90 days"}},
		{"not yet in force for long", "until: 2036-03-31", "since: 2026-10-01\n    until: 2036-03-31", &Usage{Records: map[string]Use{"eltax-submit": {First: november.AddDate(-1, 0, 0)}}}, nil},
		{"not seen", "", "", &Usage{Stations: map[string]Use{"lg-pc1": used(91), "lg-pc2": used(1), "noc": {First: november.AddDate(0, -6, 0)}}},
			[]string{"unseen-station [lg-office lg-pc1] not seen for 91 days", "unseen-station [mg-net noc] never seen in the 184 days"}},

		{"the same again", "communications:\n", fmt.Sprintf(another, ""), nil, []string{"shadowed [eltax-submit another] all that record eltax-submit permits, another permit"}},
		{"the same at the end", "\nlines:\n", "\n" + strings.TrimPrefix(fmt.Sprintf(another, ""), "communications:\n") + "\nlines:\n", nil, []string{"shadowed [another eltax-submit]"}},
		{"the same for a shorter time", "communications:\n", strings.Replace(fmt.Sprintf(another, ""), "2036", "2030", 1), nil, []string{"shadowed [another eltax-submit]"}},
		{"the same at other times", "communications:\n", week + fmt.Sprintf(another, ", window: mornings"), nil, []string{"shadowed [another eltax-submit]"}},
		{"the same for a longer time", "communications:\n", strings.Replace(fmt.Sprintf(another, ""), "2036", "2037", 1), nil, []string{"shadowed [eltax-submit another]"}},
		{"a part shared", "communications:\n", strings.Replace(fmt.Sprintf(another, ""), "[mn-pc1]", "[mn-pc1, mn-pc2]", 1), nil, []string{"shadowed [eltax-submit another]"}},
		{"some packets shared", "communications:\n", strings.Replace(strings.Replace(fmt.Sprintf(another, ""), "[mn-pc1]", "[mn-pc2, lg-pc1]", 1), "x, owner", "x, owner", 1), nil,
			[]string{"overlapping [another asp-use] shares packets with asp-use: 198.18.20.11 to 198.18.21.11, tcp/443"}},
		{"packets shared with one that is over", "communications:\n", strings.Replace(fmt.Sprintf(another, ""), "2036-03-31", "2026-10-01", 1), nil, []string{"expired [another]"}},
		{"packets shared with one that is suspended", "communications:\n", fmt.Sprintf(another, ", state: suspended"), nil, nil},

		{"a pair that shares", "communications:\n", two("", ""), nil, []string{"overlapping [one other] shares packets with other: 198.18.20.12 to 198.51.100.11, tcp/443"}},
		{"a pair that shares in the morning", "communications:\n", two(", window: mornings", ""), nil, []string{"overlapping [one other]"}},
		{"a pair in other parts of the week", "communications:\n", two(", window: mornings", ", window: evenings"), nil, nil},
		{"a pair one after the other", "communications:\n", strings.Replace(two("", ", since: 2040-04-01"), "2050", "2040", 1), nil, nil},
		{"a whole segment", "from: {stations: [in-pc1]}", "from: {segments: [in-office]}", nil, []string{"broad [web-use] all of segment in-office"}},
		{"a wide prefix", "to: {services: [web]}\n    ports: []", "to: {prefixes: [203.0.113.0/24, \"2001:db8:31::/119\"]}\n    ports: [tcp/80]", nil,
			[]string{"broad [web-use] opens 2001:db8:31::/119, more than 256 addresses", "unused-service [in-net web] no active record opens it"}},
		{"many ports", "to: {services: [web]}\n    ports: []", "to: {prefixes: [203.0.113.11/32]}\n    ports: [tcp/1000-1100, udp/1000-1099]", nil,
			[]string{"broad [web-use] opens tcp/1000-1100, 101 ports", "unused-service [in-net web]"}},
		{"a tunnel within", "ports: [tcp/80, tcp/443], name: {ja: 外部ウェブ", "ports: [esp, tcp/443], name: {ja: 外部ウェブ", nil, []string{"broad [web-use] opens esp, which carries anything"}},
		{"for ever between zones", "    until: 2036-03-31\n", "", nil, []string{"broad [eltax-submit] lets my-number open towards lgwan at any time, without end"}},

		{"a group of services", "to: {services: [resident-standby]}", "to: {groups: [systems]}\n", nil, nil},
		{"a service that nobody opens", "to: {services: [resident-standby]}", "to: {services: [resident]}", nil,
			[]string{"shadowed [resident-core resident-standby]", "shadowed [resident-general resident-standby]", "shadowed [resident-backup resident-standby]", "unused-segment [osaka] segment osaka", "unused-service [osaka resident-standby]"}},
		{"a station that nobody names", "from: {stations: [lg-pc1, lg-pc2]}", "from: {stations: [lg-pc1]}", nil, []string{"unused-station [lg-office lg-pc2] registered, and no active record names it"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			doc := tidy(t)
			if c.old != "" {
				doc = replaced(t, doc, c.old, c.new)
			}
			if strings.Contains(c.new, "[systems]") {
				doc = replaced(t, doc, "groups:\n", "groups:\n  - {id: systems, services: [resident-standby]}\n")
			}
			r, _ := reported(t, doc, c.usage)
			for i, f := range r.Findings {
				ids := slices.Concat(f.Records, f.Segments, f.Stations, f.Services, f.Groups)
				got := fmt.Sprintf("%s %v %s", f.Kind, ids, f.Text)
				if f.Line == 0 || f.Remedy == "" || i >= len(c.want) || !matches(got, c.want[i]) {
					t.Errorf("finding %d, line %d: got %q (%s)", i, f.Line, got, f.Remedy)
				}
			}
			if len(r.Findings) != len(c.want) {
				t.Errorf("got %d findings, want %q", len(r.Findings), c.want)
			}
		})
	}
}

// matches compares kind and ids wholly, and the text in part.
func matches(got, want string) bool {
	head, text, _ := strings.Cut(want, "] ")
	return strings.HasPrefix(got, strings.TrimSuffix(head, "]")+"]") && strings.Contains(got, text)
}

// What is told as superfluous may go, all of it at once: the rest permits the same packets at the same times. And what is told as
// shared is shared.
func TestShadowedRecordsMayGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc, cfg := drawn.Config(t)
		g, err := Compile(cfg, Anchors(cfg))
		if err != nil {
			t.Fatal(err)
		}
		gone, pairs := map[string]bool{}, map[string]bool{}
		for _, f := range Hygiene(cfg, &g.Tables, nil, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), UsualLimits()).Findings {
			switch f.Kind {
			case Shadowed:
				gone[f.Records[0]] = true
			case Overlapping:
				pairs[f.Records[0]+" "+f.Records[1]] = true
			}
		}
		addrs, ports := interesting(cfg)
		n := rapid.IntRange(0, len(ports)-1).Draw(t, "first port")
		minute := 0
		for _, src := range addrs {
			for _, dst := range addrs {
				n = (n + 1) % len(ports)
				f := flow{src, dst, ports[n].Proto, ports[n].Lo}
				if !f.real() {
					continue
				}
				all := permitted(cfg, f)
				left := slices.DeleteFunc(slices.Clone(all), func(id string) bool { return gone[id] })
				minute = (minute + 1) % len(turns)
				if now, then := anyInForce(cfg, all, turns[minute]), anyInForce(cfg, left, turns[minute]); now != then {
					t.Fatalf("%v at %s: permitted by %v; without the superfluous %v it is not\n%s", f, turns[minute], all, gone, doc)
				}
				for i, a := range left {
					for _, b := range left[:i] {
						both := anyInForce(cfg, []string{a}, turns[minute]) && anyInForce(cfg, []string{b}, turns[minute])
						if both && !pairs[a+" "+b] && !pairs[b+" "+a] && !(strings.HasPrefix(a, "gate:") && strings.HasPrefix(b, "gate:")) {
							t.Fatalf("%v at %s: permitted by %s and %s, which were not told to overlap\n%s", f, turns[minute], a, b, doc)
						}
					}
				}
			}
		}
	})
}

func TestOverlapsAreBounded(t *testing.T) {
	var twins strings.Builder
	for i := range 50 { // a port of its own each, so that none is superfluous
		fmt.Fprintf(&twins, "  - {id: twin-%d, from: {stations: [lg-pc2]}, to: {services: [resident]}, ports: [tcp/443, tcp/%d], purpose: x, owner: x}\n", i, 5210+i)
	}
	doc := replaced(t, tidy(t), "communications:\n", "communications:\n"+twins.String())
	cfg, errs := config.Parse([]byte(replaced(t, doc, "ports: [tcp/443, udp/5201,", "ports: [tcp/443, tcp/5210-5300, udp/5201,")))
	if errs != nil {
		t.Fatal(errs)
	}
	g, err := Compile(cfg, Anchors(cfg))
	if err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int][2]int{10: {10, 1}, 2000: {50 * 49 / 2, 0}} {
		l := UsualLimits()
		l.Overlaps = limit
		r := Hygiene(cfg, &g.Tables, nil, november, l)
		if r.Counts[Overlapping] != want[0] || r.Counts[FindingsBounded] != want[1] {
			t.Errorf("at most %d: %v, want %d pairs and %d remarks that there are more", limit, r.Counts, want[0], want[1])
		}
	}
}

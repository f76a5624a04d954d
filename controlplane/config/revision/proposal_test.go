package revision

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
)

var fourEyed = bytes.Replace(examples.Lab, []byte("model: alpha\n"), []byte("model: alpha\nfour-eyes: true\n"), 1)

func edit(t *testing.T, text []byte, pairs ...string) []byte {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if bytes.Count(text, []byte(pairs[i])) != 1 {
			t.Fatalf("%q stands %d times", pairs[i], bytes.Count(text, []byte(pairs[i])))
		}
		text = bytes.Replace(text, []byte(pairs[i]), []byte(pairs[i+1]), 1)
	}
	return text
}

// TestWhatTouchesMyNumber: with four eyes on, every change of My Number waits, and others do not.
func TestWhatTouchesMyNumber(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	if _, err := d.commit("sato", "init", fourEyed); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		pairs []string
		want  string // in the reasons; "": it needs nobody
	}{
		{"a remark", []string{"# The lab's town hall", "# The lab's own town hall"}, ""},
		{"an LGWAN record's purpose", []string{"purpose: 申告データの照会", "purpose: 照会"}, ""},
		{"an LGWAN station", []string{"02:53:4b:20:00:12", "02:53:4b:20:00:13"}, ""},
		{"an internet record", []string{"to: {services: [web]}\n    ports: []", "to: {services: [web]}\n    ports: [tcp/443]"}, ""},
		{"the town's name", []string{"en: Umiyama", "en: Umiyama town"}, ""},
		{"an LGWAN transfer", []string{"{from: lgwan, to: internet, approvals: [section-head], formats: [txt, csv, png", "{from: lgwan, to: internet, approvals: [section-head], formats: [csv, png"}, ""},

		{"the mode itself", []string{"four-eyes: true", "four-eyes: false"}, "four-eyes"},
		{"the mode's absence", []string{"four-eyes: true\n", ""}, "four-eyes"},
		{"a record's purpose", []string{"purpose: 帳票の出力", "purpose: 出力"}, "communications resident-general"},
		{"a record's ports", []string{"ports: [tcp/5202, udp/5202]", "ports: [tcp/5202]"}, "communications resident-general"},
		{"a record's end", []string{"purpose: バックアップの取得\n    owner: 情報管理室\n    until: 2036-03-31", "purpose: バックアップの取得\n    owner: 情報管理室\n    until: 2035-03-31"}, "communications resident-backup"},
		{"a record that goes", []string{string(examples.Lab[bytes.Index(examples.Lab, []byte("  - id: resident-backup")):bytes.Index(examples.Lab, []byte("  - id: resident-standby\n    name: {ja: 住民記録 待機系"))]), ""}, "communications resident-backup"},
		{"a record that comes", []string{"  - id: web-use\n", "  - {id: more, from: {stations: [mn-pc2]}, to: {services: [eltax]}, ports: [], purpose: 照会, owner: 住民課}\n  - id: web-use\n"}, "communications more"},
		{"a record from a group", []string{"  - id: web-use\n", "  - {id: more, from: {groups: [tax-desks]}, to: {services: [eltax]}, ports: [], purpose: 照会, owner: 住民課}\n  - id: web-use\n"}, "communications more"},
		{"a station's MAC", []string{"02:53:4b:10:00:12", "02:53:4b:10:00:13"}, "stations mn-pc2"},
		{"a station that comes", []string{"  - {id: lg-pc1, segment", "  - {id: mn-pc3, segment: mn-office, mac: \"02:53:4b:10:00:13\", addresses: [198.18.10.13]}\n  - {id: lg-pc1, segment"}, "stations mn-pc3"},
		{"a segment", []string{"gate: [198.18.10.1, \"2001:db8:10::1\"], strict: true", "gate: [198.18.10.1, \"2001:db8:10::1\"], strict: true, limits: {flows: 100}"}, "segments mn-office"},
		{"a service in the cloud", []string{"    addresses: [198.51.100.11]", "    addresses: [198.51.100.12]"}, "services resident"},
		{"a group", []string{"stations: [mn-pc1], name", "stations: [mn-pc1, mn-pc2], name"}, "groups tax-desks"},
		{"a tunnel's listener", []string{"listen: 51820", "listen: 51820, mtu: 1300"}, "tunnels wg0"},
		{"a region", []string{"en: Osaka region", "en: Osaka"}, "regions osaka"},
		{"a bandwidth class", []string{"guarantee: 25Mbit", "guarantee: 26Mbit"}, "classes core"},
		{"the line", []string{"rate: 50Mbit", "rate: 60Mbit"}, "lines line1"},
		{"the portal", []string{"portal.mn.umiyama", "portal.mynumber.umiyama"}, "portals my-number"},
		{"a transfer", []string{"{from: my-number, to: lgwan, approvals: [section-head], formats: [txt,", "{from: my-number, to: lgwan, approvals: [section-head], formats: ["}, "transfers my-number to lgwan"},
		{"the model", []string{"model: alpha", "model: alpha-prime"}, "model"},
		{"picking up", []string{"model: alpha\n", "model: alpha\npick-up-seconds: 60\n"}, "pick-up-seconds"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := edit(t, fourEyed, c.pairs...)
			cfg, g, err := d.prove(text)
			if err != nil {
				t.Fatal(err)
			}
			why := d.fourEyes(ctx, &draft{head: d.Head().Revision, cfg: cfg, g: g})
			if c.want == "" && len(why) > 0 || c.want != "" && !slices.Contains(why, c.want) {
				t.Errorf("touches %v, want %q", why, c.want)
			}
			// The other way round, too.
			old := d.Head()
			d.set(&Head{old.Revision, cfg, g, g.Digest()})
			cfg.FourEyes = true
			if back := d.fourEyes(ctx, &draft{head: old.Revision, cfg: old.Config, g: old.Generation}); !strings.Contains(c.want, "four-eyes") && (len(back) > 0) != (c.want != "") {
				t.Errorf("and back it touches %v", back)
			}
			d.set(old)
		})
	}
}

// TestTablesTellByThemselves: were the document's entries overlooked, the compiled tables still tell.
func TestTablesTellByThemselves(t *testing.T) {
	d := newDesk(t)
	tables := func(text []byte) []byte {
		t.Helper()
		_, g, err := d.prove(text)
		if err != nil {
			t.Fatal(err)
		}
		return myNumber(g.Tables)
	}
	honest := tables(examples.Lab)
	for name, c := range map[string]struct {
		pairs []string
		same  bool
	}{
		"an LGWAN record that goes":      {[]string{string(examples.Lab[bytes.Index(examples.Lab, []byte("  - id: asp-use")):bytes.Index(examples.Lab, []byte("  - id: web-use"))]), ""}, true},
		"an internet record's port":      {[]string{"to: {services: [web]}\n    ports: []", "to: {services: [web]}\n    ports: [tcp/443]"}, true},
		"a My Number record's port":      {[]string{"ports: [tcp/5202, udp/5202]", "ports: [tcp/5202]"}, false},
		"a My Number record's end":       {[]string{"purpose: 帳票の出力\n    owner: 住民課\n    until: 2036-03-31", "purpose: 帳票の出力\n    owner: 住民課\n    until: 2035-03-31"}, false},
		"a My Number record's class":     {[]string{"class: general\n", "class: core\n"}, false},
		"a My Number station's MAC":      {[]string{"02:53:4b:10:00:12", "02:53:4b:10:00:13"}, false},
		"a My Number station's address":  {[]string{"198.18.10.12,", "198.18.10.13,"}, false},
		"a My Number segment's limits":   {[]string{"gate: [198.18.10.1, \"2001:db8:10::1\"], strict: true", "gate: [198.18.10.1, \"2001:db8:10::1\"], strict: true, limits: {flows: 100}"}, false},
		"a My Number record that serves": {[]string{"from: {stations: [mn-pc2]}", "from: {stations: [mn-pc1]}"}, false},
	} {
		if same := bytes.Equal(honest, tables(edit(t, examples.Lab, c.pairs...))); same != c.same {
			t.Errorf("%s: the same %v, want %v", name, same, c.same)
		}
	}
}

// TestOrderTells: two records of My Number change places, and with them the bandwidth class of what both permit. No entry of the
// document differs; the compiled tables do.
func TestOrderTells(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	const one = "  - {id: one, from: {stations: [mn-pc1]}, to: {services: [resident-standby]}, ports: [], class: backup, purpose: 照会, owner: 住民課}\n"
	const two = "  - {id: two, from: {stations: [mn-pc1]}, to: {services: [resident-standby]}, ports: [], class: general, purpose: 照会, owner: 住民課}\n"
	text := edit(t, fourEyed, "communications:\n", "communications:\n"+one+two)
	if _, err := d.commit("sato", "init", text); err != nil {
		t.Fatal(err)
	}
	_, err := d.Commit(ctx, d.person("sato"), Change{Text: edit(t, fourEyed, "communications:\n", "communications:\n"+two+one), Parent: 1})
	var w *Waiting
	if !errors.As(err, &w) || !slices.Equal(w.Proposal.Why, []string{"the compiled tables"}) {
		t.Errorf("got %v", err)
	}
}

// TestApprovedIsWhatWasSeen: a text that was changed in the store, or that compiles to something else by now, is not applied.
func TestApprovedIsWhatWasSeen(t *testing.T) {
	ctx := context.Background()
	for name, harm := range map[string]func(t *testing.T, d *desk){
		"changed in the store": func(t *testing.T, d *desk) {
			if _, err := d.store.Commit(ctx, store.Txn{Put: []store.Put{{Key: key(draftKey, 1), Value: append(bytes.Clone(fourEyed), "# on\n"...)}}}); err != nil {
				t.Fatal(err)
			}
		},
		"after another head": func(t *testing.T, d *desk) {
			if _, err := d.store.Commit(ctx, store.Txn{Put: []store.Put{{Key: key(metaKey, 2), Value: []byte(`{"number":2,"parent":1,"author":"sato"}`)}, {Key: key(textKey, 2), Value: fourEyed}, {Key: headKey, Value: []byte("2")}}}); err != nil {
				t.Fatal(err)
			}
			if err := d.Load(ctx); err != nil {
				t.Fatal(err)
			}
		},
		"compiled otherwise": func(t *testing.T, d *desk) {
			d.compile = func(c *config.Config, a *anchors.Anchors) (gate.Generation, error) {
				g, err := policy.Compile(c, a)
				g.Bandwidth = nil
				return g, err
			}
		},
	} {
		d, p := proposed(t, Change{})
		harm(t, d)
		if _, err := d.Approve(ctx, d.person("suzuki"), 1, p.Text, p.Digest); err == nil || !strings.Contains(err.Error(), "propose it again") || len(d.puppet.applied) != 1 {
			t.Errorf("%s: %v, applied %v", name, err, d.puppet.applied)
		}
	}
}

// TestProposedOnTrial: a proposal that would replace a change on trial is void when that goes back.
func TestProposedOnTrial(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	if _, err := d.commit("sato", "init", fourEyed); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Commit(ctx, d.person("sato"), Change{Text: append(bytes.Clone(fourEyed), "# on\n"...), Parent: 1, Confirm: time.Minute}); err != nil {
		t.Fatal(err)
	}
	_, err := d.Commit(ctx, d.person("sato"), Change{Text: edit(t, fourEyed, "purpose: 帳票の出力", "purpose: 出力"), Parent: 2, Replace: true})
	var w *Waiting
	var u *Unconfirmed
	if !errors.As(err, &w) {
		t.Fatal(err)
	}
	if _, err := d.Approve(ctx, d.person("suzuki"), 1, w.Proposal.Text, w.Proposal.Digest); !errors.As(err, &u) {
		t.Errorf("approved while the other is on trial: %v", err)
	}
	d.today = d.today.Add(time.Hour)
	if _, err := d.Restore(ctx); err != nil {
		t.Fatal(err)
	}
	if p, _, err := d.Proposed(ctx, 1); err != nil || p.State != Void {
		t.Errorf("%+v %v", p, err)
	}
}

// proposed is a desk with four eyes and sato's proposal 1.
func proposed(t *testing.T, c Change) (*desk, Proposal) {
	t.Helper()
	d := newDesk(t)
	if _, err := d.commit("sato", "init", fourEyed); err != nil {
		t.Fatal(err)
	}
	c.Text, c.Parent = edit(t, fourEyed, "purpose: 帳票の出力", "purpose: 出力"), 1
	_, err := d.Commit(context.Background(), d.person("sato"), c)
	var w *Waiting
	if !errors.As(err, &w) || w.Proposal.Number != 1 || d.Head().Number != 1 || len(d.puppet.applied) != 1 {
		t.Fatalf("%v, applied %v", err, d.puppet.applied)
	}
	if e := d.last(t); e.Action != "config.propose" || e.Actor != "sato" || e.Object != "1" || e.Detail["text"] != w.Proposal.Text {
		t.Errorf("recorded %+v", e)
	}
	return d, w.Proposal
}

func TestApprove(t *testing.T) {
	ctx := context.Background()
	d, p := proposed(t, Change{Comment: "fewer words", Confirm: time.Minute})
	claimed := d.person("root")
	claimed.Claim = "suzuki"
	behind := d.person("suzuki")
	behind.Claim = "sato"
	unproven := d.person("suzuki")
	unproven.Proven = false
	loggedIn := d.person("suzuki")
	loggedIn.Login = "Sato"
	for name, c := range map[string]struct {
		by           Author
		text, digest string
	}{
		"its author":                        {d.person("sato"), p.Text, p.Digest},
		"its author, in capitals":           {d.person("SATO"), p.Text, p.Digest},
		"another login, without a password": {unproven, p.Text, p.Digest},
		"another, in the author's session":  {loggedIn, p.Text, p.Digest},
		"root, whoever that is":             {d.person("root"), p.Text, p.Digest},
		"root, who says it is another":      {claimed, p.Text, p.Digest},
		"another, at the author's terminal": {behind, p.Text, p.Digest},
		"nobody":                            {Author{}, p.Text, p.Digest},
		"another text":                      {d.person("suzuki"), strings.Repeat("0", 64), p.Digest},
		"another generation":                {d.person("suzuki"), p.Text, strings.Repeat("0", 64)},
		"nothing":                           {d.person("suzuki"), "", ""},
	} {
		if _, err := d.Approve(ctx, c.by, 1, c.text, c.digest); err == nil || len(d.puppet.applied) != 1 {
			t.Fatalf("%s: %v, applied %v", name, err, d.puppet.applied)
		}
		if e := d.last(t); e.Action != "config.refuse" || e.Detail["act"] != "approve" {
			t.Errorf("%s: recorded %+v", name, e)
		}
	}
	if _, err := d.Approve(ctx, d.person("suzuki"), 2, p.Text, p.Digest); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a proposal that never was: %v", err)
	}
	r, err := d.Approve(ctx, d.person("suzuki"), 1, p.Text, p.Digest)
	if err != nil || r.Number != 2 || r.Author != "sato" || r.Approver != "suzuki" || r.Proposal != 1 || r.Comment != "fewer words" || r.Trial == nil || r.Text != p.Text {
		t.Fatalf("%+v %v", r, err)
	}
	as := d.actions(t)
	if !slices.Equal(as[len(as)-4:], []string{"config.approve", "config.apply", "config.commit", "config.approved"}) {
		t.Errorf("recorded %v", as)
	}
	if _, err := d.Approve(ctx, d.person("suzuki"), 1, p.Text, p.Digest); err == nil {
		t.Error("approved twice")
	}
	// It is its author's change to confirm, not the approver's.
	if _, err := d.Confirm(ctx, d.person("suzuki"), r.Trial.ID); err == nil {
		t.Error("the approver confirmed")
	}
	own := d.person("sato")
	own.Request = p.Request
	if _, err := d.Confirm(ctx, own, r.Trial.ID); err == nil {
		t.Error("the request that proposed it confirmed")
	}
	if _, err := d.Confirm(ctx, d.person("sato"), r.Trial.ID); err != nil {
		t.Error(err)
	}
}

// TestProposalsEnd: withdrawn, expired, void when the head moved on; none of them is applied after that.
func TestProposalsEnd(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		end  func(d *desk) error
		want Fate
	}{
		"withdrawn":          {func(d *desk) error { return d.Withdraw(ctx, d.person("sato"), 1, "a slip") }, Withdrawn},
		"refused by another": {func(d *desk) error { return d.Withdraw(ctx, d.person("suzuki"), 1, "no need") }, Withdrawn},
		"expired": {func(d *desk) error {
			d.today = d.today.Add(7 * 24 * time.Hour)
			_, err := d.Restore(ctx)
			return err
		}, Expired},
		"the head moved on": {func(d *desk) error {
			_, err := d.Commit(ctx, d.person("suzuki"), Change{Text: append(bytes.Clone(fourEyed), "# a remark\n"...), Parent: 1})
			return err
		}, Void},
		"the head went back": {func(d *desk) error {
			_, err := d.Commit(ctx, d.person("suzuki"), Change{Text: append(bytes.Clone(fourEyed), "# a remark\n"...), Parent: 1, Confirm: time.Minute})
			if err == nil {
				d.today = d.today.Add(time.Hour)
				_, err = d.Restore(ctx)
			}
			return err
		}, Void},
	} {
		d, p := proposed(t, Change{})
		if err := c.end(d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if open, err := d.Proposals(ctx, false); err != nil || len(open) != 0 {
			t.Errorf("%s: %+v %v", name, open, err)
		}
		if got, _, err := d.Proposed(ctx, 1); err != nil || got.State != c.want || got.Because == "" || got.At.IsZero() {
			t.Errorf("%s: %+v %v", name, got, err)
		}
		head := d.Head().Number
		if _, err := d.Approve(ctx, d.person("yamada"), 1, p.Text, p.Digest); err == nil || d.Head().Number != head || !strings.Contains(err.Error(), string(c.want)) {
			t.Errorf("%s: approved after that: %v", name, err)
		}
		if err := d.Withdraw(ctx, d.person("sato"), 1, ""); err == nil {
			t.Errorf("%s: withdrawn after that", name)
		}
	}
	// At the very end of its time, before anybody has looked.
	d, p := proposed(t, Change{})
	d.today = d.today.Add(ProposalTime)
	if _, err := d.Approve(ctx, d.person("suzuki"), 1, p.Text, p.Digest); err == nil {
		t.Error("approved after its time")
	}
}

// TestAnother: two are different persons when the directory knows both and nothing else says that they may be one.
func TestAnother(t *testing.T) {
	sato := Author{ID: "sato", Via: Console, Claim: "desk7", Login: "office", Proven: true}
	for name, c := range map[string]struct {
		b    Author
		want bool
	}{
		"another":                           {Author{ID: "suzuki", Via: Web, Proven: true}, true},
		"another, at another terminal":      {Author{ID: "suzuki", Claim: "desk8", Login: "desk", Proven: true}, true},
		"another by a login":                {Author{ID: "suzuki", Login: "suzuki"}, false},
		"the same, written otherwise":       {Author{ID: "SATO", Via: Web, Proven: true}, false},
		"another, at the same terminal":     {Author{ID: "suzuki", Claim: "Desk7", Proven: true}, false},
		"another, in the same session":      {Author{ID: "suzuki", Login: "office", Proven: true}, false},
		"another, who is said to be sato":   {Author{ID: "suzuki", Claim: "sato", Proven: true}, false},
		"the one whom sato's session names": {Author{ID: "office", Via: Web, Proven: true}, false},
		"nobody":                            {Author{}, false},
	} {
		if sato.another(c.b) != c.want || c.b.another(sato) != c.want {
			t.Errorf("%s: want %v", name, c.want)
		}
	}
}

// TestWhoSitsThere: with four eyes on, nobody unknown proposes, and nobody gets round it.
func TestWhoSitsThere(t *testing.T) {
	ctx := context.Background()
	d, p := proposed(t, Change{})
	text := edit(t, fourEyed, "purpose: 帳票の出力", "purpose: 出力")
	unknown := func(err error) bool {
		var no *Denied
		return errors.As(err, &no) && strings.Contains(err.Error(), "--as ID")
	}
	waits := func(err error) bool { var w *Waiting; return errors.As(err, &w) }
	login := d.person("yamada")
	login.Login, login.Proven = login.ID, false
	for name, c := range map[string]struct {
		do   func() error
		want func(error) bool
	}{
		"root commits":                       {func() error { _, err := d.Commit(ctx, d.person("root"), Change{Text: text, Parent: 1}); return err }, unknown},
		"a login without a password commits": {func() error { _, err := d.Commit(ctx, login, Change{Text: text, Parent: 1}); return err }, unknown},
		"root approves":                      {func() error { _, err := d.Approve(ctx, d.person("root"), 1, p.Text, p.Digest); return err }, unknown},
		"the mode is off": {func() error {
			_, err := d.Commit(ctx, d.person("suzuki"), Change{Text: examples.Lab, Parent: 1})
			return err
		}, waits},
		"proposed by its name": {func() error {
			_, err := d.Propose(ctx, d.person("root"), Change{Text: fourEyed, Parent: 1})
			return err
		}, unknown},
	} {
		if err := c.do(); !c.want(err) || d.Head().Number != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A rollback is a change like any other.
	if _, err := d.Approve(ctx, d.person("suzuki"), 1, p.Text, p.Digest); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Rollback(ctx, d.person("suzuki"), RollbackTo{}); !waits(err) || d.Head().Number != 2 {
		t.Errorf("rollback: %v", err)
	}
}

// uncompiled is a text that is in order and does not compile, with one line more.
func uncompiled(line string) string {
	return string(bytes.Replace(joining, []byte("model: alpha\n"), []byte("model: alpha\n"+line+"\n"), 1))
}

// TestUnreadableHead: what was in force cannot be read any more, so nobody can tell what a change touches.
func TestUnreadableHead(t *testing.T) {
	ctx := context.Background()
	for text, want := range map[string]bool{
		"version: 99\nfour-eyes: true\n":            true,
		"{version: 99, 'four-eyes': true}\n":        true,
		"version: 99\nfour-eyes: True\n":            true,
		"version: 99\nfour-eyes:\n  TRUE\n":         true,
		"version: 99\nfour-eyes: !!bool true\n":     true,
		"version: 99\n? four-eyes\n: true\n":        true,
		"version: 99\nfour-eyes: falsely\n":         true,
		"version: 99\nx: &m {four-eyes: on}\n":      true,
		"version: 99\n\"four\\x2deyes\": true\n":    true,
		"version: 99\nfour-eyes: false\n":           false,
		"{version: 99, 'four-eyes': False, x: y}\n": false,
		"version: 99\n":                             false,
		uncompiled("four-eyes: TRUE"):               true,
		uncompiled("\"four\\x2deyes\": true"):       true,
		uncompiled("# four-eyes: true"):             false,
	} {
		d := newDesk(t)
		if _, err := d.commit("sato", "init", examples.Lab); err != nil {
			t.Fatal(err)
		}
		if _, err := d.store.Commit(ctx, store.Txn{Put: []store.Put{{Key: key(textKey, 1), Value: []byte(text)}}}); err != nil {
			t.Fatal(err)
		}
		d.Book = d.reopen()
		if err := d.Load(ctx); err == nil {
			t.Fatal("it reads")
		}
		_, err := d.Commit(ctx, d.person("sato"), Change{Text: examples.Lab, Parent: 1})
		var w *Waiting
		if errors.As(err, &w) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

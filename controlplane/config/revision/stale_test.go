package revision

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
)

// TestTwoPeopleEdit: the second is told what the first changed, merges or is shown the conflict; nothing is silently overwritten.
func TestTwoPeopleEdit(t *testing.T) {
	ctx := context.Background()
	change := func(from, to string) []byte {
		t.Helper()
		if bytes.Count(examples.Lab, []byte(from)) != 1 {
			t.Fatalf("%q stands %d times", from, bytes.Count(examples.Lab, []byte(from)))
		}
		return bytes.Replace(examples.Lab, []byte(from), []byte(to), 1)
	}
	first := change("purpose: 情報収集", "purpose: 情報の収集")
	for _, c := range []struct {
		name   string
		mine   []byte
		parent int
		who    string
		stale  bool
		merged bool // a merged text is offered
		says   []string
	}{
		{"edited from the head", bytes.Replace(first, []byte("帳票の出力"), []byte("出力"), 1), 2, "suzuki", false, false, nil},
		{"another entry", change("帳票の出力", "出力"), 1, "suzuki", true, true, []string{"edited from revision 1", "revision 2 (sato", "communications web-use changed", "purpose: 情報収集 -> 情報の収集", "--merge"}},
		{"the same entry", change("purpose: 情報収集", "purpose: 調査"), 1, "suzuki", true, false, []string{"both of you changed the same", "theirs: communications web-use", "yours: communications web-use", "情報収集 -> 調査"}},
		{"the same entry, the same way", first, 1, "suzuki", true, true, nil},
		{"nobody knows from where", change("帳票の出力", "出力"), 0, "suzuki", true, false, []string{"sekisho show", "--parent"}},
		{"one's own, from nobody knows where", change("帳票の出力", "出力"), 0, "sato", false, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			if _, err := d.commit("root", "init", examples.Lab); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Commit(ctx, d.person("sato"), Change{Text: first, Parent: 1}); err != nil {
				t.Fatal(err)
			}
			applied := len(d.puppet.applied)
			ask := Change{Text: c.mine, Parent: c.parent}
			r, err := d.Commit(ctx, d.person(c.who), ask)
			var s *Stale
			if errors.As(err, &s) != c.stale {
				t.Fatalf("%+v %v", r, err)
			}
			if !c.stale {
				if err != nil || r.Number != 3 {
					t.Errorf("%+v %v", r, err)
				}
				return
			}
			if (s.Merged != nil) != c.merged || len(d.puppet.applied) != applied || d.Head().Number != 2 || d.last(t).Action != "config.refuse" {
				t.Errorf("merged %v, applied %v", s.Merged != nil, d.puppet.applied)
			}
			for _, w := range c.says {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("says\n%s\nwithout %s", err, w)
				}
			}
			ask.Merge = true
			r, err = d.Commit(ctx, d.person(c.who), ask)
			if !c.merged {
				if err == nil {
					t.Errorf("merged %+v", r)
				}
				return
			}
			if err != nil || r.Number != 3 || r.Parent != 2 || r.Merged != 1 {
				t.Fatalf("%+v %v", r, err)
			}
			if _, text, err := d.Read(ctx, 3); err != nil || !bytes.Contains(text, []byte("情報の収集")) || !bytes.Equal(text, s.Merged) {
				t.Errorf("the merged text: %v\n%s", err, text)
			}
			if as := d.actions(t); !slices.Equal(as[len(as)-2:], []string{"config.commit", "config.merge"}) {
				t.Errorf("recorded %v", as)
			}
		})
	}
}

// TestMergeOfAFaultyText: the faults of one's own text come first, with the lines of that text.
func TestMergeOfAFaultyText(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	for i, text := range [][]byte{examples.Lab, append([]byte("# More above.\n"), examples.Lab...)} {
		if _, err := d.Commit(ctx, d.person("sato"), Change{Text: text, Parent: i}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := d.Commit(ctx, d.person("suzuki"), Change{Text: bytes.Replace(examples.Lab, []byte("model: alpha"), []byte("model: omega"), 1), Parent: 1, Merge: true})
	var f config.Errors
	if line := bytes.Count(examples.Lab[:bytes.Index(examples.Lab, []byte("model: alpha"))], []byte("\n")) + 1; !errors.As(err, &f) || f[0].Line != line {
		t.Errorf("got %v, want a fault in line %d", err, line)
	}
}

// TestMergeThatDoesNotStand: each change alone is sound, both together are not: the merge is refused, and nothing is in force.
func TestMergeThatDoesNotStand(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	rename := func(text []byte, pairs ...string) []byte {
		for i := 0; i < len(pairs); i += 2 {
			text = bytes.ReplaceAll(text, []byte(pairs[i]), []byte(pairs[i+1]))
		}
		return text
	}
	if _, err := d.commit("root", "init", examples.Lab); err != nil {
		t.Fatal(err)
	}
	// The first removes a station and what named it; the second gives it a new record.
	theirs := rename(examples.Lab, "  - {id: lg-pc2, segment: lg-office, mac: \"02:53:4b:20:00:12\", addresses: [198.18.20.12, \"2001:db8:20::12\"], owner: 企画課}\n", "", "[lg-pc1, lg-pc2]", "[lg-pc1]")
	mine := rename(examples.Lab, "  - id: web-use\n", "  - {id: more, from: {stations: [lg-pc2]}, to: {services: [eltax]}, ports: [], purpose: 照会, owner: 企画課}\n  - id: web-use\n")
	if _, err := d.Commit(ctx, d.person("sato"), Change{Text: theirs, Parent: 1}); err != nil {
		t.Fatal(err)
	}
	_, err := d.Commit(ctx, d.person("suzuki"), Change{Text: mine, Parent: 1, Merge: true})
	var f config.Errors
	if !errors.As(err, &f) || !strings.Contains(err.Error(), "lg-pc2") || d.Head().Number != 2 {
		t.Errorf("got %v, head %d", err, d.Head().Number)
	}
}

// TestTextFromNowhere: a text that names no revision may stem from any, so it takes the place of one's own work only.
func TestTextFromNowhere(t *testing.T) {
	ctx := context.Background()
	text := func(n int) []byte { return append(bytes.Clone(examples.Lab), strings.Repeat("# more\n", n)...) }
	for _, c := range []struct {
		name string
		by   []string // who made revisions 2 and on, each from the one before
		who  string
		ok   bool
	}{
		{"over the first", nil, "sato", true},
		{"over the first, by nobody knows whom", nil, Root, true},
		{"over one's own", []string{"sato", "sato"}, "sato", true},
		{"over another's between one's own", []string{"sato", "suzuki", "sato"}, "sato", false},
		{"over another's before one's own", []string{"suzuki", "sato", "sato"}, "sato", false},
		{"nobody knows whom over nobody knows whom", []string{Root}, Root, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			if _, err := d.commit("root", "init", examples.Lab); err != nil {
				t.Fatal(err)
			}
			for i, who := range c.by {
				if _, err := d.Commit(ctx, d.person(who), Change{Text: text(i + 1), Parent: i + 1}); err != nil {
					t.Fatal(err)
				}
			}
			_, err := d.commit(c.who, "an old file", append(text(0), "# old\n"...))
			var s *Stale
			if c.ok != (err == nil) || !c.ok && (!errors.As(err, &s) || s.Parent != 0) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestRollbackBesideAnotherHead: whoever goes back has looked at what is lost by it; what came into force meanwhile is not.
func TestRollbackBesideAnotherHead(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	for i, who := range []string{"sato", "sato", "suzuki"} {
		if _, err := d.Commit(ctx, d.person(who), Change{Text: edit(t, examples.Lab, "purpose: 情報収集", "purpose: 情報収集"+strings.Repeat("x", i+1)), Parent: i}); err != nil {
			t.Fatal(err)
		}
	}
	var stale *Stale
	if _, err := d.Rollback(ctx, d.person("sato"), RollbackTo{Number: 1, Head: 2}); !errors.As(err, &stale) || stale.Head.Number != 3 || !strings.Contains(err.Error(), "suzuki") || d.Head().Number != 3 {
		t.Errorf("%v, head %d", err, d.Head().Number)
	}
	if r, err := d.Rollback(ctx, d.person("sato"), RollbackTo{Number: 1, Head: 3}); err != nil || r.Of != 1 {
		t.Errorf("%+v %v", r, err)
	}
}

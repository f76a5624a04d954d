package revision

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config/examples"
)

// TestNobodyKnowsWho: what only its author may confirm needs one who is known; two people at root's console are not the same one.
func TestNobodyKnowsWho(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	if _, err := d.commit(Root, "init", examples.Lab); err != nil { // for good, as at the first use
		t.Fatal(err)
	}
	if _, err := d.commit("sato", "on", without(t, examples.Lab, "web-use")); err != nil {
		t.Fatal(err)
	}
	unknown := d.person(Root)
	unknown.Claim = "sato"
	for name, try := range map[string]func() (Revision, error){
		"commit": func() (Revision, error) {
			return d.Commit(ctx, d.person(Root), Change{Text: examples.Lab, Parent: 2, Confirm: time.Minute})
		},
		"commit with a claim": func() (Revision, error) {
			return d.Commit(ctx, unknown, Change{Text: examples.Lab, Parent: 2, Confirm: time.Minute})
		},
		"rollback to a number": func() (Revision, error) {
			return d.Rollback(ctx, d.person(Root), RollbackTo{Number: 1, Confirm: time.Minute})
		},
	} {
		_, err := try()
		var no *Denied
		if !errors.As(err, &no) || !strings.Contains(err.Error(), "--as ID") || d.puppet.trial != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := d.Rollback(ctx, d.person(Root), RollbackTo{}); err != nil {
		t.Errorf("for good: %v", err)
	}
}

// TestComments: what somebody writes comes to terminals as it is, so it is one line of text and of bounded length.
func TestComments(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	if _, err := d.commit("sato", "init", fourEyed); err != nil {
		t.Fatal(err)
	}
	touching := edit(t, fourEyed, "purpose: 帳票の出力", "purpose: 出力")
	var w *Waiting
	if _, err := d.commit("sato", "print", touching); !errors.As(err, &w) {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"an escape":           "web\x1b[2J\x1b[Hrevision 7 is confirmed",
		"a line break":        "web\n8\troot",
		"of the other set":    "web\u009b2J",
		"a line separator":    "web\u2028all",
		"what turns it round": "web \u202etxt.exe",
		"what is no text":     "web\xff",
		"too long":            strings.Repeat("長", 301),
	} {
		events := d.log.Size()
		acts := map[string]func() error{
			"commit": func() error {
				_, err := d.Commit(ctx, d.person("sato"), Change{Text: fourEyed, Parent: 1, Comment: bad})
				return err
			},
			"propose": func() error {
				_, err := d.Propose(ctx, d.person("sato"), Change{Text: fourEyed, Parent: 1, Comment: bad})
				return err
			},
			"rollback": func() error {
				_, err := d.Rollback(ctx, d.person("sato"), RollbackTo{Number: 1, Comment: bad})
				return err
			},
			"withdraw": func() error { return d.Withdraw(ctx, d.person("sato"), 1, bad) },
		}
		for act, try := range acts {
			err := try()
			var no *Denied
			if !errors.As(err, &no) || no.Act != "comment" {
				t.Errorf("%s with %s: %v", act, name, err)
			}
			if e := d.last(t); e.Action != "config.refuse" || e.Detail["act"] != act || strings.Contains(e.Detail["comment"], bad) {
				t.Errorf("%s with %s: recorded %+v", act, name, e)
			}
		}
		if n := d.log.Size() - events; int(n) != len(acts) {
			t.Errorf("%s: %d events", name, n)
		}
	}
	if ps, err := d.Proposals(ctx, false); err != nil || len(ps) != 1 {
		t.Errorf("%+v %v", ps, err)
	}
	if err := d.Withdraw(ctx, d.person("sato"), 1, strings.Repeat("長", 300)); err != nil {
		t.Error(err)
	}
}

package transfer

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// TestPasswordsAreHandedOnAndForgotten: the broker gets them, and nothing that control keeps or logs ever holds them.
func TestPasswordsAreHandedOnAndForgotten(t *testing.T) {
	ctx := context.Background()
	const secret = "planted-password"
	send := func(o *office, keys ...string) (web.Transfer, error) {
		return o.Create(ctx, o.suzuki, anchors.LGWAN, anchors.Internet, "a.zip", "", keys, strings.NewReader(content))
	}
	locked := func(b broker.Order) (broker.Outcome, error) {
		return broker.Outcome{Report: verdict.Report{Outcome: verdict.Blocked, Findings: []verdict.Finding{{Code: "archive.password", Action: verdict.Refused}}}}, nil
	}
	t.Run("handed on", func(t *testing.T) {
		o, b, run := slow(t, 1)
		var log bytes.Buffer
		o.Desk.o.Log = slog.New(slog.NewTextHandler(&log, nil))
		run()
		sent, err := send(o, secret, "second")
		if err != nil {
			t.Fatal(err)
		}
		b.next(t)
		b.end(t, errors.New("connection refused")) // tried again
		b.next(t)
		if got := b.orders[sent.ID].Keys; !slices.Equal(got, []string{secret, "second"}) {
			t.Errorf("the broker was given %q", got)
		}
		b.end(t, nil)
		other, err := send(o) // the one before is settled when this one's turn comes
		if err != nil {
			t.Fatal(err)
		}
		b.next(t)
		b.end(t, nil)
		if got := b.orders[other.ID].Keys; got != nil {
			t.Errorf("another file was given %q", got)
		}
		if err := o.Cancel(ctx, o.suzuki, anchors.LGWAN, other.ID); err != nil {
			t.Fatal(err)
		}
		o.errands.mu.Lock()
		defer o.errands.mu.Unlock()
		if len(o.errands.keys) != 0 {
			t.Errorf("kept: %q", o.errands.keys)
		}
		scan(t, o.dir, secret)
		if strings.Contains(log.String(), secret) {
			t.Errorf("logged: %s", log.String())
		}
	})
	t.Run("forgotten by a stop", func(t *testing.T) {
		o := newOffice(t)
		o.broker = locked
		sent, err := send(o, secret)
		if err != nil {
			t.Fatal(err)
		}
		o.Desk = New(o.Desk.o)
		got := o.work(sent.ID)
		if fs := got.Report.Findings; len(fs) != 2 || fs[1].Code != "gate.password-forgotten" {
			t.Errorf("%+v", fs)
		}
	})
	t.Run("wrong ones", func(t *testing.T) {
		o := newOffice(t)
		o.broker = locked
		sent, err := send(o, secret)
		if err != nil {
			t.Fatal(err)
		}
		if fs := o.work(sent.ID).Report.Findings; len(fs) != 1 {
			t.Errorf("%+v", fs)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		o := newOffice(t)
		sent, err := send(o, secret)
		if err == nil {
			err = o.Cancel(ctx, o.suzuki, anchors.LGWAN, sent.ID)
		}
		if err != nil || len(o.errands.keys) != 0 {
			t.Errorf("%v, kept %q", err, o.errands.keys)
		}
	})
	t.Run("odd ones", func(t *testing.T) {
		o := newOffice(t)
		for _, k := range []string{"", "a\nb", "a\x00b", strings.Repeat("x", verdict.MaxKey+1)} {
			if _, err := send(o, k); why(err) != web.CodePasswords {
				t.Errorf("%.20q: %v", k, err)
			}
		}
	})
}

package transfer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// approved is what release keeps and answers when a person approves.
func (o *office) approved(id, person, role string) verdict.Signed {
	o.t.Helper()
	signed, err := verdict.Sign(o.relKey, verdict.KindApproval, verdict.Approval{Transfer: id, SanitizedSHA256: digest(rebuilt).SHA256,
		From: anchors.LGWAN.String(), To: anchors.Internet.String(), Person: person, Role: role, Reason: "公開資料", PolicyRevision: "r1"})
	if err != nil {
		o.t.Fatal(err)
	}
	o.release.mu.Lock()
	defer o.release.mu.Unlock()
	o.release.given[id] = append(o.release.given[id], signed)
	return signed
}

// acts lists what the log says of a transfer after it was sent and verified.
func (o *office) acts(id string) []string {
	o.t.Helper()
	var out []string
	for _, e := range readAll(o.t, o.log) {
		if e.Object != id || !slices.Contains([]string{"transfer.approve", "transfer.cancel", "transfer.reject", "transfer.expire"}, e.Action) {
			continue
		}
		line := strings.TrimPrefix(e.Action, "transfer.") + " " + e.Actor
		if s := e.Detail["state"]; s != "" {
			line += " " + s
		}
		out = append(out, line)
	}
	return out
}

// TestACancelAndAnApprovalAtTheSameMoment: what is recorded first counts, the file of the other way is never let out, and every approval
// that release has is in the log, once, before release forgets it.
func TestACancelAndAnApprovalAtTheSameMoment(t *testing.T) {
	ctx := context.Background()
	const head = "section-head"
	cancel := func(o *office, id string) {
		t.Helper()
		if err := o.Cancel(ctx, o.suzuki, anchors.LGWAN, id); err != nil {
			t.Fatal(err)
		}
	}
	tend := func(o *office) {
		t.Helper()
		if err := o.Tend(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		do   func(o *office, id string)
		want []string
	}{
		"the receipt is late": {func(o *office, id string) {
			signed := o.approved(id, "tanaka", head)
			cancel(o, id)
			for range 2 {
				if err := o.Receipt(ctx, o.tanaka, anchors.LGWAN, id, signed); why(err) != web.CodeState {
					t.Errorf("got %v", err)
				}
			}
		}, []string{"cancel suzuki", "approve tanaka cancelled"}},
		"nobody brings the receipt": {func(o *office, id string) {
			o.approved(id, "tanaka", head)
			cancel(o, id)
		}, []string{"cancel suzuki", "approve tanaka cancelled"}},
		"nor after a restart": {func(o *office, id string) {
			o.approved(id, "tanaka", head)
			cancel(o, id)
			o.Desk = New(o.Desk.o)
		}, []string{"cancel suzuki", "approve tanaka cancelled"}},
		"approved when release is just to erase": {func(o *office, id string) {
			cancel(o, id)
			var once sync.Once
			o.release.asking = func(string) {
				once.Do(func() {
					o.release.mu.Unlock() // asked under it
					defer o.release.mu.Lock()
					o.approved(id, "tanaka", head)
				})
			}
			if err := o.Tend(ctx); err == nil {
				t.Error("it was erased with an approval that nobody knew")
			}
		}, []string{"cancel suzuki", "approve tanaka cancelled"}},
		"release reads its routes no more, for a while": {func(o *office, id string) {
			o.approved(id, "tanaka", head)
			cancel(o, id)
			o.release.blind = &release.Refusal{Code: release.CodeSetting}
			_ = o.Tend(ctx)
			if o.release.blind = nil; len(o.release.erased) > 0 {
				t.Error("it was erased while nobody could tell whether it was approved")
			}
		}, []string{"cancel suzuki", "approve tanaka cancelled"}},
		"release has forgotten it": {func(o *office, id string) {
			cancel(o, id)
			o.release.blind = &release.Refusal{Code: release.CodeErased}
			tend(o)
			o.release.blind = nil
			if left, err := o.under(ctx, eraseKey); err != nil || len(left) > 0 {
				t.Errorf("it is asked again: %q, %v", left, err)
			}
		}, []string{"cancel suzuki"}},
		"rejected by another": {func(o *office, id string) {
			o.approved(id, "mori", head)
			if err := o.Reject(ctx, o.tanaka, anchors.LGWAN, id, "氏名が残っています"); err != nil {
				t.Fatal(err)
			}
		}, []string{"reject tanaka", "approve mori rejected"}},
		"expired in between": {func(o *office, id string) {
			o.approved(id, "tanaka", head)
			o.mu.Lock()
			o.time = o.time.Add(8 * 24 * time.Hour)
			o.mu.Unlock()
		}, []string{"expire sekisho-control", "approve tanaka expired"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			id := o.send("a.txt").ID
			o.work(id)
			c.do(o, id)
			tend(o)
			tend(o)
			if got := o.acts(id); !slices.Equal(got, c.want) {
				t.Errorf("the log tells %q, want %q", got, c.want)
			}
			if _, there := o.release.files[id]; there {
				t.Error("release keeps the file")
			}
			scan(t, o.dir, "公開資料")
		})
	}
	t.Run("fetched before it is brought", func(t *testing.T) {
		o := newOffice(t)
		id := o.send("a.txt").ID
		o.work(id)
		signed := o.approved(id, "tanaka", head)
		tend(o)
		for range 2 {
			if err := o.Receipt(ctx, o.tanaka, anchors.LGWAN, id, signed); err != nil {
				t.Errorf("the approver is told %v, of a file that is released", err)
			}
		}
		if got, want := o.acts(id), []string{"approve tanaka released"}; !slices.Equal(got, want) {
			t.Errorf("the log tells %q, want %q", got, want)
		}
	})
	t.Run("after the first of two", func(t *testing.T) {
		o := newOffice(t)
		if err := os.WriteFile(filepath.Join(o.dir, "routes.yaml"), []byte(strings.Replace(routes, "[section-head]", "[section-head, it-admin]", 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		id := o.send("a.txt").ID
		o.work(id)
		if err := o.Receipt(ctx, o.tanaka, anchors.LGWAN, id, o.approved(id, "tanaka", head)); err != nil {
			t.Fatal(err)
		}
		scan(t, o.dir, "公開資料")
		cancel(o, id)
		o.approved(id, "mori", "it-admin")
		tend(o)
		if got, want := o.acts(id), []string{"approve tanaka awaiting-approval", "cancel suzuki", "approve mori cancelled"}; !slices.Equal(got, want) {
			t.Errorf("the log tells %q, want %q", got, want)
		}
	})
	t.Run("both at once", func(t *testing.T) {
		o := newOffice(t)
		ended := map[web.State]int{}
		for range 40 {
			id := o.send("a.txt").ID
			o.work(id)
			signed := o.approved(id, "tanaka", head)
			var both sync.WaitGroup
			var taken, given error
			both.Go(func() { taken = o.Cancel(ctx, o.suzuki, anchors.LGWAN, id) })
			both.Go(func() { given = o.Receipt(ctx, o.tanaka, anchors.LGWAN, id, signed) })
			both.Wait()
			tend(o)
			r, _, err := o.load(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			ended[r.State]++
			got := o.acts(id)
			switch {
			case r.State == web.Released && why(taken) == web.CodeApproved && given == nil && slices.Equal(got, []string{"approve tanaka released"}):
			case r.State == web.Cancelled && taken == nil && why(given) == web.CodeState && slices.Equal(got, []string{"cancel suzuki", "approve tanaka cancelled"}):
			default:
				t.Fatalf("%s: cancel %v, approval %v, log %q", r.State, taken, given, got)
			}
		}
		t.Log(fmt.Sprint(ended))
	})
}

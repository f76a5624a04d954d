package emergency

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/isolation"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// dataplane answers as the real one does, with the real keeper, and can lose what is said to it.
type dataplane struct {
	*isolation.Keeper
	deaf bool // does not hear that acts were collected
}

func (d *dataplane) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.Method + " " + r.URL.Path {
	case "POST /isolation":
		var o gate.Order
		if err = json.NewDecoder(r.Body).Decode(&o); err == nil && o.Act == isolation.Begin {
			_, err = d.Begin(o.Request)
		} else if err == nil {
			err = d.End(o.Request)
		}
	case "POST /isolation/collected":
		var c struct{ Seq uint64 }
		if err = json.NewDecoder(r.Body).Decode(&c); err == nil && !d.deaf {
			err = d.Collected(c.Seq)
		}
	}
	if err != nil {
		w.WriteHeader(http.StatusConflict)
		json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
		return
	}
	json.NewEncoder(w).Encode(gate.Isolation{State: d.State()})
}

// town is a dataplane, and control's store and log.
type town struct {
	t     *testing.T
	plane *dataplane
	sock  string
	store *store.Bolt
	log   *audit.Log
	desk  *Desk
}

func newTown(t *testing.T) *town {
	t.Helper()
	dir := t.TempDir()
	x := &town{t: t, sock: filepath.Join(dir, "d", "api.sock")}
	clock := isolation.Clock{Wall: time.Now, Boot: func() (string, time.Duration) { return "", 0 }, Behind: func() bool { return false }}
	x.plane = &dataplane{Keeper: isolation.Open(filepath.Join(dir, "isolation", "state.json"), clock, func([]anchors.Zone) error { return nil })}
	l, err := socket.Listen(x.sock)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(x.plane)
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	t.Cleanup(srv.Close)
	signer, verifier, err := audit.GenerateKey("sekisho.test/audit")
	if err != nil {
		t.Fatal(err)
	}
	if x.log, err = audit.Open(filepath.Join(dir, "audit"), signer, verifier, time.Now); err != nil {
		t.Fatal(err)
	}
	if x.store, err = store.OpenBolt(filepath.Join(dir, "state.db"), time.Second, time.Now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.store.Close(); x.log.Close() })
	x.start()
	return x
}

// start is control starting.
func (x *town) start() {
	j := audit.NewJournal(x.store, x.log)
	if _, err := j.Replay(x.t.Context(), x.log); err != nil {
		x.t.Fatal(err)
	}
	x.desk = New(Options{Dataplane: x.sock, Store: x.store, Journal: j})
}

// recorded are the acts in the log: action, object, actor, cause.
func (x *town) recorded() (out []string) {
	x.t.Helper()
	all, err := x.log.Read(0, x.log.Size())
	if err != nil {
		x.t.Fatal(err)
	}
	for _, e := range all {
		if strings.HasPrefix(e.Action, "isolation.") {
			out = append(out, strings.Join([]string{e.Action, e.Object, e.Actor, e.Detail["cause"], e.Detail["reason"]}, " "))
		}
	}
	return out
}

func (x *town) want(what string, lines ...string) {
	x.t.Helper()
	if got := x.recorded(); !slices.Equal(got, lines) {
		x.t.Errorf("%s: the log has\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

func TestEveryActIsRecordedOnce(t *testing.T) {
	x := newTown(t)
	ctx := t.Context()
	if c, err := x.desk.Isolate(ctx, "sato", anchors.LGWAN, "疑わしい通信", time.Now().Add(time.Hour)); err != nil || c.By != "sato" || c.Until.IsZero() {
		t.Fatalf("%+v, %v", c, err)
	}
	first := "isolation.begin lgwan sato begin 疑わしい通信"
	x.want("when the desk has answered", first)

	// What root does past control is recorded when control looks again, also by one that has just started.
	if _, err := x.plane.Begin(isolation.Request{Zone: anchors.Internet, By: "kato", Reason: "control is dead", Via: isolation.ViaRoot}); err != nil {
		t.Fatal(err)
	}
	x.start()
	if err := x.desk.Collect(ctx); err != nil {
		t.Fatal(err)
	}
	second := "isolation.begin internet root begin control is dead"
	x.want("past control", first, second)

	// Control dies after it recorded and before the dataplane heard of that.
	x.plane.deaf = true
	if err := x.desk.Rejoin(ctx, "sato", anchors.LGWAN, "確認済み"); err != nil {
		t.Fatal(err)
	}
	third := "isolation.end lgwan sato end 確認済み"
	for range 2 {
		x.start()
		if err := x.desk.Collect(ctx); err != nil {
			t.Fatal(err)
		}
	}
	x.want("with a dataplane that forgets nothing", first, second, third)
	x.plane.deaf = false
	if err := x.desk.Collect(ctx); err != nil {
		t.Fatal(err)
	}
	if left := x.plane.State().Events; len(left) != 0 {
		t.Errorf("left are %+v", left)
	}
	x.want("at the end", first, second, third)
	if cuts, err := x.desk.Isolations(ctx); err != nil || len(cuts) != 1 || cuts[0].Zone != anchors.Internet {
		t.Errorf("cut off are %+v, %v", cuts, err)
	}
}

// The dataplane's record is lost and its clock was set back: new acts have numbers below those that were collected.
func TestNewActsOfLowNumbersAreRecorded(t *testing.T) {
	x := newTown(t)
	at := time.Now()
	fresh := func() { // the record is lost
		clock := isolation.Clock{Wall: func() time.Time { return at }, Boot: func() (string, time.Duration) { return "", 0 }, Behind: func() bool { return false }}
		x.plane.Keeper = isolation.Open(filepath.Join(t.TempDir(), "state.json"), clock, func([]anchors.Zone) error { return nil })
	}
	cut := func(reason string) {
		t.Helper()
		if _, err := x.desk.Isolate(t.Context(), "sato", anchors.LGWAN, reason, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	line := func(reason string) string { return "isolation.begin lgwan sato begin " + reason }
	fresh()
	cut("first")
	fresh()
	cut("of the same number")
	at = at.Add(-24 * time.Hour)
	fresh()
	cut("of a lower number")
	x.want("at the end", line("first"), line("of the same number"), line("of a lower number"))

	// What a former version collected is known by its number.
	p, err := store.JSON(collectedKey, uint64(at.UnixMilli()))
	if err == nil {
		_, err = x.store.Commit(t.Context(), store.Txn{Put: []store.Put{p}})
	}
	if err != nil {
		t.Fatal(err)
	}
	fresh()
	if _, err := x.plane.Begin(isolation.Request{Zone: anchors.LGWAN, By: "sato", Reason: "of a lower number"}); err != nil {
		t.Fatal(err)
	}
	if err := x.desk.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.want("collected by a former version", line("first"), line("of the same number"), line("of a lower number"))
}

func TestARefusalIsToldInTheDataplanesWords(t *testing.T) {
	x := newTown(t)
	_, err := x.desk.Isolate(t.Context(), "sato", anchors.Management, "why", time.Time{})
	var no *Refused
	if !errors.As(err, &no) || !strings.Contains(no.Text, "management cannot be cut off") {
		t.Errorf("management: %v", err)
	}
	if err := x.desk.Rejoin(t.Context(), "sato", anchors.LGWAN, "why"); !errors.As(err, &no) {
		t.Errorf("what is not cut off: %v", err)
	}
	x.want("after refusals")
}

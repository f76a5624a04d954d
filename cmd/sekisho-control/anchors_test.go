package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/anchors/history"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// Every change of the anchors stands in the audit log once, in order, also those that were made while control was not there.
func TestAnchorsChangesAreRecorded(t *testing.T) {
	dir := t.TempDir()
	skey, vkey, err := audit.GenerateKey("test/audit")
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(filepath.Join(dir, "audit"), skey, vkey, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := store.OpenBolt(filepath.Join(dir, "state.db"), time.Second, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	path := filepath.Join(dir, "dataplane", "api.sock")
	listener, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	var told []history.Told
	server := socket.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := strconv.Atoi(r.URL.Query().Get("after")); err != nil || r.URL.Path != "/anchors/history" {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		json.NewEncoder(w).Encode(told) // more than was asked for: what stands in the log already is not written again
	}))
	go server.Serve(listener)
	defer server.Close()

	w := &anchorsWatch{dataplane: path, store: s, journal: audit.NewJournal(s, l), log: slog.New(slog.DiscardHandler), now: time.Now}
	entry := func(n int, changes ...anchors.Change) history.Told {
		return history.Told{Entry: history.Entry{Number: n, Time: time.Date(2026, 10, n, 0, 0, 0, 0, time.UTC), Hash: fmt.Sprint("hash-", n)}, Changes: changes}
	}
	recorded := func() (out []string) {
		t.Helper()
		rs, err := l.Read(0, l.Size())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			out = append(out, fmt.Sprint(r.Action, " ", r.Actor, " ", r.Object, " ", r.Detail["hash"], " ", r.Detail["changes"]))
		}
		return out
	}
	var want []string
	for _, x := range []struct {
		told []history.Told
		more []string
	}{
		{nil, nil},
		{[]history.Told{entry(1)}, []string{"anchors.changed root 1 hash-1 "}},
		{[]history.Told{entry(1)}, nil},
		{[]history.Told{entry(3, anchors.Change{Object: "segment lg", Field: "strict", To: "yes"}), entry(2, anchors.Change{Object: "segment in", Field: "zone", From: "internet", To: "lgwan"}), entry(1)},
			[]string{"anchors.changed root 2 hash-2 segment in: zone: internet becomes lgwan", "anchors.changed root 3 hash-3 segment lg: strict is new: yes"}},
	} {
		told = x.told
		for range 2 {
			if err := w.look(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if want = append(want, x.more...); !slices.Equal(recorded(), want) {
			t.Errorf("recorded\n%q\nwant\n%q", recorded(), want)
		}
	}
	var many []anchors.Change
	for i := range 1000 {
		many = append(many, anchors.Change{Object: fmt.Sprint("segment s", i), Field: "prefixes", To: "198.18.0.0/24"})
	}
	if d := detail(entry(4, many...)); len(d["changes"]) > mostTold+100 || !strings.Contains(d["changes"], "more") {
		t.Errorf("a thousand changes take %d bytes", len(d["changes"]))
	}
	server.Close()
	if err := w.look(context.Background()); err == nil {
		t.Error("without a dataplane: no error")
	}
}

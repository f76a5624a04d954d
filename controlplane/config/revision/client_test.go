package revision

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// TestDataplaneMustAnswerTheProvenHash: a dataplane that took something else is no success, and the log says so.
func TestDataplaneMustAnswerTheProvenHash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dataplane", "api.sock")
	l, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(g gate.Generation) any { return nil }
	s := socket.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var g gate.Generation
		if err := json.NewDecoder(r.Body).Decode(&g); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		json.NewEncoder(w).Encode(answer(g))
	}))
	go s.Serve(l)
	defer s.Close()

	d := newDesk(t)
	d.Book.dataplane = At(path)
	ctx := context.Background()
	for name, lie := range map[string]any{"another hash": gate.Result{Hash: strings.Repeat("0", 64)}, "no hash": map[string]string{}} {
		answer = func(gate.Generation) any { return lie }
		_, err := d.Commit(ctx, d.person("root"), Change{Text: examples.Lab, Comment: name})
		var m *Mismatch
		if !errors.As(err, &m) || m.Proven == m.InForce || m.Proven == "" {
			t.Errorf("%s: %v", name, err)
		}
		if d.Head() != nil {
			t.Errorf("%s: it became the head", name)
		}
		rs, err := d.log.Read(0, d.log.Size())
		if err != nil {
			t.Fatal(err)
		}
		if last := rs[len(rs)-1]; last.Action != "config.refuse" || !strings.HasPrefix(last.Detail["why"], "ALARM: ") {
			t.Errorf("%s: recorded %s %v", name, last.Action, last.Detail)
		}
	}
	answer = func(g gate.Generation) any {
		return gate.Result{Revision: g.Revision, Hash: packet.Hash(g.Tables), Epoch: 1}
	}
	deadline, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	if _, err := d.Commit(deadline, d.person("root"), Change{Text: examples.Lab, Comment: "honest"}); err != nil {
		t.Error(err)
	}
}

package revision

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// What control's own proof refuses is shown with what the dataplane's programs do with the packet.
func TestRefusedByControlWithTheProgramsWord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dataplane", "api.sock")
	l, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	cfg, _ := config.Parse(examples.Lab)
	s := socket.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var g gate.Generation
		if err := json.NewDecoder(r.Body).Decode(&g); err != nil || r.URL.Path != "/generation/check" {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		found := proof.Check(&g.Tables, policy.Anchors(cfg))
		for i := range found {
			found[i].Replay = &proof.Replay{Passed: true, Verdict: "redirect", Port: "inw0"}
		}
		w.WriteHeader(http.StatusConflict)
		json.NewEncoder(w).Encode(map[string]any{"error": "refused", "violations": found})
	}))
	go s.Serve(l)
	defer s.Close()

	d := newDesk(t)
	d.Book.dataplane = At(path)
	const said = "replayed: the loaded program passes it: redirect to port inw0"
	if _, err := d.commit("root", "", joining); err == nil || !strings.Contains(err.Error(), said) {
		t.Errorf("got %v, want %q in it", err, said)
	}
	if bytes.Equal(joining, examples.Lab) {
		t.Error("the text joins nothing")
	}
	s.Close()
	if _, err := d.commit("root", "", joining); err == nil || strings.Contains(err.Error(), "replayed") || !strings.Contains(err.Error(), "I1") {
		t.Errorf("without a dataplane: got %v, want the violation alone", err)
	}
}

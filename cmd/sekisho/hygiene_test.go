package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// The configuration in force is looked at together with what was used of it.
func TestHygieneAsksTheGate(t *testing.T) {
	name := fmt.Sprintf("hygiene%d", os.Getpid())
	i := place.Instance(name)
	l, err := socket.Listen(i.AdminSocket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(i.Run()) })
	since := time.Now().AddDate(0, 0, -100)
	srv := socket.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{
			"/usage": policy.Usage{Records: map[string]policy.Use{"web-use": {First: since}, "asp-use": {First: since, Last: time.Now()}},
				Stations: map[string]policy.Use{"noc": {First: since, Last: since.Add(time.Hour)}}},
			"/revisions/head": map[string]any{"text": string(examples.Lab)},
		}[r.URL.Path])
	}))
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	for _, args := range [][]string{{"hygiene", "--name", name}, {"hygiene", exampleDir + "lab.yaml", "--name", name}} {
		code, out := ran(args...)
		for _, want := range []string{"never-used (1)", "record web-use let no packet pass in the 100 days that it was watched", "station noc was not seen for 99 days"} {
			if code != exitOK || !strings.Contains(out, want) {
				t.Errorf("%v: exit code %d, nothing of %q in\n%s", args, code, want, out)
			}
		}
		if strings.Contains(out, "what was used is not known") || strings.Contains(out, "asp-use let no packet") {
			t.Errorf("%v:\n%s", args, out)
		}
	}
	if code, out := ran("hygiene", "--name", name, "--unused-days", "101"); code != exitOK || strings.Contains(out, "never-used") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

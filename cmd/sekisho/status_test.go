package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// TestStatusTellsHowTheAntivirusProgramStands: all of it on standard output for machines, what needs somebody on standard error.
func TestStatusTellsHowTheAntivirusProgramStands(t *testing.T) {
	name := fmt.Sprintf("status%d", os.Getpid())
	i := place.Instance(name)
	l, err := socket.Listen(i.AdminSocket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(i.Run()) })
	var now atomic.Pointer[antivirus.Standing]
	srv := socket.Server(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"gate": map[string]any{"epoch": 1<<53 + 1, "antivirus": now.Load()}})
	}))
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	for _, c := range []struct {
		is   *antivirus.Standing
		said string
	}{
		{&antivirus.Standing{Version: "ClamAV 1.4.3", Reachable: true, AgeHours: 5}, ""},
		{nil, "not known yet"},
		{&antivirus.Standing{Reachable: true, Level: antivirus.Days, AgeHours: 80, Signatures: 27823}, "27823 are 3 days old"},
		{&antivirus.Standing{Reachable: true, Level: antivirus.Blocking, Code: antivirus.Stale, Detail: "31 days"}, "too old"},
		{&antivirus.Standing{Level: antivirus.Blocking, Code: antivirus.Silent, Detail: "connection refused"}, "does not answer: no file passes (connection refused)"},
	} {
		now.Store(c.is)
		var out, said bytes.Buffer
		if code := runStatus(t.Context(), []string{"--name", name, "--json"}, &out, &said); code != exitOK {
			t.Fatalf("%d %s", code, said.String())
		}
		if c.said == "" && said.Len() > 0 || !strings.Contains(said.String(), c.said) {
			t.Errorf("%+v: it says %q, want %q", c.is, said.String(), c.said)
		}
		var got struct {
			Gate struct {
				Epoch     uint64
				Antivirus *antivirus.Standing
			}
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Gate.Epoch != 1<<53+1 || (got.Gate.Antivirus == nil) != (c.is == nil) || c.is != nil && *got.Gate.Antivirus != *c.is {
			t.Errorf("%v, %s", err, out.String())
		}
	}
}

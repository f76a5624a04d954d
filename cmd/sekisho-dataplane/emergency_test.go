package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/emergency"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/isolation"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/socket"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// The operator's command cuts off within a second whatever is the matter with control: not there, or there and silent. What it
// did is in the audit log once control is back.
func TestTheCommandWorksWithoutControl(t *testing.T) {
	w := newTown(t)
	serveTCP(t, "lg-asp", "198.18.21.11:443")
	w.start(t)
	w.mustApply(t, w.compile(t))
	expect(t, true, "mn-pc1", "198.18.21.11:443")
	sekisho := filepath.Join(t.TempDir(), "sekisho")
	for _, dir := range []string{"../../cmd/sekisho", "../../controlplane", "../../dataplane"} {
		seen(t, dir)
	}
	netlab.Run(t, "", "go", "build", "-o", sekisho, "github.com/sekisho/sekisho/cmd/sekisho")
	run := func(args ...string) (string, time.Duration, error) {
		began := time.Now()
		out, err := exec.Command(sekisho, append(args, "--name", string(w.instance))...).CombinedOutput()
		return string(out), time.Since(began), err
	}
	check := func(what string) {
		t.Helper()
		out, took, err := run("isolate", "lgwan", "--reason", "疑わしい通信", "--for", "2h")
		if err != nil || !strings.Contains(out, "lgwan is cut off; planned way back") || took > patience {
			t.Errorf("%s: %v after %s\n%s", what, err, took, out)
		}
		expect(t, false, "mn-pc1", "198.18.21.11:443")
		out, _, err = run("rejoin", "lgwan", "--reason", "x", "--dry-run")
		if err != nil || !strings.Contains(out, "eltax-submit") || !strings.Contains(out, "asp-use") || strings.Contains(out, "web-use") {
			t.Errorf("%s: what would come back: %v\n%s", what, err, out)
		}
		expect(t, false, "mn-pc1", "198.18.21.11:443")
	}
	check("control is not there")
	town := filepath.Join(t.TempDir(), "town.yaml")
	if err := os.WriteFile(town, examples.Lab, 0o644); err != nil {
		t.Fatal(err)
	}
	for instance, want := range map[string]bool{string(w.instance): true, "another": false} {
		out, err := exec.Command(sekisho, "trace", town, "--name", instance, "--from", "my-number", "--src", "198.18.10.11", "--dst", "198.18.21.11", "--proto", "tcp", "--dport", "443").CombinedOutput()
		if strings.Contains(string(out), "zone-isolated") != want || (err != nil) != want {
			t.Errorf("traced with what is cut off at %s: %v\n%s", instance, err, out)
		}
	}
	out, _, err := run("rejoin", "lgwan", "--reason", "確認済み")
	if err != nil || !strings.Contains(out, "lgwan is given back") {
		t.Errorf("given back: %v\n%s", err, out)
	}
	expect(t, true, "mn-pc1", "198.18.21.11:443")
	for what, args := range map[string][]string{
		"without a reason":      {"isolate", "lgwan"},
		"no zone":               {"isolate", "lan", "--reason", "x"},
		"a time that was":       {"isolate", "lgwan", "--reason", "x", "--for", "-1h"},
		"management":            {"isolate", "management", "--reason", "x"},
		"what is not cut off":   {"rejoin", "lgwan", "--reason", "x"},
		"until a day long gone": {"isolate", "lgwan", "--reason", "x", "--until", "2020-01-01"},
	} {
		if out, _, err := run(args...); err == nil {
			t.Errorf("%s: %s", what, out)
		}
	}
	expect(t, true, "mn-pc1", "198.18.21.11:443")

	if err := os.MkdirAll(filepath.Dir(w.instance.AdminSocket()), 0o755); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("unix", w.instance.AdminSocket())
	if err != nil {
		t.Fatal(err)
	}
	check("control is silent")
	silent.Close()

	desk, log := w.control(t)
	l, err := socket.Listen(w.instance.AdminSocket())
	if err != nil {
		t.Fatal(err)
	}
	srv := socket.Server(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { // control's disk is full
		io.Copy(io.Discard, r.Body)
		rw.WriteHeader(http.StatusInternalServerError)
	}))
	go srv.Serve(l)
	defer srv.Close()
	check("control fails")

	if err := desk.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := log.Read(0, log.Size())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range all {
		got = append(got, strings.Join([]string{e.Action, e.Object, e.Actor, e.Detail["via"]}, " "))
		if e.Detail["by"] == "" || e.Action == emergency.ActionBegin && (e.Detail["until"] == "" || e.Detail["reason"] != "疑わしい通信") {
			t.Errorf("the log has %+v", e)
		}
	}
	begin, end := "isolation.begin lgwan root root", "isolation.end lgwan root root"
	if !slices.Equal(got, []string{begin, end, begin, begin}) {
		t.Errorf("the log has %q", got)
	}
	if s := w.isolation(t); len(s.Events) != 0 || len(s.Cuts) != 1 || s.Cuts[0].Via != isolation.ViaRoot {
		t.Errorf("after control collected: %+v", s)
	}
	uid, gid := idsOf(t, place.ControlUser)
	control := exec.Command("curl", "-s", "--unix-socket", w.instance.DataplaneSocket(), "-d", `{"act":"end","zone":"lgwan","by":"sato","reason":"確認済み"}`, "http://gate/isolation")
	control.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	if out, err := control.Output(); err != nil || !strings.Contains(string(out), "give it back there, with sekisho rejoin") {
		t.Errorf("control wants to give back what root cut off: %v, %s", err, out)
	}
	expect(t, false, "mn-pc1", "198.18.21.11:443")
	if out, _, err := run("rejoin", "lgwan", "--reason", "確認済み"); err != nil || strings.Contains(out, "control") {
		t.Errorf("given back by root: %v\n%s", err, out)
	}
	expect(t, true, "mn-pc1", "198.18.21.11:443")
}

// control is the part of control that records.
func (w *town) control(t *testing.T) (*emergency.Desk, *audit.Log) {
	t.Helper()
	dir := t.TempDir()
	signer, verifier, err := audit.GenerateKey("sekisho.test/audit")
	if err != nil {
		t.Fatal(err)
	}
	log, err1 := audit.Open(filepath.Join(dir, "audit"), signer, verifier, time.Now)
	s, err2 := store.OpenBolt(filepath.Join(dir, "state.db"), time.Second, time.Now)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); log.Close() })
	return emergency.New(emergency.Options{Dataplane: w.instance.DataplaneSocket(), Store: s, Journal: audit.NewJournal(s, log)}), log
}

// seen tells the go command, which watches what a test looks at, that this one depends on the sources of a program that it builds.
func seen(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

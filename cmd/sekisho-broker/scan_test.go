package main

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/antivirus/clamtest"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Nothing passes without the word of the antivirus program, and nothing that it knows passes at all.
func TestNothingPassesTheAntivirusProgram(t *testing.T) {
	l := newLane(t)
	blocked := func(id, name string, body []byte, code string) {
		t.Helper()
		l.send(id, name, body)
		out := l.sanitize(id)
		if fs := out.Report.Findings; out.Attestation != nil || out.Report.Outcome != verdict.Blocked || len(fs) != 1 || fs[0].Code != code {
			t.Errorf("%s: %s %+v, want %s", id, out.Report.Outcome, fs, code)
		}
		wantCode(t, l.approve(id, strings.Repeat("0", 64)), release.CodeNotSanitized)
		_, _, err := l.download(id)
		wantCode(t, err, release.CodeNotSanitized)
	}
	passes := func(id string) verdict.Report {
		t.Helper()
		l.send(id, "a.txt", []byte("関所\n"))
		out := l.sanitize(id)
		if out.Attestation == nil {
			t.Errorf("%s: %+v", id, out.Report.Findings)
		}
		return out.Report
	}
	if in, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", l.daemons["clamd"].Process.Pid)); err != nil || !strings.Contains(string(in), string(l.i)+".clamd") && !strings.Contains(string(in), string(l.i)+"/clamd") {
		t.Errorf("clamd runs without a bound: %v %s", err, in)
	}
	if got := passes("s1"); !strings.HasPrefix(fmt.Sprint(got.Helpers), "[ClamAV 1.") || len(got.Findings) != 0 {
		t.Errorf("%+v", got)
	}
	stands := func(level antivirus.Level, code string) {
		t.Helper()
		s, err := broker.Over(l.as(place.ControlUser, l.i.BrokerSocket())).Antivirus(t.Context())
		if err != nil || s.Level != level || s.Code != code {
			t.Errorf("it stands %+v, %v; want level %d %s", s, err, level, code)
		}
	}
	stands(antivirus.Fresh, "")
	if s, err := broker.Over(l.as(place.PortalUser(anchors.LGWAN), l.i.BrokerSocket())).Antivirus(t.Context()); err == nil {
		t.Errorf("a portal is told how it stands: %+v", s)
	}
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	w, err := z.Create("e.txt")
	if err == nil {
		_, err = w.Write(clamtest.EICAR())
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	mail := "From: a@town.example\r\nMIME-Version: 1.0\r\nContent-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(archive.Bytes()) + "\r\n"
	blocked("s2", "a.eml", []byte(mail), antivirus.Found)

	l.kill("clamd")
	blocked("s3", "a.txt", []byte("関所\n"), antivirus.Silent)
	stands(antivirus.Blocking, antivirus.Silent)
	if err := clamtest.Signatures(l.i.Signatures(), time.Now().Add(-31*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	l.clamd()
	blocked("s4", "a.txt", []byte("関所\n"), antivirus.Stale)
	stands(antivirus.Blocking, antivirus.Stale)
	b, err := os.ReadFile(l.i.Routes())
	if err != nil {
		t.Fatal(err)
	}
	l.setting(l.i.Routes(), strings.Replace(string(b), "max_size: 5000000,", "max_size: 5000000, sanitize: {antivirus: {oldest-days: 40}},", 1))
	passes("s5")
	l.kill("clamd")
	l.setting(l.i.Routes(), strings.Replace(string(b), "max_size: 5000000,", "max_size: 5000000, sanitize: {antivirus: {without: CISO 12}},", 1))
	if got := passes("s6"); len(got.Findings) != 1 || got.Findings[0].Code != antivirus.None {
		t.Errorf("a route that does without: %+v", got)
	}
}

func TestClamdIsNeverRoot(t *testing.T) {
	l := newLane(t)
	if err := run(t.Context(), []string{"clamd", "--name", string(l.i)}, os.Stdout, os.Stderr); err == nil || !strings.Contains(err.Error(), place.ClamdUser) {
		t.Errorf("got %v", err)
	}
}

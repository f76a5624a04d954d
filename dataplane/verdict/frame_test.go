package verdict

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJobComesBackAsSent(t *testing.T) {
	var b bytes.Buffer
	want := Job{Name: "税務\n資料.csv", Formats: []string{"csv"}, MaxOut: 10, Keys: []string{"鍵"}, Policy: Policy{Links: "remove"},
		Answers: []Answer{{ID: "1", Body: []byte("xyz")}, {ID: "2", Failed: "helper.failed"}}}
	if err := WriteJob(&b, want, []byte("a,b\r\n")); err != nil {
		t.Fatal(err)
	}
	want.Size, want.Answers[0].Size = 5, 3
	want.Answers[1].Body = []byte{}
	got, body, err := ReadJob(&b, 8)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" || string(body) != "a,b\r\n" {
		t.Fatalf("body %q, job differs (-want +got):\n%s", body, d)
	}
}

func TestReportComesBackAsSent(t *testing.T) {
	want := Report{Version: 1, Outcome: Clean, Findings: []Finding{}, After: &Digest{SHA256: "ab", Size: 3}}
	var b bytes.Buffer
	if err := WriteReport(&b, want, []byte("xyz")); err != nil {
		t.Fatal(err)
	}
	got, body, err := ReadReport(&b, 3, true)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" || string(body) != "xyz" {
		t.Fatalf("body %q, report differs (-want +got):\n%s", body, d)
	}
}

func TestNeedsComeBackAsSent(t *testing.T) {
	want := []Need{{ID: "1", Kind: "convert", Options: map[string]string{"to": "docx"}, Size: 3, Body: []byte("xyz")}, {ID: "2", Kind: "decode", Size: 1, Body: []byte("a")}}
	var b bytes.Buffer
	if err := WriteNeeds(&b, Report{Version: 1}, want); err != nil {
		t.Fatal(err)
	}
	frame := b.String()
	got, body, err := ReadReport(&b, 4, true)
	if err != nil || body != nil || got.Outcome != Asks {
		t.Fatalf("got %v, body %q, outcome %s", err, body, got.Outcome)
	}
	if d := cmp.Diff(want, got.Needs); d != "" {
		t.Fatalf("needs differ (-want +got):\n%s", d)
	}
	for name, bad := range map[string]string{
		"over the limit":        frame + "x",
		"cut":                   frame[:len(frame)-1],
		"needs beside a result": strings.Replace(frame, `"asks"`, `"blocked"`, 1),
		"asks for nothing":      `{"outcome":"asks"}` + "\n",
	} {
		if _, _, err := ReadReport(strings.NewReader(bad), 4, true); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: got %v, want %v", name, err, ErrFrame)
		}
	}
	if _, _, err := ReadReport(strings.NewReader(frame), 4, false); !errors.Is(err, ErrFrame) {
		t.Errorf("a verifier asks: got %v, want %v", err, ErrFrame)
	}
}

func TestBrokenFramesAreErrors(t *testing.T) {
	for name, in := range map[string]string{
		"empty":           "",
		"no newline":      `{"name":"a"}`,
		"not JSON":        "hello\n",
		"wrong type":      `{"name":1}` + "\n",
		"short file":      `{"size":4}` + "\nabc",
		"bytes after":     `{"size":2}` + "\nabc",
		"negative size":   `{"size":-1}` + "\n",
		"over the limit":  `{"size":101}` + "\n" + strings.Repeat("x", 101),
		"endless header":  strings.Repeat("x", MaxJobLine+1),
		"huge and absent": `{"size":99999999999}` + "\n",
	} {
		if _, _, err := ReadJob(strings.NewReader(in), 100); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: got %v, want %v", name, err, ErrFrame)
		}
	}
	if _, _, err := ReadReport(strings.NewReader(`{"outcome":"clean"}`+"\n"), 9, true); !errors.Is(err, ErrFrame) {
		t.Errorf("clean report without a file: got %v", err)
	}
	if _, _, err := ReadReport(strings.NewReader(`{"outcome":"blocked","after":{"size":2}}`+"\nab"), 9, true); !errors.Is(err, ErrFrame) {
		t.Errorf("blocked report with a file: got %v", err)
	}
}

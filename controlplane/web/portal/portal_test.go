package portal_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/web/portal"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/socket"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// control listens on a Unix socket with the handler.
func control(t *testing.T, h http.Handler) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c", "portal.sock")
	l, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := socket.Server(h)
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return path
}

// vault is the release daemon.
type vault struct {
	body  io.Reader
	size  int64
	err   error
	asked []release.ApprovalRequest

	report *verdict.Report
	pages  []*verdict.Pages // of one question after the other; nil: not drawn
}

func (v *vault) Report(context.Context, string) (verdict.Report, error) {
	if v.report == nil {
		return verdict.Report{}, &release.Refusal{Code: release.CodeNotShown, Status: http.StatusNotFound}
	}
	return *v.report, v.err
}
func (v *vault) Pages(context.Context, string) (verdict.Pages, error) {
	if len(v.pages) == 0 {
		return verdict.Pages{}, &release.Refusal{Code: release.CodeNotShown, Status: http.StatusNotFound}
	}
	p := v.pages[0]
	if len(v.pages) > 1 {
		v.pages = v.pages[1:]
	}
	if p == nil {
		return verdict.Pages{}, &release.Refusal{Code: release.CodeNotShown, Status: http.StatusNotFound}
	}
	return *p, v.err
}

func (v *vault) Statement(_ context.Context, id string) (release.Statement, error) {
	return release.Statement{Transfer: id, Name: "本物.csv", Size: 1234567, SanitizedSHA256: strings.Repeat("ab", 32), From: anchors.LGWAN,
		To: anchors.Internet, Requester: "sato", Section: "zeimu"}, v.err
}
func (v *vault) Approve(_ context.Context, a release.ApprovalRequest) (verdict.Signed, error) {
	v.asked = append(v.asked, a)
	return verdict.Signed{Kind: "approval"}, v.err
}
func (v *vault) file() (release.File, error) {
	return release.File{Body: io.NopCloser(v.body), Size: v.size, Disposition: `attachment; filename="x.txt"`}, v.err
}
func (v *vault) Sanitized(context.Context, string) (release.File, error) { return v.file() }
func (v *vault) Released(context.Context, string) (release.File, error)  { return v.file() }

func TestClaimsOfBrowsersAreTakenAway(t *testing.T) {
	var got http.Header
	var host string
	path := control(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got, host = r.Header.Clone(), r.Host }))
	s := httptest.NewServer(portal.New(portal.Options{Control: path, Release: &vault{}, Log: quiet}))
	defer s.Close()
	req, _ := http.NewRequest(http.MethodGet, s.URL+"/transfers", nil)
	req.Host = "portal.lgwan.umiyama.example"
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-User", "Forwarded", "X-Real-IP", "X-Sekisho-Peer",
		"X-Sekisho-Zone", "X-Sekisho-Attestation", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "Via", "Proxy-Authorization", "Te", "Upgrade"} {
		req.Header.Set(name, "forged")
	}
	req.Header.Set("Connection", "X-Hop")
	req.Header.Set("X-Hop", "forged")
	req.Header.Set("Cookie", "__Host-sekisho=token")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for name, values := range got {
		for _, v := range values {
			if v == "forged" {
				t.Errorf("control was told %s: %s", name, v)
			}
		}
	}
	if peer, _, err := net.SplitHostPort(got.Get(portal.PeerHeader)); err != nil || peer != "127.0.0.1" {
		t.Errorf("peer %q, want the station's address", got.Get(portal.PeerHeader))
	}
	if host != "portal.lgwan.umiyama.example" || got.Get("Cookie") != "__Host-sekisho=token" {
		t.Errorf("host %q and cookie %q did not come through", host, got.Get("Cookie"))
	}
}

func TestControlIsAway(t *testing.T) {
	s := httptest.NewServer(portal.New(portal.Options{Control: filepath.Join(t.TempDir(), "none.sock"), Release: &vault{}, Log: quiet}))
	defer s.Close()
	for _, path := range []string{"/", "/transfers/t-1/download", "/transfers/t-1/inspect"} {
		req, _ := http.NewRequest(http.MethodGet, s.URL+path, nil)
		req.Header.Set("Accept", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode/100 != 5 || !strings.Contains(string(b), `"code":"unavailable"`) {
			t.Errorf("%s: %s %s", path, resp.Status, b)
		}
	}
}

// TestControlDecidesWhoAsks: release is not even asked when control says no or nonsense.
func TestControlDecidesWhoAsks(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"no session": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"code":"session"}`)
		},
		"forbidden": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"code":"forbidden"}`)
		},
		"nonsense":       func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) },
		"another's page": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/api/elsewhere", http.StatusFound) },
	} {
		v := &vault{body: strings.NewReader("secret"), size: 6}
		s := httptest.NewServer(portal.New(portal.Options{Control: control(t, answer), Release: v, Log: quiet}))
		for _, c := range []struct{ method, path string }{{"GET", "/transfers/t-1/download"}, {"GET", "/transfers/t-1/inspect"}, {"GET", "/transfers/t-1/approve"}, {"POST", "/transfers/t-1/approve"}} {
			req, _ := http.NewRequest(c.method, s.URL+c.path, strings.NewReader("passphrase=x"))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Accept", "application/json")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode < 400 || strings.Contains(string(b), "secret") {
				t.Errorf("%s: %s %s: %s %s", name, c.method, c.path, resp.Status, b)
			}
		}
		if len(v.asked) > 0 {
			t.Errorf("%s: release was asked: %v", name, v.asked)
		}
		s.Close()
	}
}

// TestPassphraseNeverReachesControl looks at every byte that control gets during an approval.
func TestPassphraseNeverReachesControl(t *testing.T) {
	var seen strings.Builder
	path := control(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		seen.WriteString(r.URL.String() + string(b))
		json.NewEncoder(w).Encode(map[string]string{"person": "tanaka"})
	}))
	v := &vault{}
	s := httptest.NewServer(portal.New(portal.Options{Control: path, Release: v, Log: quiet}))
	defer s.Close()
	resp, err := http.Post(s.URL+"/transfers/t-1/approve", "application/x-www-form-urlencoded", strings.NewReader("sha256=ab&passphrase=shinsei-no-aikotoba&reason=ok&person=sato"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if strings.Contains(seen.String(), "aikotoba") {
		t.Errorf("control got the passphrase: %s", seen.String())
	}
	want := release.ApprovalRequest{Transfer: "t-1", SanitizedSHA256: "ab", Person: "tanaka", Passphrase: "shinsei-no-aikotoba", Reason: "ok"}
	if len(v.asked) != 1 || v.asked[0] != want {
		t.Errorf("release was asked %+v, want %+v", v.asked, want)
	}
}

// TestOtherSitesReachNeitherReleaseNorControl: the portal holds by itself, whatever control would say.
func TestOtherSitesReachNeitherReleaseNorControl(t *testing.T) {
	asked := 0
	path := control(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked++; io.WriteString(w, `{"person":"tanaka"}`) }))
	v := &vault{}
	s := httptest.NewServer(portal.New(portal.Options{Control: path, Release: v, Log: quiet}))
	defer s.Close()
	for _, path := range []string{"/transfers/t-1/approve", "/transfers"} {
		req, _ := http.NewRequest(http.MethodPost, s.URL+path, nil)
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden || asked > 0 || len(v.asked) > 0 {
			t.Errorf("%s: %s, control was asked %d times, release %d times", path, resp.Status, asked, len(v.asked))
		}
	}
	// Nor does what control and portal say to each other go through the door.
	if resp, err := http.Get(s.URL + "/api/session"); err != nil || resp.StatusCode != http.StatusNotFound || asked > 0 {
		t.Errorf("GET /api/session: %v %v, control was asked %d times", resp, err, asked)
	}
}

type torn struct{ r io.Reader }

func (b torn) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err == io.EOF {
		err = errors.New("stored file is damaged")
	}
	return n, err
}

// TestHalfAFileIsSeenAsBroken: release finds the damage in the last chunk, when most bytes are out.
func TestHalfAFileIsSeenAsBroken(t *testing.T) {
	path := control(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{}") }))
	for _, size := range []int64{200000, -1} {
		v := &vault{body: torn{strings.NewReader(strings.Repeat("x", 100000))}, size: size}
		s := httptest.NewServer(portal.New(portal.Options{Control: path, Release: v, Log: quiet}))
		resp, err := http.Get(s.URL + "/transfers/t-1/download")
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Errorf("size %d: half a file came as a whole one", size)
		}
		s.Close()
	}
}

func TestAttachment(t *testing.T) {
	for _, name := range []string{"plain.txt", "報告書 第1版.docx", `a"b\c;d.txt`, "100%.csv", "x\r\nSet-Cookie: a=b.txt", "外字\ue000.txt", "'*'.txt"} {
		d := portal.Attachment(name)
		if strings.ContainsAny(d, "\r\n") {
			t.Errorf("%q: a new header begins: %q", name, d)
		}
		kind, params, err := mime.ParseMediaType(d)
		if err != nil || kind != "attachment" || params["filename"] != name {
			t.Errorf("%q became %s: %q %v", name, d, params["filename"], err)
		}
	}
}

func TestOnlyTLS13WithListedCurves(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- portal.Serve(ctx, l, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, http.NotFoundHandler(), quiet)
	}()
	dial := func(c *tls.Config) (tls.ConnectionState, error) {
		c.InsecureSkipVerify = true
		conn, err := tls.Dial("tcp", l.Addr().String(), c)
		if err != nil {
			return tls.ConnectionState{}, err
		}
		defer conn.Close()
		return conn.ConnectionState(), nil
	}
	if _, err := dial(&tls.Config{MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 was accepted")
	}
	if _, err := dial(&tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}); err == nil {
		t.Error("X25519, which CRYPTREC does not list, was accepted")
	}
	s, err := dial(&tls.Config{})
	if err != nil || s.Version != tls.VersionTLS13 || s.CurveID != tls.CurveP256 {
		t.Errorf("version %x, curve %v: %v", s.Version, s.CurveID, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

package web_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/controlplane/web/portal"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// stand opens one zone's portal over HTTPS in front of its pages on a Unix socket, as on the box, and gives its address.
func stand(t *testing.T, h *hall, zone anchors.Zone) string {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	path := filepath.Join(t.TempDir(), "control", "portal.sock")
	ul, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	control := socket.Server(web.New(zone, h.services(zone), web.Options{Log: log, Gate: "test", Town: h.townName}))
	go control.Serve(ul)
	t.Cleanup(func() { control.Close() })

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- portal.Serve(ctx, l, certificate(t), portal.New(portal.Options{Control: path, Release: desk{h, zone}, Log: log, Reports: zone == anchors.Management}), log)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "https://" + l.Addr().String()
}

var certificate = func() func(t *testing.T) tls.Certificate {
	var made tls.Certificate
	return func(t *testing.T) tls.Certificate {
		t.Helper()
		if made.Certificate != nil {
			return made
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
		der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		made = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
		return made
	}
}()

// visitor is a program with a cookie jar.
type visitor struct {
	t    *testing.T
	base string
	http *http.Client
}

func visit(t *testing.T, base string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t, base, &http.Client{Jar: jar, Timeout: 20 * time.Second,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	t.Cleanup(v.http.CloseIdleConnections)
	return v
}

func (v *visitor) do(method, path, kind string, body io.Reader, header ...string) (*http.Response, string) {
	v.t.Helper()
	req, err := http.NewRequest(method, v.base+path, body)
	if err != nil {
		v.t.Fatal(err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := v.http.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp, string(b)
}

func (v *visitor) get(path string, header ...string) (*http.Response, string) {
	v.t.Helper()
	return v.do(http.MethodGet, path, "", nil, header...)
}

func (v *visitor) post(path string, fields url.Values, header ...string) (*http.Response, string) {
	v.t.Helper()
	return v.do(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(fields.Encode()), header...)
}

func (v *visitor) signIn(user, password string) {
	v.t.Helper()
	resp, body := v.post("/sign-in", url.Values{"user": {user}, "password": {password}})
	if resp.StatusCode != http.StatusSeeOther {
		v.t.Fatalf("sign in %s: %s\n%s", user, resp.Status, body)
	}
}

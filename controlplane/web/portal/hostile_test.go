package portal_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/web/browsertest"
	"github.com/sekisho/sekisho/controlplane/web/portal"
)

const (
	hostilePage = `<!doctype html><html><body><h1 id="hostile">hostile page</h1>
<script>document.title = "inline ran"</script><script src="/evil.js"></script><script src="/evil"></script><script src="/assets/evil.js"></script>
<script src="/assets/app.js"></script><script src="/assets/vendor/htmx.min.js"></script>
<img src="/none" onerror="document.title = 'handler ran'"><div hx-on:click="document.title = 'htmx ran'" id="bait">bait</div>
<form method="post" action="/transfers/t-1/approve" id="form"><input name="sha256" value="%"><input name="passphrase" value="shinsei-no-aikotoba"><button id="go">go</button></form>
</body></html>`
	hostileScript = `document.title = "script ran"; fetch("/transfers/t-1/approve").then(r => r.text()).then(t => { document.title = "read " + t.length })`
)

// takenOver is a control that answers the portal's own questions truthfully, so that the portal goes on, and tries everything
// else that an HTTP answer can hold.
func takenOver(asked *[]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.Path)
		h := w.Header()
		h.Set("Link", "</evil.js>; rel=preload; as=script")
		if r.URL.Path == "/hints" {
			w.WriteHeader(http.StatusEarlyHints)
		}
		h.Set("Content-Security-Policy", "default-src * 'unsafe-inline' 'unsafe-eval'")
		h.Set("Content-Security-Policy-Report-Only", "default-src 'none'; report-uri /evil")
		h.Set("X-Content-Type-Options", "sniff")
		h.Set("X-Frame-Options", "ALLOWALL")
		h.Set("Referrer-Policy", "unsafe-url")
		h.Set("Strict-Transport-Security", "max-age=0")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Service-Worker-Allowed", "/")
		h.Set("Refresh", "0; url=https://elsewhere.example/")
		h.Set("Cache-Control", "public, max-age=31536000")
		h.Set("Clear-Site-Data", `"*"`)
		switch {
		case strings.HasPrefix(r.URL.Path, "/api/"):
			json.NewEncoder(w).Encode(map[string]string{"person": "tanaka", "role": "section-head"})
		case r.URL.Path == "/transfers/t-1" && r.Header.Get("Accept") == "application/json":
			io.WriteString(w, `{"state":"awaiting-approval","name":"shown-by-control.txt"}`)
		case r.URL.Path == "/elsewhere":
			h.Set("Location", "https://elsewhere.example/")
			w.WriteHeader(http.StatusSeeOther)
		case r.URL.Path == "/elsewhere-2":
			h.Set("Location", "//elsewhere.example/")
			w.WriteHeader(http.StatusSeeOther)
		case r.URL.Path == "/evil":
			h["Content-Type"] = nil
			io.WriteString(w, hostileScript)
		case strings.HasSuffix(r.URL.Path, ".js"):
			h.Set("Content-Type", "text/javascript")
			io.WriteString(w, hostileScript)
		case strings.HasSuffix(r.URL.Path, ".css"):
			h.Set("Content-Type", "text/css")
			io.WriteString(w, "body { display: none }")
		case r.URL.Path == "/two-kinds":
			h["Content-Type"] = []string{"text/html", "text/javascript"}
			io.WriteString(w, hostileScript)
		default:
			h.Set("Content-Type", "text/html; charset=utf-8")
			io.WriteString(w, hostilePage)
		}
	})
}

// TestTakenOverControlSetsNoHeader: whatever control answers, the portal's own policy stands there, once.
func TestTakenOverControlSetsNoHeader(t *testing.T) {
	var asked []string
	s := httptest.NewServer(portal.New(portal.Options{Control: control(t, takenOver(&asked)), Release: &vault{}, Log: quiet}))
	defer s.Close()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for path, status := range map[string]int{"/transfers": 200, "/hints": 200, "/evil": 200, "/transfers/t-1": 200, "/transfers/t-1/approve": 200, "/transfers/t-1/approve/": 200,
		"/assets/app.css": 200, "/assets/evil.js": 404, "/evil.js": 502, "/evil.css": 502, "/two-kinds": 502, "/elsewhere": 502, "/elsewhere-2": 502, "//x": 307} {
		req, _ := http.NewRequest(http.MethodGet, s.URL+path, nil)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%s: %s, want %d", path, resp.Status, status)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000"} {
			if got := resp.Header.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s %q, want %q once", path, name, got, want)
			}
		}
		csp := resp.Header.Values("Content-Security-Policy")
		if len(csp) != 1 || strings.Contains(csp[0], "*") || strings.Contains(csp[0], "unsafe") || !strings.Contains(csp[0], "frame-ancestors 'none'") {
			t.Errorf("%s: content security policy %q", path, csp)
		}
		for _, name := range []string{"Content-Security-Policy-Report-Only", "Access-Control-Allow-Origin", "Service-Worker-Allowed", "Refresh", "Clear-Site-Data", "Link"} {
			if got := resp.Header.Get(name); got != "" {
				t.Errorf("%s: %s %q came through", path, name, got)
			}
		}
		if path != "/assets/app.css" && resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: may be cached: %q", path, resp.Header.Get("Cache-Control"))
		}
		if kind := resp.Header.Get("Content-Type"); strings.Contains(kind, "javascript") || strings.Contains(kind, "css") != (path == "/assets/app.css") {
			t.Errorf("%s: is %s", path, kind)
		}
		if status == 502 && (strings.Contains(string(b), "elsewhere") || strings.Contains(string(b), "ran")) {
			t.Errorf("%s: %s", path, b)
		}
	}
	if slices.ContainsFunc(asked, func(s string) bool { return strings.Contains(s, "/assets/") }) {
		t.Errorf("control was asked for assets: %v", asked)
	}
}

// TestApprovalPageShowsWhatReleaseStates: nothing that control says of the file, and only to whom it concerns.
func TestApprovalPageShowsWhatReleaseStates(t *testing.T) {
	var asked []string
	path := control(t, takenOver(&asked))
	s := httptest.NewServer(portal.New(portal.Options{Control: path, Release: &vault{}, Log: quiet}))
	defer s.Close()
	get := func(header ...string) (int, string) {
		t.Helper()
		req, _ := http.NewRequest(http.MethodGet, s.URL+"/transfers/t-1/approve?error=%3Cb%3Efree+text", nil)
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	status, page := get()
	for _, want := range []string{"本物.csv", "1,234,567", strings.Repeat("ab", 32), "sato", "zeimu", "LGWAN", `name="passphrase"`, `/transfers/t-1/inspect`} {
		if !strings.Contains(page, want) {
			t.Errorf("%d: the page does not show %q", status, want)
		}
	}
	for _, foreign := range []string{"shown-by-control", "free text", "<script"} {
		if strings.Contains(page, foreign) {
			t.Errorf("the page shows %q", foreign)
		}
	}
	if _, page := get("Cookie", "__Host-lang=en"); !strings.Contains(page, `<html lang="en">`) || strings.Contains(page, "[approve.") {
		t.Error("no page in English")
	}
	for _, dest := range []string{"empty", "iframe", "script"} {
		if status, page := get("Sec-Fetch-Dest", dest, "Accept", "application/json"); status != http.StatusForbidden || strings.Contains(page, "passphrase") {
			t.Errorf("fetched as %s: %d", dest, status)
		}
	}
}

// TestAnswersComeWithoutEncoding: a monitoring host asks for the numbers compressed, as Prometheus does.
func TestAnswersComeWithoutEncoding(t *testing.T) {
	path := control(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "\x1f\x8b")
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores")
		io.WriteString(w, "sekisho_dataplane_up 1\n")
	}))
	s := httptest.NewServer(portal.New(portal.Options{Control: path, Release: &vault{}, Log: quiet}))
	defer s.Close()
	resp, err := http.Get(s.URL + "/metrics") // the client itself asks for gzip
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "sekisho_dataplane_up 1\n" {
		t.Errorf("%s %q, %v", resp.Status, b, err)
	}
}

// TestProgramsApproveWithoutAPage: what is no browser names the hash itself; a browser comes from the portal's own page.
func TestProgramsApproveWithoutAPage(t *testing.T) {
	var asked []string
	v := &vault{}
	s := httptest.NewServer(portal.New(portal.Options{Control: control(t, takenOver(&asked)), Release: v, Log: quiet}))
	defer s.Close()
	for i, c := range []struct {
		header []string
		want   int
	}{
		{nil, http.StatusNoContent},
		{[]string{"Sec-Fetch-Site", "same-origin", "Origin", s.URL}, http.StatusNoContent}, // a program that knows the rule against other sites
		{[]string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate"}, http.StatusForbidden},
		{[]string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Referer", s.URL + "/transfers/t-1"}, http.StatusForbidden},
		{[]string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Referer", "https://elsewhere.example/transfers/t-1/approve"}, http.StatusForbidden},
		{[]string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Referer", s.URL + "/transfers/t-1/approve"}, http.StatusNoContent},
	} {
		v.asked = nil
		req, _ := http.NewRequest(http.MethodPost, s.URL+"/transfers/t-1/approve", strings.NewReader("sha256=ab&passphrase=x"))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "application/json")
		for n := 0; n < len(c.header); n += 2 {
			req.Header.Set(c.header[n], c.header[n+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want || (len(v.asked) == 1) != (c.want == http.StatusNoContent) {
			t.Errorf("%d %v: %s, release asked %d times; want %d", i, c.header, resp.Status, len(v.asked), c.want)
		}
	}
}

// TestScriptsOfTakenOverControlDoNotRun asks a real browser.
func TestScriptsOfTakenOverControlDoNotRun(t *testing.T) {
	var asked []string
	v := &vault{}
	s := httptest.NewTLSServer(portal.New(portal.Options{Control: control(t, takenOver(&asked)), Release: v, Log: quiet}))
	defer s.Close()
	p := browsertest.Sit(t, browsertest.Start(t), s.URL)
	p.Open("/transfers/t-1")
	p.See("hostile page")
	p.Until(`document.readyState === "complete" && typeof htmx === "object"`) // what the portal serves itself runs
	p.Click("#bait")
	p.Until(`document.title === ""`)
	p.Click("#go")
	p.See("ほかの画面からの承認は受け付けません")
	if len(v.asked) > 0 {
		t.Errorf("release was asked: %+v", v.asked)
	}
	p.See("本物.csv")
	p.Fill("#passphrase", "shinsei-no-aikotoba")
	p.Click("form.approve button")
	p.See("hostile page") // where control takes over again
	if len(v.asked) != 1 || v.asked[0].SanitizedSHA256 != strings.Repeat("ab", 32) {
		t.Errorf("release was asked %+v, want the approval of what the page showed", v.asked)
	}
}

package web_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// sheet makes the form of a new transfer.
func sheet(t *testing.T, to, note string, files ...[2]string) (string, io.Reader) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	err := errors.Join(m.WriteField("to", to), m.WriteField("note", note))
	for _, f := range files {
		w, e := m.CreateFormFile("file", f[0])
		if e == nil {
			_, e = w.Write([]byte(f[1]))
		}
		err = errors.Join(err, e)
	}
	if err := errors.Join(err, m.Close()); err != nil {
		t.Fatal(err)
	}
	return m.FormDataContentType(), &b
}

type sent struct {
	Transfers []web.Transfer `json:"transfers"`
	Refused   []struct{ Name, Code, Error string }
	Code      string `json:"code"`
}

func (v *visitor) send(to string, files ...[2]string) (int, sent) {
	v.t.Helper()
	kind, body := sheet(v.t, to, "a note", files...)
	resp, b := v.do(http.MethodPost, "/transfers", kind, body, "Accept", "application/json")
	var s sent
	if err := json.Unmarshal([]byte(b), &s); err != nil {
		v.t.Fatalf("%s: %v\n%s", resp.Status, err, b)
	}
	return resp.StatusCode, s
}

// awaits waits until the gate has done its part.
func (v *visitor) awaits(id string, want web.State) {
	v.t.Helper()
	end := time.Now().Add(10 * time.Second)
	for {
		_, b := v.get("/transfers/"+id, "Accept", "application/json")
		var t web.Transfer
		if err := json.Unmarshal([]byte(b), &t); err != nil {
			v.t.Fatal(err, b)
		}
		if t.State == want {
			return
		}
		if time.Now().After(end) {
			v.t.Fatalf("transfer %s is %s, want %s", id, t.State, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	v := visit(t, stand(t, newHall(), anchors.LGWAN))
	for _, path := range []string{"/sign-in", "/transfers", "/nowhere", "/assets/app.css", "/api/session"} {
		resp, _ := v.get(path)
		csp := resp.Header.Get("Content-Security-Policy")
		for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Strict-Transport-Security": "max-age=31536000"} {
			if got := resp.Header.Values(header); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s %q, want %q once", path, header, got, want)
			}
		}
		if strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: content security policy %q", path, csp)
		}
		if path != "/assets/app.css" && resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: may be cached: %q", path, resp.Header.Get("Cache-Control"))
		}
	}
}

func TestPagesHaveNothingInline(t *testing.T) {
	h, _ := newHall().withBook(t)
	h.busy()
	h.evidence = measured(t)
	v := visit(t, stand(t, h, anchors.LGWAN))
	v.signIn("tanaka", "tanaka-no-password")
	m := visit(t, stand(t, h, anchors.Management))
	m.signIn("joho", "joho-no-password")
	inline := regexp.MustCompile(`(?i)<script(?:[^>]*)>[^<]|<style|\sstyle=|\son[a-z]+=|javascript:|https?://[^w]`)
	for _, x := range []struct {
		v    *visitor
		path string
	}{{v, "/sign-in"}, {v, "/transfers"}, {v, "/send"}, {v, "/received"}, {v, "/approvals"}, {v, "/password"}, {m, "/console"}, {m, "/emergency/lgwan"}, {m, "/revisions"}, {m, "/revisions/1"}, {m, "/designated"}, {m, "/designated/eltax-submit"}, {m, "/change"}, {m, "/proposals"}, {m, "/review"}, {m, "/evidence"}} {
		resp, body := x.v.get(x.path)
		_, english := x.v.get(x.path, "Cookie", "__Host-lang=en")
		body += english
		if resp.StatusCode != http.StatusOK || !strings.Contains(english, `<html lang="en">`) {
			t.Errorf("%s: %s", x.path, resp.Status)
		}
		if s := inline.FindString(body); s != "" {
			t.Errorf("%s: holds %q", x.path, s)
		}
		if s := regexp.MustCompile(`\[[a-z]+\.[a-z.-]+\]`).FindString(body); s != "" {
			t.Errorf("%s: text %s is missing", x.path, s)
		}
	}
}

func TestSessionCookie(t *testing.T) {
	v := visit(t, stand(t, newHall(), anchors.LGWAN))
	resp, _ := v.post("/sign-in", url.Values{"user": {"sato"}, "password": {"sato-no-password"}})
	c := resp.Header.Get("Set-Cookie")
	for _, want := range []string{"__Host-sekisho=", "Path=/", "HttpOnly", "Secure", "SameSite=Strict"} {
		if !strings.Contains(c, want) {
			t.Errorf("cookie %q lacks %s", c, want)
		}
	}
	if strings.Contains(c, "Domain") || strings.Contains(c, "Expires") {
		t.Errorf("cookie %q outlives the browser or the host", c)
	}
	resp, _ = v.post("/sign-out", nil)
	if resp.StatusCode != http.StatusSeeOther {
		t.Errorf("sign out: %s", resp.Status)
	}
	if resp, _ := v.get("/transfers"); resp.Header.Get("Location") != "/sign-in" {
		t.Errorf("signed out and still in: %s to %q", resp.Status, resp.Header.Get("Location"))
	}
}

func TestOtherSitesCannotAct(t *testing.T) {
	h := newHall()
	v := visit(t, stand(t, h, anchors.LGWAN))
	v.signIn("sato", "sato-no-password")
	for name, header := range map[string][]string{
		"fetched by another site":    {"Sec-Fetch-Site", "cross-site"},
		"fetched by a neighbour":     {"Sec-Fetch-Site", "same-site"},
		"old browser, other origin":  {"Origin", "https://elsewhere.example"},
		"old browser, opaque origin": {"Origin", "null"},
	} {
		for _, path := range []string{"/sign-out", "/password", "/transfers", "/language", "/transfers/x/reject", "/transfers/x/approve", "/emergency/lgwan/cut-off", "/revisions/confirm"} {
			if resp, body := v.post(path, nil, header...); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "ほかのサイト") {
				t.Errorf("%s: POST %s answered %s, want 403 in words: %.300s", name, path, resp.Status, body)
			}
		}
	}
	// The pages hold by themselves, whatever stands in front of them.
	pages := web.New(anchors.LGWAN, h.services(anchors.LGWAN), web.Options{Log: slog.New(slog.DiscardHandler)})
	r := httptest.NewRequest(http.MethodPost, "https://portal.example/sign-out", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	if pages.ServeHTTP(w, r); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "ほかのサイト") {
		t.Errorf("the pages alone answer another site's request with %d", w.Code)
	}
	if resp, _ := v.get("/transfers"); resp.StatusCode != http.StatusOK {
		t.Errorf("the session was ended from elsewhere: %s", resp.Status)
	}
}

func TestRolesAndZones(t *testing.T) {
	h, _ := newHall().withBook(t)
	h.busy()
	lg, mg := stand(t, h, anchors.LGWAN), stand(t, h, anchors.Management)
	for _, c := range []struct {
		user, base string
		path       string
		status     int
	}{
		{"sato", lg, "/transfers", 200}, {"sato", lg, "/approvals", 403}, {"sato", lg, "/console", 404}, {"sato", lg, "/audit", 404},
		{"tanaka", lg, "/approvals", 200},
		{"joho", mg, "/console", 200}, {"joho", mg, "/audit", 403}, {"joho", mg, "/transfers", 404},
		{"kansa", mg, "/audit", 200}, {"kansa", mg, "/console", 403}, {"kansa", mg, "/console/live", 403}, {"kansa", mg, "/console/samples", 403}, {"kansa", mg, "/emergency/lgwan", 403},
		{"joho", mg, "/emergency/lgwan", 200}, {"joho", mg, "/emergency/management", 404}, {"tanaka", lg, "/emergency/lgwan", 404}, {"", mg, "/emergency/lgwan", 303},
		{"joho", mg, "/revisions", 200}, {"kansa", mg, "/revisions", 200}, {"kansa", mg, "/designated", 200}, {"joho", mg, "/change", 200}, {"kansa", mg, "/change", 403}, {"kansa", mg, "/proposals", 200}, {"kansa", mg, "/review", 200}, {"tanaka", lg, "/review", 404}, {"", mg, "/review", 303}, {"tanaka", lg, "/change", 404}, {"", mg, "/change", 303}, {"tanaka", lg, "/designated", 404}, {"", mg, "/designated", 303}, {"kansa", mg, "/revisions/1", 200}, {"tanaka", lg, "/revisions", 404}, {"", mg, "/revisions/live", 303},
		{"", lg, "/transfers", 303}, {"", mg, "/console", 303}, {"", mg, "/console/samples", 303}, {"", mg, "/audit", 303},
	} {
		v := visit(t, c.base)
		if c.user != "" {
			v.signIn(c.user, c.user+"-no-password")
		}
		if resp, _ := v.get(c.path); resp.StatusCode != c.status {
			t.Errorf("%q at %s: %s, want %d", c.user, c.path, resp.Status, c.status)
		}
	}
	// A session of one zone is worth nothing in another.
	v := visit(t, lg)
	v.signIn("sato", "sato-no-password")
	v.base = stand(t, h, anchors.Internet)
	if resp, _ := v.get("/transfers"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("session carried to another zone: %s", resp.Status)
	}
}

func TestOneTimePasswordOpensNothing(t *testing.T) {
	v := visit(t, stand(t, newHall(), anchors.LGWAN))
	v.signIn("new", firstPassword)
	for _, path := range []string{"/", "/transfers", "/send", "/received", "/transfers/t-12345678"} {
		if resp, _ := v.get(path); resp.Header.Get("Location") != "/password" {
			t.Errorf("%s: %s to %q, want /password", path, resp.Status, resp.Header.Get("Location"))
		}
	}
	if code, s := v.send("internet", [2]string{"a.txt", "x"}); code != http.StatusForbidden || s.Code != "must-change" {
		t.Errorf("send: %d %q", code, s.Code)
	}
}

func TestUpload(t *testing.T) {
	v := visit(t, stand(t, newHall(), anchors.LGWAN))
	v.signIn("sato", "sato-no-password")
	big := strings.Repeat("0123456789abcdef", 2<<16+1) // just over the route's 2 MiB
	for _, c := range []struct {
		name   string
		to     string
		files  [][2]string
		status int
		code   string
	}{
		{"one", "internet", [][2]string{{"a.txt", "x"}}, 201, ""},
		{"as large as the route admits", "internet", [][2]string{{"a.txt", big[:2<<20]}}, 201, ""},
		{"larger", "internet", [][2]string{{"a.txt", big}}, 413, "too-large"},
		{"empty", "internet", [][2]string{{"a.txt", ""}}, 422, "empty"},
		{"none", "internet", nil, 422, "file-missing"},
		{"no such zone", "moon", [][2]string{{"a.txt", "x"}}, 403, "route"},
		{"no route", "lgwan", [][2]string{{"a.txt", "x"}}, 403, "route"},
		{"name that turns itself around", "internet", [][2]string{{"a\u202etxt.exe", "x"}}, 422, "file-name"},
		{"name with a line", "internet", [][2]string{{"a\u0085b.txt", "x"}}, 422, "file-name"},
		{"name too long", "internet", [][2]string{{strings.Repeat("あ", 201) + ".txt", "x"}}, 422, "file-name"},
		{"too many", "internet", many(21), 422, "too-many"},
	} {
		status, s := v.send(c.to, c.files...)
		code := s.Code
		if len(s.Refused) > 0 {
			code = s.Refused[0].Code
		}
		if status != c.status || code != c.code {
			t.Errorf("%s: %d %q, want %d %q", c.name, status, code, c.status, c.code)
		}
	}
	// Each file has its own chance.
	status, s := v.send("internet", [2]string{"big.txt", big}, [2]string{`C:\Users\sato\memo.txt`, "x"})
	if status != 201 || len(s.Transfers) != 1 || len(s.Refused) != 1 || s.Transfers[0].Name != "memo.txt" {
		t.Errorf("one of two: %d, sent %+v, refused %+v", status, s.Transfers, s.Refused)
	}
}

func many(n int) (fs [][2]string) {
	for i := range n {
		fs = append(fs, [2]string{fmt.Sprintf("%d.txt", i), "x"})
	}
	return fs
}

func TestNamesAreEscaped(t *testing.T) {
	v := visit(t, stand(t, newHall(), anchors.LGWAN))
	v.signIn("sato", "sato-no-password")
	_, s := v.send("internet", [2]string{`<img src=x onerror=alert(1)>.txt`, "<script>alert(1)</script>"})
	if len(s.Transfers) != 1 {
		t.Fatalf("sent %+v", s)
	}
	v.awaits(s.Transfers[0].ID, web.Awaiting)
	for _, path := range []string{"/transfers", "/transfers/" + s.Transfers[0].ID, "/transfers?error=%3Cscript%3E&done=%3Cscript%3E"} {
		if _, body := v.get(path); strings.Contains(body, "<img src=x") || strings.Contains(body, "<script>") {
			t.Errorf("%s: markup of a file name or file came through", path)
		}
	}
}

func TestApprovalTakesTheRoadToRelease(t *testing.T) {
	h := newHall()
	lg, in := stand(t, h, anchors.LGWAN), stand(t, h, anchors.Internet)
	clerk, head, other := visit(t, lg), visit(t, lg), visit(t, in)
	clerk.signIn("sato", "sato-no-password")
	head.signIn("tanaka", "tanaka-no-password")
	other.signIn("sato", "sato-no-password")
	_, s := clerk.send("internet", [2]string{"報告 2026.txt", "本文\n"})
	id := s.Transfers[0].ID
	clerk.awaits(id, web.Awaiting)
	path := "/transfers/" + id

	_, page := head.get(path + "/approve")
	sha := regexp.MustCompile(`name="sha256" value="([0-9a-f]{64})"`).FindStringSubmatch(page)
	if sha == nil {
		t.Fatal("the form of approval does not name the file that is shown")
	}
	ask := func(v *visitor, fields url.Values) (int, string) {
		resp, b := v.post(path+"/approve", fields, "Accept", "application/json")
		var p struct{ Code string }
		if b != "" {
			if err := json.Unmarshal([]byte(b), &p); err != nil {
				t.Fatal(err, b)
			}
		}
		return resp.StatusCode, p.Code
	}
	good := url.Values{"sha256": {sha[1]}, "passphrase": {"shinsei no aikotoba"}, "reason": {"よし"}}
	with := func(k, v string) url.Values {
		f := url.Values{}
		for name := range good {
			f.Set(name, good.Get(name))
		}
		f.Set(k, v)
		return f
	}
	for _, c := range []struct {
		name   string
		v      *visitor
		fields url.Values
		status int
		code   string
	}{
		{"own request", clerk, good, 403, "forbidden"},
		{"nobody", visit(t, lg), good, 401, "session"},
		{"wrong passphrase", head, with("passphrase", "sign-in password"), 403, "release.passphrase"},
		{"another file than shown", head, with("sha256", strings.Repeat("0", 64)), 409, "release.hash-mismatch"},
	} {
		if status, code := ask(c.v, c.fields); status != c.status || code != c.code {
			t.Errorf("approve, %s: %d %q, want %d %q", c.name, status, code, c.status, c.code)
		}
	}
	if resp, _ := other.get(path+"/download", "Accept", "application/json"); resp.StatusCode != http.StatusConflict {
		t.Errorf("download before approval: %s", resp.Status)
	}
	if resp, b := head.get(path + "/inspect"); resp.StatusCode != 200 || b != "本文\n" {
		t.Errorf("inspect: %s %q", resp.Status, b)
	}
	if resp, _ := clerk.get(path+"/inspect", "Accept", "application/json"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("inspect by the requester: %s", resp.Status)
	}
	if status, code := ask(head, good); status != http.StatusNoContent {
		t.Fatalf("approve: %d %q", status, code)
	}
	resp, b := other.get(path + "/download")
	if resp.StatusCode != 200 || b != "本文\n" {
		t.Errorf("download: %s %q", resp.Status, b)
	}
	want := `attachment; filename="__ 2026.txt"; filename*=UTF-8''%E5%A0%B1%E5%91%8A%202026.txt`
	if got := resp.Header.Get("Content-Disposition"); got != want {
		t.Errorf("disposition %s, want %s", got, want)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/octet-stream" {
		t.Errorf("type %q: a browser might show the file instead of keeping it", got)
	}
	if resp, _ := clerk.get(path+"/download", "Accept", "application/json"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("download in the zone it came from: %s", resp.Status)
	}
	// Browsers have no business with what portal and control say to each other.
	if resp, _ := head.post("/api"+path+"/receipt", nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the portal hands /api/ on: %s", resp.Status)
	}
}

func TestRejectionNeedsAReason(t *testing.T) {
	h := newHall()
	base := stand(t, h, anchors.LGWAN)
	clerk, head := visit(t, base), visit(t, base)
	clerk.signIn("sato", "sato-no-password")
	head.signIn("tanaka", "tanaka-no-password")
	_, s := clerk.send("internet", [2]string{"a.txt", "x\n"})
	id := s.Transfers[0].ID
	clerk.awaits(id, web.Awaiting)
	if resp, body := head.post("/transfers/"+id+"/reject", url.Values{"reason": {"  \n"}}); resp.StatusCode != 422 || !strings.Contains(body, "却下には理由が必要です") {
		t.Errorf("without a reason: %s", resp.Status)
	}
	clerk.awaits(id, web.Awaiting)
	if resp, _ := clerk.post("/transfers/"+id+"/reject", url.Values{"reason": {"x"}}); resp.StatusCode != 403 {
		t.Errorf("by a clerk: %s", resp.Status)
	}
	if resp, _ := head.post("/transfers/"+id+"/reject", url.Values{"reason": {"宛先が違います"}}); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("with a reason: %s", resp.Status)
	}
	if _, body := clerk.get("/transfers/" + id); !strings.Contains(body, "宛先が違います") {
		t.Error("the requester does not see the reason")
	}
	if resp, _ := head.post("/transfers/"+id+"/reject", url.Values{"reason": {"again"}}, "Accept", "application/json"); resp.StatusCode != http.StatusConflict {
		t.Errorf("twice: %s", resp.Status)
	}
}

// TestPreviewIsNeverAFile sends raw pixels of a wrong size, as a taken-over sandbox might.
func TestPreviewIsNeverAFile(t *testing.T) {
	h := newHall()
	base := stand(t, h, anchors.LGWAN)
	v := visit(t, base)
	v.signIn("sato", "sato-no-password")
	_, s := v.send("internet", [2]string{"a.txt", "x\n"})
	id := s.Transfers[0].ID
	v.awaits(id, web.Awaiting)
	show := func(p *verdict.Preview) (*http.Response, string) {
		h.mu.Lock()
		h.transfers[0].Report.Original = p
		h.mu.Unlock()
		return v.get("/transfers/" + id + "/preview/before")
	}
	for name, p := range map[string]*verdict.Preview{
		"none":       nil,
		"too few":    {Width: 2, Height: 2, RGBA: make([]byte, 15)},
		"too many":   {Width: 2, Height: 2, RGBA: make([]byte, 17)},
		"no size":    {RGBA: []byte("<svg onload=alert(1)>")},
		"negative":   {Width: -1, Height: -4, RGBA: make([]byte, 16)},
		"overflowed": {Width: 1 << 31, Height: 1 << 31, RGBA: nil},
	} {
		if resp, _ := show(p); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	if resp, body := show(&verdict.Preview{Width: 2, Height: 2, RGBA: make([]byte, 16)}); resp.StatusCode != 200 || !strings.HasPrefix(body, "\x89PNG") {
		t.Errorf("a proper one: %s", resp.Status)
	}
}

func TestFaultsAreNotTold(t *testing.T) {
	h := newHall()
	v := visit(t, stand(t, h, anchors.LGWAN))
	v.signIn("sato", "sato-no-password")
	h.fail = errors.New("open /var/lib/secret: permission denied")
	resp, body := v.get("/transfers")
	if resp.StatusCode != 500 || strings.Contains(body, "secret") || !strings.Contains(body, "関所の中で失敗しました") {
		t.Errorf("%s\n%s", resp.Status, body)
	}
	h.fail = web.Refuse(web.CodeUnavailable, errors.New("dial /run/secret"))
	resp, body = v.get("/transfers")
	if resp.StatusCode != 503 || strings.Contains(body, "secret") || !strings.Contains(body, "何も失われていません") {
		t.Errorf("%s\n%s", resp.Status, body)
	}
}

// TestUnknownRateIsNotShownAsZero: what nobody counted is said to be unknown, and leaves a gap in the chart.
func TestUnknownRateIsNotShownAsZero(t *testing.T) {
	h := newHall()
	now := time.Now()
	h.status = web.Status{Time: now}
	h.samples = []web.Sample{{Time: now.Add(-time.Second), Dropped: map[string]float64{}}, {Time: now, Dropped: map[string]float64{"no-cell": 2}}}
	v := visit(t, stand(t, h, anchors.Management))
	v.signIn("joho", "joho-no-password")
	if _, body := v.get("/console"); !strings.Contains(body, "不明") {
		t.Error("the console does not say that the rate is unknown")
	}
	if _, body := v.get("/console/samples", "Accept", "application/json"); !strings.Contains(body, `"values":[null,null]`) || !strings.Contains(body, `"values":[0,2]`) {
		t.Errorf("samples: %s", body)
	}
	rate := 0.0
	h.samples[1].Allowed = &rate
	if _, body := v.get("/console"); strings.Contains(body, "不明") {
		t.Error("a rate that is known to be zero is shown as unknown")
	}
}

// Whoever looks at the console sees how old the signatures are before they are too old, and why nothing passes when they are.
func TestConsoleShowsTheAntivirusProgram(t *testing.T) {
	h := newHall()
	v := visit(t, stand(t, h, anchors.Management))
	v.signIn("joho", "joho-no-password")
	now := time.Now()
	if _, body := v.get("/console"); strings.Contains(body, "ウイルス") {
		t.Error("shown before it was asked")
	}
	for _, c := range []struct {
		s    antivirus.Standing
		want []string
	}{
		{antivirus.Standing{Version: "ClamAV 1.4.3", Signatures: 27823, Made: now.Add(-5 * time.Hour)}, []string{"ClamAV 1.4.3", "ウイルス定義 27823", "5時間前", "正常"}},
		{antivirus.Standing{Version: "ClamAV 1.4.3", Made: now.Add(-25 * time.Hour), Level: antivirus.Day}, []string{"1日より古い", "今日届いたか"}},
		{antivirus.Standing{Version: "ClamAV 1.4.3", Made: now.Add(-80 * time.Hour), Level: antivirus.Days}, []string{"3日前", "3日より古い", "配布元"}},
		{antivirus.Standing{Version: "ClamAV 1.4.3", Made: now.Add(-200 * time.Hour), Level: antivirus.Week}, []string{"8日前", "7日より古い", "至急"}},
		{antivirus.Standing{Level: antivirus.Blocking, Code: antivirus.Silent, Detail: "clamd: <x>"}, []string{"ファイルは通りません", "応答しない", "clamd: &lt;x&gt;"}},
	} {
		h.status = web.Status{Time: now, Antivirus: &c.s}
		_, body := v.get("/console")
		for _, want := range c.want {
			if !strings.Contains(body, want) {
				t.Errorf("%+v: the console does not say %q", c.s, want)
			}
		}
	}
}

// TestTownsNameFollowsTheConfiguration: a commit may change it while control runs.
func TestTownsNameFollowsTheConfiguration(t *testing.T) {
	h := newHall()
	v := visit(t, stand(t, h, anchors.LGWAN))
	if _, body := v.get("/sign-in"); !strings.Contains(body, "海山町") {
		t.Error("the page does not name the town")
	}
	h.mu.Lock()
	h.town = web.Name{JA: "新海山市"}
	h.mu.Unlock()
	if _, body := v.get("/sign-in"); !strings.Contains(body, "新海山市") || strings.Contains(body, "海山町") {
		t.Error("the page does not follow the town's new name")
	}
}

func TestLanguage(t *testing.T) {
	v := visit(t, stand(t, newHall(), anchors.LGWAN))
	if _, body := v.get("/sign-in", "Accept-Language", "en"); !strings.Contains(body, `<html lang="ja">`) {
		t.Error("the first page is not Japanese")
	}
	for back, want := range map[string]string{"/sign-in": "/sign-in", "//elsewhere.example/": "/", "https://elsewhere.example": "/", "/\\elsewhere.example": "/", "": "/"} {
		resp, _ := v.post("/language", url.Values{"lang": {"en"}, "back": {back}})
		if got := resp.Header.Get("Location"); got != want {
			t.Errorf("back to %q leads to %q, want %q", back, got, want)
		}
	}
	if _, body := v.get("/sign-in"); !strings.Contains(body, `<html lang="en">`) {
		t.Error("the language was not kept")
	}
}

func TestAssetsAreKeptByTheirContent(t *testing.T) {
	v := visit(t, stand(t, newHall(), anchors.LGWAN))
	_, page := v.get("/sign-in")
	for _, m := range regexp.MustCompile(`"(/assets/[^"]+\?v=[0-9a-f]+)"`).FindAllStringSubmatch(page, -1) {
		resp, _ := v.get(m[1])
		if resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %s %q", m[1], resp.Status, resp.Header.Get("Cache-Control"))
		}
	}
	for _, path := range []string{"/assets/app.css?v=0", "/assets/app.css"} {
		if resp, _ := v.get(path); resp.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %q", path, resp.Header.Get("Cache-Control"))
		}
	}
	for _, path := range []string{"/assets/", "/assets/vendor/LICENSES.txt", "/assets/../web.go", "/assets/package.json"} {
		if resp, _ := v.get(path); resp.StatusCode == 200 {
			t.Errorf("%s is served", path)
		}
	}
}

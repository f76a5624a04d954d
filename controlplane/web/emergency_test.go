package web_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/controlplane/web/browsertest"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// console is an administrator at the management zone's console.
func console(t *testing.T, h *hall) *visitor {
	t.Helper()
	v := visit(t, stand(t, h, anchors.Management))
	v.signIn("joho", "joho-no-password")
	return v
}

func TestOnlyAdministratorsAct(t *testing.T) {
	h := newHall()
	auditor := visit(t, stand(t, h, anchors.Management))
	auditor.signIn("kansa", "kansa-no-password")
	staff := visit(t, stand(t, h, anchors.LGWAN))
	staff.signIn("tanaka", "tanaka-no-password")
	for _, path := range []string{"/emergency/lgwan/cut-off", "/emergency/lgwan/give-back", "/revisions/1/rollback", "/revisions/confirm", "/revisions/give-up", "/change", "/proposals/1/approve", "/proposals/1/withdraw"} {
		fields := url.Values{"reason": {"x"}, "minutes": {"30"}}
		if resp, _ := auditor.post(path, fields); resp.StatusCode != http.StatusForbidden {
			t.Errorf("POST %s by the auditor: %s", path, resp.Status)
		}
		if resp, _ := staff.post(path, fields); resp.StatusCode != http.StatusNotFound {
			t.Errorf("POST %s in another zone: %s", path, resp.Status)
		}
	}
	if len(h.acts) > 0 {
		t.Errorf("done all the same: %q", h.acts)
	}
}

func TestCutOffNeedsAZoneAReasonAndAnEnd(t *testing.T) {
	h := newHall()
	v := console(t, h)
	good := url.Values{"reason": {"不審な\n通信"}, "minutes": {"30"}, "by": {"sato"}, "zone": {"internet"}, "person": {"sato"}}
	with := func(k, s string) url.Values {
		f := url.Values{"reason": good["reason"], "minutes": good["minutes"]}
		f.Set(k, s)
		return f
	}
	for _, c := range []struct {
		name, path string
		fields     url.Values
		status     int
		says       string
	}{
		{"management", "/emergency/management/cut-off", good, 404, "見つかりません"},
		{"no such zone", "/emergency/moon/cut-off", good, 404, "見つかりません"},
		{"no reason", "/emergency/lgwan/cut-off", with("reason", " \n\t"), 422, "理由が必要です"},
		{"a reason without end", "/emergency/lgwan/cut-off", with("reason", strings.Repeat("あ", 301)), 422, "理由が長すぎます"},
		{"no end chosen", "/emergency/lgwan/cut-off", with("minutes", ""), 422, "いつまでかを選んで"},
		{"an end of one's own", "/emergency/lgwan/cut-off", with("minutes", "1000000"), 422, "いつまでかを選んで"},
		{"by looking", "/emergency/lgwan/cut-off", nil, 404, ""},
	} {
		resp, body := v.post(c.path, c.fields)
		if c.fields == nil {
			resp, body = v.get(c.path)
		}
		if resp.StatusCode != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s: %s, want %d and %q", c.name, resp.Status, c.status, c.says)
		}
	}
	if len(h.acts) > 0 {
		t.Fatalf("cut off all the same: %q", h.acts)
	}
	resp, _ := v.post("/emergency/lgwan/cut-off", good)
	if resp.StatusCode != http.StatusSeeOther || !slices.Equal(h.acts, []string{"cut off lgwan by joho: 不審な 通信"}) {
		t.Fatalf("%s, %q", resp.Status, h.acts)
	}
	if left := time.Until(h.cuts[0].Until); left < 29*time.Minute || left > 30*time.Minute {
		t.Errorf("given back in %v, want 30 minutes", left)
	}
}

func TestABannerOnEveryPageWhileAZoneIsCutOff(t *testing.T) {
	h := newHall()
	h.busy()
	base := stand(t, h, anchors.Management)
	admin, auditor := visit(t, base), visit(t, base)
	admin.signIn("joho", "joho-no-password")
	auditor.signIn("kansa", "kansa-no-password")
	const says = "LGWAN接続系を遮断しています"
	pages := []struct {
		v    *visitor
		path string
	}{{admin, "/console"}, {admin, "/console/live"}, {admin, "/emergency/internet"}, {admin, "/password"}, {auditor, "/audit"}}
	for _, c := range pages {
		if _, body := c.v.get(c.path); strings.Contains(body, says) {
			t.Errorf("%s: a banner, and nothing is cut off", c.path)
		}
	}
	h.cuts = []web.Cut{{Zone: anchors.LGWAN, Since: time.Now(), By: "情報 次郎", Reason: "<b>不審</b>"}}
	for _, c := range pages {
		_, body := c.v.get(c.path)
		if n := strings.Count(body, says); n != 1 || !strings.Contains(body, "&lt;b&gt;不審&lt;/b&gt;") || !strings.Contains(body, "情報 次郎") {
			t.Errorf("%s: the banner stands there %d times, want once, with person and reason", c.path, n)
		}
		if link := strings.Contains(body, `href="/emergency/lgwan"`); link != (c.v == admin) {
			t.Errorf("%s: leads to giving back: %t", c.path, link)
		}
	}
	h.fail = web.Refuse(web.CodeUnavailable, nil)
	if _, body := admin.get("/password"); !strings.Contains(body, "確かめられません") {
		t.Error("no page says that nobody can tell what is cut off")
	}
	if resp, _ := admin.post("/emergency/lgwan/give-back", url.Values{"reason": {"x"}}); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("give back, and the dataplane does not answer: %s", resp.Status)
	}
}

func TestGivingBackIsAboutTheCutThatWasLookedAt(t *testing.T) {
	h := newHall()
	v := console(t, h)
	h.cuts = []web.Cut{{Zone: anchors.LGWAN, Since: time.Now().Add(-time.Hour), By: "情報 次郎", Reason: "不審な通信"}}
	_, page := v.get("/emergency/lgwan")
	since := regexp.MustCompile(`name="since" value="(\d+)"`).FindStringSubmatch(page)
	if since == nil || !strings.Contains(page, "eLTAX 申告データ") || !strings.Contains(page, "再び通るもの") {
		t.Fatalf("the page does not tell what begins again:\n%s", page)
	}
	give := func(since, reason string) int {
		resp, _ := v.post("/emergency/lgwan/give-back", url.Values{"since": {since}, "reason": {reason}})
		return resp.StatusCode
	}
	if got := give(since[1], ""); got != 422 {
		t.Errorf("without a reason: %d", got)
	}
	h.cuts[0].Since = time.Now() // another one, meanwhile
	if got := give(since[1], "済み"); got != http.StatusConflict {
		t.Errorf("another cut than the one looked at: %d", got)
	}
	if len(h.acts) > 0 {
		t.Fatalf("given back all the same: %q", h.acts)
	}
	if got := give(strconv.FormatInt(h.cuts[0].Since.UnixMilli(), 10), "済み"); got != http.StatusSeeOther || len(h.acts) != 1 {
		t.Errorf("%d, %q", got, h.acts)
	}
	if got := give("0", "済み"); got != http.StatusConflict {
		t.Errorf("not cut off: %d", got)
	}
}

// TestCutOffAndGiveBack is an emergency as people live it.
func TestCutOffAndGiveBack(t *testing.T) {
	h := newHall()
	h.busy()
	base := stand(t, h, anchors.Management)
	ctx := browsertest.Start(t)
	p := browsertest.Sit(t, ctx, base)
	p.SignIn("joho", "joho-no-password")
	p.See("緊急の遮断")
	p.Click(`a[href="/emergency/lgwan"]`)
	p.See("止まるもの")
	p.Look("emergency-cut")
	p.Click("button.alarm") // the browser itself asks for the reason
	p.Until(`document.activeElement.id === "reason"`)
	p.Fill("#reason", "LGWAN側から大量の接続試行がありました")
	p.Click(`input[name=minutes][value="120"]`)
	p.Click("button.alarm")
	p.See("遮断しました")
	p.See("LGWAN接続系を遮断しています")
	p.Look("console-cut")
	p.Resize(390, 844)
	p.Open("/emergency/lgwan")
	p.Fits()
	p.Resize(1280, 900)
	p.See("再び通るもの")
	p.Look("emergency-back")
	p.Fill("#reason", "原因の端末を外し、確認が済みました")
	p.Click("form.card button.primary")
	p.See("元に戻しました")
	p.Until(`!document.body.innerText.includes("を遮断しています")`)

	other := browsertest.Sit(t, ctx, base)
	other.WithoutScripts()
	other.Open("/sign-in")
	other.Type("#user", "joho")
	other.Type("#password", "joho-no-password\r")
	other.Await(".wards")
	other.Open("/emergency/uplink")
	other.Type("#reason", "x")
	other.Click("button.alarm")
	other.Await(".siren")
	if want := 3; len(h.acts) != want {
		t.Errorf("%d acts, want %d: %q", len(h.acts), want, h.acts)
	}
}

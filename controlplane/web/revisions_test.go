package web_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/web/browsertest"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// edited is the lab's text with one part replaced.
func edited(t *testing.T, old, new string) []byte {
	t.Helper()
	if !strings.Contains(string(examples.Lab), old) {
		t.Fatalf("the lab lacks %q", old)
	}
	return []byte(strings.Replace(string(examples.Lab), old, new, 1))
}

// change commits on trial, as somebody by some way.
func (h *hall) change(t *testing.T, who string, via revision.Via, text []byte, comment string) revision.Revision {
	t.Helper()
	n, err := h.book.HeadNumber(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := h.book.Commit(t.Context(), revision.Author{ID: who, Via: via, Request: "the change", Began: time.Now()},
		revision.Change{Text: text, Comment: comment, Parent: n, Confirm: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// without web-use the internet segment opens nothing.
func suspended(t *testing.T) []byte {
	return edited(t, "  - id: web-use\n", "  - id: web-use\n    state: suspended\n")
}

func TestRevisionsTellWhatTheyChange(t *testing.T) {
	h, _ := newHall().withBook(t)
	h.differ = func(older, newer *config.Config, lang string) (string, error) {
		return "通らなくなるもの:\n  - 職員PC <b> から ウェブ tcp/443\n    ほか 3件\n", nil
	}
	h.change(t, "joho", revision.Web, suspended(t), "ウェブ閲覧を止める")
	v := console(t, h)
	_, list := v.get("/revisions")
	for _, want := range []string{"初回の設定", "ウェブ閲覧を止める", "確定待ち", "残り 9分", `href="/revisions/2"`, "前は版1"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list lacks %q", want)
		}
	}
	_, page := v.get("/revisions/2")
	if !strings.Contains(page, `<p class="lead">ウェブ閲覧を止める</p>`) {
		t.Error("the revision's page lacks its comment")
	}
	for _, want := range []string{`<li class="del"><b>−</b> 職員PC &lt;b&gt; から`, `<li class="more">ほか 3件`, "communications web-use", "<code>state</code>: ", "<ins>suspended</ins>",
		"<ins>+     state: suspended</ins>", `action="/revisions/confirm"`} {
		if strings.HasPrefix(want, "action") != !strings.Contains(page, want) {
			t.Errorf("the revision's page: %q", want)
		}
	}
	for _, path := range []string{"/revisions/3", "/revisions/0", "/revisions/-1", "/revisions/x"} {
		if resp, _ := v.get(path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	if _, body := v.get("/revisions?page=99"); strings.Contains(body, "初回の設定") {
		t.Error("a page beyond the last has revisions")
	}
}

// trialOf reads the trial that the page would end.
func trialOf(t *testing.T, page string) string {
	t.Helper()
	m := regexp.MustCompile(`name="trial" value="([0-9a-f]+)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatal("the page names no trial")
	}
	return m[1]
}

// TestALargeChangeIsCutShort: a ledger that was taken over changes thousands of entries at once.
func TestALargeChangeIsCutShort(t *testing.T) {
	h, _ := newHall().withBook(t)
	h.inForce(t, manyRecords(t, 250))
	_, page := console(t, h).get("/revisions/2")
	if n := strings.Count(page, "<code>communications copy-"); n != 200 || !strings.Contains(page, "(ほかに50件)") {
		t.Errorf("%d entries are shown, want 200 and the number of the others", n)
	}
}

func TestOnlyTheOneWhoMadeAChangeConfirmsIt(t *testing.T) {
	for _, c := range []struct {
		name, by string
		via      revision.Via
		says     string
		status   int
	}{
		{"one's own", "joho", revision.Web, "", http.StatusSeeOther},
		{"somebody else's", "kawa", revision.Web, "変更した本人(kawa)だけ", http.StatusForbidden},
		{"one's own, at the box", "joho", revision.Console, "機器の端末から", http.StatusForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, _ := newHall().withBook(t)
			h.change(t, c.by, c.via, suspended(t), "試し")
			v := console(t, h)
			_, page := v.get("/revisions")
			if button := strings.Contains(page, `action="/revisions/confirm"`); button != (c.says == "") || !strings.Contains(page, c.says) {
				t.Errorf("offers to confirm: %t; want the words %q", button, c.says)
			}
			fields := url.Values{"trial": {trialOf(t, page)}, "person": {c.by}, "author": {c.by}, "via": {string(c.via)}}
			if resp, _ := v.post("/revisions/confirm", url.Values{"trial": {"00"}}); resp.StatusCode != http.StatusForbidden {
				t.Errorf("another trial: %s", resp.Status)
			}
			if resp, _ := v.post("/revisions/confirm", nil); resp.StatusCode != http.StatusUnprocessableEntity {
				t.Errorf("no trial: %s", resp.Status)
			}
			if resp, _ := v.post("/revisions/confirm", fields); resp.StatusCode != c.status {
				t.Errorf("confirm: %s, want %d", resp.Status, c.status)
			}
			p, err := h.book.Pending(t.Context())
			if err != nil || (p == nil) != (c.status == http.StatusSeeOther) {
				t.Errorf("pending %+v, %v", p, err)
			}
		})
	}
}

// TestARequestFromBeforeTheChangeConfirmsNothing: it may have been on its way since before the change cut its sender off. Here
// its head is there before the change, its body after.
func TestARequestFromBeforeTheChangeConfirmsNothing(t *testing.T) {
	h, _ := newHall().withBook(t)
	v := console(t, h)
	body, rest := io.Pipe()
	var r revision.Revision
	h.early = func() {
		r = h.change(t, "joho", revision.Web, suspended(t), "試し")
		go func() {
			io.WriteString(rest, url.Values{"trial": {r.Trial.ID}}.Encode())
			rest.Close()
		}()
	}
	resp, page := v.do(http.MethodPost, "/revisions/confirm", "application/x-www-form-urlencoded", body)
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(page, "must begin after the change took force") {
		t.Errorf("%s, and the book's words: %t", resp.Status, strings.Contains(page, "took force"))
	}
	if p, err := h.book.Pending(t.Context()); err != nil || p == nil {
		t.Errorf("pending %+v, %v", p, err)
	}
	if resp, _ := v.post("/revisions/confirm", url.Values{"trial": {r.Trial.ID}}); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("a new request: %s", resp.Status)
	}
}

func TestGivingUpATrialThatIsOver(t *testing.T) {
	h, p := newHall().withBook(t)
	h.change(t, "joho", revision.Web, suspended(t), "二つ目")
	v := console(t, h)
	_, page := v.get("/revisions")
	if resp, _ := v.post("/revisions/confirm", url.Values{"trial": {trialOf(t, page)}}); resp.StatusCode != http.StatusSeeOther {
		t.Fatal(resp.Status)
	}
	h.change(t, "joho", revision.Web, examples.Lab, "三つ目")
	_, page = v.get("/revisions")
	p.timeOut(t) // and control has not heard of it yet
	resp, _ := v.post("/revisions/give-up", url.Values{"trial": {trialOf(t, page)}})
	if n, err := h.book.HeadNumber(t.Context()); err != nil || n != 2 || resp.StatusCode != http.StatusForbidden {
		t.Errorf("%s; head %d, %v: want 2, the last that was confirmed", resp.Status, n, err)
	}
}

func TestRollback(t *testing.T) {
	h, _ := newHall().withBook(t)
	v := console(t, h)
	h.change(t, "joho", revision.Web, suspended(t), "二つ目")
	_, page := v.get("/revisions")
	v.post("/revisions/confirm", url.Values{"trial": {trialOf(t, page)}})
	good := url.Values{"head": {"2"}, "comment": {"やはり要る"}, "minutes": {"5"}}
	if _, body := v.get("/revisions/1"); !strings.Contains(body, `name="head" value="2"`) || !strings.Contains(body, "版2からの違い") || !strings.Contains(body, "communications web-use") {
		t.Error("what the way back changes of what is in force is not shown")
	}
	for _, c := range []struct {
		name, path string
		fields     url.Values
		status     int
		says       string
	}{
		{"no comment", "/revisions/1/rollback", url.Values{"minutes": {"5"}}, 422, "コメントが必要"},
		{"no time", "/revisions/1/rollback", url.Values{"comment": {"x"}}, 422, "確定までの時間"},
		{"for ever", "/revisions/1/rollback", url.Values{"comment": {"x"}, "minutes": {"0"}}, 422, "確定までの時間"},
		{"without the head", "/revisions/1/rollback", url.Values{"comment": {"x"}, "minutes": {"5"}}, 422, ""},
		{"looked at beside another head", "/revisions/1/rollback", url.Values{"head": {"1"}, "comment": {"x"}, "minutes": {"5"}}, 409, "ほかの人が先に変更しました"},
		{"no such revision", "/revisions/7/rollback", good, 404, ""},
		{"to what was before, unnamed", "/revisions/0/rollback", good, 404, ""},
		{"to where one is", "/revisions/2/rollback", good, 403, "受け付けられません"},
	} {
		if resp, body := v.post(c.path, c.fields); resp.StatusCode != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s: %s, want %d and %q", c.name, resp.Status, c.status, c.says)
		}
	}
	if _, body := v.post("/revisions/1/rollback", url.Values{"comment": {"書いた理由"}}); !strings.Contains(body, `value="書いた理由"`) {
		t.Error("what was typed is lost")
	}
	if resp, _ := v.post("/revisions/1/rollback", good); resp.StatusCode != http.StatusSeeOther {
		t.Fatal(resp.Status)
	}
	r, err := h.book.Pending(t.Context())
	if err != nil || r == nil || r.Of != 1 || r.Number != 3 || r.Author != "joho" || r.Via != string(revision.Web) {
		t.Fatalf("pending %+v, %v", r, err)
	}
	if left := time.Until(r.Trial.Until); left > 5*time.Minute || left < 4*time.Minute {
		t.Errorf("to be confirmed in %v, want 5 minutes", left)
	}
	if _, body := v.get("/console"); !strings.Contains(body, "版3は確定を待っています") {
		t.Error("the console does not tell that a change waits")
	}
	good.Set("head", "3")
	if resp, body := v.post("/revisions/1/rollback", good); resp.StatusCode != http.StatusConflict || !strings.Contains(body, "ほかの変更が確定を待っている") {
		t.Errorf("while another waits: %s", resp.Status)
	}
	// The other administrator may end it, and not make it last.
	if resp, _ := v.post("/revisions/give-up", url.Values{"trial": {r.Trial.ID}}); resp.StatusCode != http.StatusSeeOther {
		t.Error(resp.Status)
	}
	if n, err := h.book.HeadNumber(t.Context()); err != nil || n != 2 {
		t.Errorf("head %d, %v", n, err)
	}
}

// TestRollBackAndConfirm walks through it at a browser.
func TestRollBackAndConfirm(t *testing.T) {
	h, p := newHall().withBook(t)
	h.busy()
	h.change(t, "joho", revision.Web, suspended(t), "ウェブ閲覧を止める")
	base := stand(t, h, anchors.Management)
	b := browsertest.Sit(t, browsertest.Start(t), base)
	b.SignIn("joho", "joho-no-password")
	b.See("版2は確定を待っています")
	b.Click(".clock a")
	b.See("残り")
	b.Look("revisions-pending")
	b.Click("button.huge")
	b.See("確定しました")
	b.Click(`a[href="/revisions/1"]`)
	b.See("最初の版です")
	b.Type("#comment", "やはりウェブ閲覧は要る")
	b.Click(`input[name=minutes][value="5"]`)
	b.Click("form.decide button")
	b.See("反映しました")
	b.Click(`a.button[href="/revisions/3"]`)
	b.See("変わった項目")
	b.Click("details summary")
	b.Look("revision")
	b.Resize(390, 844)
	b.Fits()
	b.Open("/revisions")
	b.Fits()
	p.timeOut(t)
	if _, err := h.book.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Until(`!document.querySelector(".countdown")`) // by itself
	b.See("確定されず元に戻った")
	b.Resize(1280, 900)
	b.Look("revisions")
	if n, err := h.book.HeadNumber(t.Context()); err != nil || n != 2 {
		t.Error("head " + strconv.Itoa(n))
	}
}

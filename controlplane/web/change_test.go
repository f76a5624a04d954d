package web_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/web/browsertest"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// submit sends the form of a change; file, when it is not nil, as an uploaded one.
func (v *visitor) submit(act, text string, parent int, file []byte, more ...string) (*http.Response, string) {
	v.t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	fields := append([]string{"act", act, "text", strings.ReplaceAll(text, "\n", "\r\n"), "parent", strconv.Itoa(parent)}, more...)
	for i := 0; i < len(fields); i += 2 {
		if err := m.WriteField(fields[i], fields[i+1]); err != nil {
			v.t.Fatal(err)
		}
	}
	if file != nil {
		w, err := m.CreateFormFile("file", "town.yaml")
		if err == nil {
			_, err = w.Write(file)
		}
		if err != nil {
			v.t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		v.t.Fatal(err)
	}
	return v.do(http.MethodPost, "/change", m.FormDataContentType(), io.Reader(&b))
}

func TestACheckTellsEverythingAndChangesNothing(t *testing.T) {
	h, _ := newHall().withBook(t)
	v := console(t, h)
	joins := edited(t, "communications:\n", "communications:\n  - {id: leak, from: {stations: [mn-pc1]}, to: {services: [web]}, ports: [], purpose: x, owner: x}\n")
	for _, c := range []struct {
		name, text string
		file       []byte
		status     int
		says       []string
	}{
		{"good", string(suspended(t)), nil, 200, []string{"証明しました", "communications web-use", "suspended", "通らなくなる", `<li class="del">`}},
		{"an uploaded file in its place", "nonsense", suspended(t), 200, []string{"証明しました", "communications web-use"}},
		{"two faults", strings.NewReplacer("model: alpha\n", "model: omega\n", "class: core", "class: kore").Replace(string(examples.Lab)), nil, 422, []string{"誤りが", "omega", "kore", "4:8"}},
		{"joins My Number and the internet", string(joins), nil, 422, []string{"分離が破れる", "I1", "leak", "反例"}},
		{"no document", "", nil, 422, []string{"反映できません"}},
		{"bytes", "", []byte("\xff\xfe\x00"), 422, []string{"UTF-8"}},
		{"a bomb", "", bytes.Repeat([]byte("a"), 9<<20+9), 422, []string{"8 MB"}},
		{"markup", "<script>alert(1)</script>", nil, 422, []string{"&lt;script&gt;alert(1)"}},
	} {
		resp, page := v.submit("check", c.text, 1, c.file)
		if resp.StatusCode != c.status || strings.Contains(page, "<script>alert") {
			t.Errorf("%s: %s, want %d", c.name, resp.Status, c.status)
		}
		for _, want := range c.says {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page lacks %q", c.name, want)
			}
		}
	}
	if revs, err := h.book.History(t.Context(), 0); err != nil || len(revs) != 1 {
		t.Errorf("%d revisions, %v: a check brought something into force", len(revs), err)
	}
}

func TestCommitIsOnTrialAndThePersonsOwn(t *testing.T) {
	h, _ := newHall().withBook(t)
	v := console(t, h)
	text := string(suspended(t))
	for _, c := range []struct {
		name string
		more []string
		says string
	}{
		{"no comment", []string{"minutes", "5"}, "コメントが必要"},
		{"no time", []string{"comment", "x"}, "確定までの時間"},
		{"for good", []string{"comment", "x", "minutes", "0"}, "確定までの時間"},
	} {
		if resp, page := v.submit("commit", text, 1, nil, c.more...); resp.StatusCode != 422 || !strings.Contains(page, c.says) || !strings.Contains(page, "state: suspended") {
			t.Errorf("%s: %s, want 422, %q and the text as typed", c.name, resp.Status, c.says)
		}
	}
	resp, _ := v.submit("commit", text, 1, nil, "comment", "ウェブを止める", "minutes", "5", "author", "sato", "person", "sato", "confirm", "0")
	if resp.Header.Get("Location") != "/revisions?done=on-trial" {
		t.Fatalf("%s to %s", resp.Status, resp.Header.Get("Location"))
	}
	r, err := h.book.Pending(t.Context())
	if err != nil || r == nil || r.Author != "joho" || r.Via != string(revision.Web) || r.Parent != 1 || time.Until(r.Trial.Until) > 5*time.Minute {
		t.Fatalf("pending %+v, %v", r, err)
	}
	if _, got, err := h.book.Read(t.Context(), 2); err != nil || string(got) != text {
		t.Errorf("the text has changed on its way: %v", err)
	}
}

func TestTheSecondIsToldWhatTheFirstChanged(t *testing.T) {
	h, _ := newHall().withBook(t)
	v := console(t, h)
	theirs := edited(t, "    purpose: 申告データの照会\n", "    purpose: 申告データの確認\n")
	first := func() {
		if _, err := h.book.Commit(t.Context(), revision.Author{ID: "kawa", Via: revision.Web}, revision.Change{Text: theirs, Comment: "言い換え", Parent: 1}); err != nil {
			t.Fatal(err)
		}
	}
	first()
	resp, page := v.submit("commit", string(suspended(t)), 1, nil, "comment", "止める", "minutes", "5")
	if resp.StatusCode != http.StatusConflict || !strings.Contains(page, "kawaさんが版2を反映しました") || !strings.Contains(page, "communications asp-use changed") ||
		!strings.Contains(page, "state: suspended") || !strings.Contains(page, "申告データの確認") || !strings.Contains(page, `name="parent" inputmode="numeric" pattern="[0-9]*" value="2"`) {
		t.Errorf("different entries: %s\n%s", resp.Status, page)
	}
	same := strings.Replace(string(examples.Lab), "申告データの照会", "申告データの印刷", 1)
	resp, page = v.submit("commit", same, 1, nil, "comment", "言い換え", "minutes", "5")
	if resp.StatusCode != http.StatusConflict || !strings.Contains(page, "二人とも変えた項目") || strings.Contains(page, `value="2" aria-describedby="parent-hint"`) {
		t.Errorf("the same entry: %s", resp.Status)
	}
	// An uploaded text is not taken for one that was edited from what the page showed.
	resp, page = v.submit("commit", "", 2, suspended(t), "comment", "止める", "minutes", "5")
	if resp.StatusCode != http.StatusUnprocessableEntity && resp.StatusCode != http.StatusConflict || !strings.Contains(page, "どの版から編集したか") {
		t.Errorf("an upload without a mark: %s", resp.Status)
	}
	if resp, _ = v.submit("commit", "", 2, revision.Marked(suspended(t), "test", 1), "comment", "止める", "minutes", "5"); resp.StatusCode != http.StatusConflict {
		t.Errorf("an upload of revision 1: %s", resp.Status)
	}
	if n, err := h.book.HeadNumber(t.Context()); err != nil || n != 2 {
		t.Errorf("head %d, %v", n, err)
	}
}

func TestASecondPersonApproves(t *testing.T) {
	h, _ := newHall().withBook(t)
	four := edited(t, "model: alpha\n", "model: alpha\nfour-eyes: true\n")
	h.inForce(t, four)
	base := stand(t, h, anchors.Management)
	v, w := visit(t, base), visit(t, base)
	v.signIn("joho", "joho-no-password")
	w.signIn("kawa", "kawa-no-password")
	text := strings.Replace(string(four), "  - id: eltax-submit\n", "  - id: eltax-submit\n    state: suspended\n", 1)
	resp, _ := v.submit("commit", text, 2, nil, "comment", "eLTAXを止める", "minutes", "10")
	if resp.Header.Get("Location") != "/proposals/1?done=proposed" {
		t.Fatalf("%s to %s", resp.Status, resp.Header.Get("Location"))
	}
	_, own := v.get("/proposals/1")
	_, page := w.get("/proposals/1")
	m := regexp.MustCompile(`name="text" value="([0-9a-f]+)"><input type="hidden" name="digest" value="([0-9a-f]+)"`).FindStringSubmatch(page)
	if m == nil || strings.Contains(own, `/approve"`) || !strings.Contains(own, "自分の変更案は") || !strings.Contains(page, "eltax-submit") {
		t.Fatal("the second person is not asked, or the first is")
	}
	fields := url.Values{"text": {m[1]}, "digest": {m[2]}}
	if resp, _ := v.post("/proposals/1/approve", fields); resp.StatusCode != http.StatusForbidden {
		t.Errorf("by its author: %s", resp.Status)
	}
	if resp, _ := w.post("/proposals/1/approve", url.Values{"text": {m[2]}, "digest": {m[2]}}); resp.StatusCode != http.StatusForbidden {
		t.Errorf("of another text: %s", resp.Status)
	}
	if resp, _ := w.post("/proposals/1/withdraw", url.Values{"why": {" "}}); resp.StatusCode != 422 {
		t.Errorf("withdrawn without a reason: %s", resp.Status)
	}
	if n, err := h.book.HeadNumber(t.Context()); err != nil || n != 2 {
		t.Fatalf("head %d, %v", n, err)
	}
	if resp, _ := w.post("/proposals/1/approve", fields); resp.StatusCode != http.StatusSeeOther {
		t.Fatal(resp.Status)
	}
	r, err := h.book.Pending(t.Context())
	if err != nil || r == nil || r.Author != "joho" || r.Approver != "kawa" {
		t.Errorf("pending %+v, %v", r, err)
	}
	if resp, _ := w.post("/proposals/1/withdraw", url.Values{"why": {"遅い"}}); resp.StatusCode != http.StatusForbidden {
		t.Errorf("withdrawn after it was applied: %s", resp.Status)
	}
	if resp, _ := w.get("/proposals/9"); resp.StatusCode != http.StatusNotFound {
		t.Error(resp.Status)
	}
}

// TestCommitAndConfirm is a change as people make it.
func TestCommitAndConfirm(t *testing.T) {
	h, _ := newHall().withBook(t)
	h.busy()
	b := browsertest.Sit(t, browsertest.Start(t), stand(t, h, anchors.Management))
	b.SignIn("joho", "joho-no-password")
	b.See("緊急の遮断")
	b.Open("/change")
	b.Look("change")
	b.Until(`(() => { const t = document.getElementById("text"); t.value = t.value.replace("model: alpha\n", "model: omega\n"); return true })()`)
	b.Click(`button[value=check]`)
	b.See("誤りが")
	b.Picture("change-faults-ja")
	b.Accessible("change-faults")
	b.Until(`(() => { const t = document.getElementById("text"); t.value = t.value.replace("model: omega\n", "model: alpha\n").replace("- id: web-use\n", "- id: web-use\n    state: suspended\n"); return true })()`)
	b.Click(`button[value=check]`)
	b.See("証明しました")
	b.Picture("change-checked-ja")
	b.Accessible("change-checked")
	b.Resize(390, 844)
	b.Fits()
	b.Resize(1280, 900)
	b.Type("#comment", "ウェブ閲覧を止める")
	b.Click(`button[value=commit]`)
	b.See("反映しました")
	b.Click("button.huge")
	b.See("確定しました")
	b.Open("/proposals")
	b.See("承認を待っている変更案はありません")
	b.Look("proposals")
}

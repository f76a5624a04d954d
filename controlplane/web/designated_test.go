package web_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/controlplane/web/browsertest"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// manyRecords puts n copies of a record of the lab under names of their own.
func manyRecords(t *testing.T, n int) []byte {
	var b bytes.Buffer
	for i := range n {
		state := []string{"active", "draft", "suspended"}[i%3]
		fmt.Fprintf(&b, "  - {id: copy-%04d, name: {ja: 写し%d}, state: %s, from: {segments: [in-office]}, to: {prefixes: [203.0.113.128/25]}, ports: [tcp/%d], purpose: 試験, owner: 住民課}\n", i, i, state, 1000+i)
	}
	return edited(t, "communications:\n", "communications:\n"+b.String())
}

// inForce commits for good.
func (h *hall) inForce(t *testing.T, text []byte) {
	t.Helper()
	n, err := h.book.HeadNumber(t.Context())
	if err == nil {
		_, err = h.book.Commit(t.Context(), revision.Author{ID: "joho", Via: revision.Web}, revision.Change{Text: text, Comment: "試験", Parent: n})
	}
	if err != nil {
		t.Fatal(err)
	}
}

var rowLink = regexp.MustCompile(`<th scope="row"><a href="/designated/([^"]+)"`)

func ids(page string) (out []string) {
	for _, m := range rowLink.FindAllStringSubmatch(page, -1) {
		out = append(out, m[1])
	}
	return out
}

func TestDesignatedCommunicationsAreFound(t *testing.T) {
	h, _ := newHall().withBook(t)
	h.inForce(t, manyRecords(t, 120))
	watched := time.Now().AddDate(0, -6, 0)
	h.usage = policy.Usage{Records: map[string]policy.Use{"eltax-submit": {First: watched}, "web-use": {First: watched, Last: time.Now(), Packets: 1234}}}
	v := console(t, h)
	for _, c := range []struct {
		query string
		first string
		rows  int
		says  string
	}{
		{"", "copy-0000", 50, "(3ページ中1ページ目)"},
		{"page=2", "copy-0050", 50, "(3ページ中2ページ目)"},
		{"page=999999", "copy-0100", 0, "(3ページ中3ページ目)"},
		{"page=-1", "copy-0000", 50, "(3ページ中1ページ目)"},
		{"q=ELTAX-submit", "eltax-submit", 1, "1件"},
		{"q=" + url.QueryEscape("地方税法 eltax-submit"), "eltax-submit", 1, "1件"},
		{"q=tcp/1007", "copy-0007", 1, "1件"},
		{"q=zzz", "", 0, "条件に合う特定通信はありません"},
		{"state=draft", "copy-0001", 40, "40件"},
		{"state=draft&q=copy-000", "copy-0001", 3, "3件"},
		{"state=nonsense", "copy-0000", 50, ""},
		{"zone=lgwan", "eltax-submit", 0, ""},
		{"zone=moon", "copy-0000", 50, ""},
		{"kind=never-used", "eltax-submit", 1, "一度も使用なし"},
		{"q=web-use", "web-use", 1, "いまの版で1234パケット"},
		{"q=%3Cscript%3Ealert(1)", "", 0, "&lt;script&gt;alert(1)"},
	} {
		resp, page := v.get("/designated?" + c.query)
		got := ids(page)
		if resp.StatusCode != http.StatusOK || !strings.Contains(page, c.says) || c.rows > 0 && len(got) != c.rows || c.first != "" && (len(got) == 0 || got[0] != c.first) || strings.Contains(page, "<script>alert") {
			t.Errorf("%q: %s, %d rows, first %v; want %d from %q and %q", c.query, resp.Status, len(got), got[:min(1, len(got))], c.rows, c.first, c.says)
		}
	}
	_, page := v.get("/designated?state=draft&q=copy")
	if strings.Contains(page, "page=2") {
		t.Error("forty rows have a second page")
	}
	_, page = v.get("/designated?zone=internet&q=copy")
	if !strings.Contains(page, "/designated?page=2&amp;q=copy&amp;zone=internet") {
		t.Error("the next page forgets the filters")
	}
	_, page = v.get("/designated?kind=unused-group")
	if !strings.Contains(page, "<code>tax-desks</code>") {
		t.Error("findings that are about no record are not shown")
	}
}

func TestOneDesignatedCommunication(t *testing.T) {
	h, _ := newHall().withBook(t)
	v := console(t, h)
	_, page := v.get("/designated/eltax-submit")
	for _, want := range []string{"eLTAX 申告受付", "地方税法 第747条の2", "2036-03-31", "セル", "mn-pc1", "未計測", "承認なし"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, path := range []string{"/designated/none", "/designated/gate:portal-lgwan", "/designated/%00"} {
		if resp, _ := v.get(path); resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	h.inForce(t, suspended(t))
	if _, page := v.get("/designated/web-use"); !strings.Contains(page, "停止中") || !strings.Contains(page, "何も許可していません") {
		t.Error("the page does not follow the head, or shows that a suspended record permits something")
	}
}

func TestDesignatedInABrowser(t *testing.T) {
	h, _ := newHall().withBook(t)
	h.busy()
	h.usage = policy.Usage{Records: map[string]policy.Use{"eltax-submit": {First: time.Now().AddDate(0, -6, 0)}, "web-use": {First: time.Now().AddDate(0, -6, 0), Last: time.Now(), Packets: 1234}}}
	b := browsertest.Sit(t, browsertest.Start(t), stand(t, h, anchors.Management))
	b.SignIn("joho", "joho-no-password")
	b.See("緊急の遮断")
	b.Open("/designated")
	b.Look("designated")
	b.Type("#q", "eltax\r")
	b.See("2件")
	b.Follow("eltax-submit")
	b.See("何になったか")
	b.Look("one-designated")
	b.Resize(390, 844)
	b.Fits()
	b.Open("/designated?kind=unused-group")
	b.Fits()
}

// TestNoHeadIsSaid: while control cannot read what is in force, the list does not look like one without records.
func TestNoHeadIsSaid(t *testing.T) {
	h, _ := newHall().withBook(t)
	h.book = revision.New(h.store, nil, nil, nil, time.Now) // not loaded
	v := console(t, h)
	if resp, page := v.get("/designated"); resp.StatusCode != http.StatusOK || !strings.Contains(page, "いまは読めません") {
		t.Errorf("list: %s", resp.Status)
	}
	for _, path := range []string{"/designated/eltax-submit", "/review"} {
		if resp, _ := v.get(path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	if resp, page := v.get("/revisions/1"); resp.StatusCode != http.StatusOK || !strings.Contains(page, "初回の設定") {
		t.Errorf("the revisions are still there: %s", resp.Status)
	}
}

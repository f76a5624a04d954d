package portal_test

import (
	"bytes"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/web/portal"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// hand answers what control says about the head of a section who looks at a file that waits.
func hand(asked *[]string, role string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.Path)
		io.WriteString(w, `{"person":"tanaka","role":"`+role+`","state":"awaiting-approval"}`)
	})
}

func onePNG(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func fetch(t *testing.T, url string, header ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

// TestAnApproverComparesPages: what differs is framed, what is the same is said to be, and all of it comes from release.
func TestAnApproverComparesPages(t *testing.T) {
	sheet := verdict.Sheet{Width: 70, Height: 100, PNG: onePNG(t, 70, 100)}
	drawn := &verdict.Pages{Version: 1, Before: verdict.Drawing{Pages: []verdict.Sheet{sheet, sheet, sheet}}, After: verdict.Drawing{Pages: []verdict.Sheet{sheet, sheet}, More: true},
		Compared: []verdict.Comparison{{Same: true}, {Marks: [][4]int{{1, 2, 33, 44}}}}}
	report := &verdict.Report{Findings: []verdict.Finding{
		{Code: "ooxml.vba", Place: "word/vbaProject.bin", Action: verdict.Removed, Count: 1}, {Code: "ooxml.link", Place: "p1", Action: verdict.Removed, Count: 2},
		{Code: "ooxml.link", Place: "p2", Action: verdict.Removed, Detail: "<b>"}, {Code: "ooxml.link", Place: "p3", Action: verdict.Removed},
		{Code: "ooxml.link", Place: "p4", Action: verdict.Removed}, {Code: "ooxml.link", Place: "p5", Action: verdict.Removed}}}
	var asked []string
	v := &vault{report: report, pages: []*verdict.Pages{nil, drawn}}
	s := httptest.NewServer(portal.New(portal.Options{Control: control(t, hand(&asked, "section-head")), Release: v, Log: quiet}))
	defer s.Close()

	status, page, _ := fetch(t, s.URL+"/transfers/t-1/approve", "Cookie", "__Host-lang=en")
	for _, want := range []string{"Page 1", "No visible change", "Differs; places: 1", `<rect class="mark" x="1" y="2" width="33" height="44"/>`, `href="/transfers/t-1/pages/after/2"`, "There is no such page",
		"Only the first pages", "&lt;b&gt;", "2 places more", `title="word/vbaProject.bin"`, `name="passphrase"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%d: the page does not show %q", status, want)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "style=") || strings.Contains(page, "[pages.") {
		t.Error("the page has a script, a style of its own, or no text")
	}
	if !strings.Contains(strings.Join(asked, "\n"), "POST /api/transfers/t-1/drawing") {
		t.Errorf("pages that were not drawn were not ordered: %v", asked)
	}
	status, body, header := fetch(t, s.URL+"/transfers/t-1/pages/after/2", "Sec-Fetch-Dest", "image")
	if status != http.StatusOK || body != string(sheet.PNG) || header.Get("Content-Type") != "image/png" || !strings.HasPrefix(header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("a page: %d %v", status, header)
	}
	for path, want := range map[string]int{"/after/3": 404, "/after/-1": 404, "/after/x": 404, "/beside/1": 404, "/before/0": 404} {
		if status, _, _ := fetch(t, s.URL+"/transfers/t-1/pages"+path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if status, _, _ := fetch(t, s.URL+"/transfers/t-1/pages/after/1", "Sec-Fetch-Dest", "script"); status != http.StatusForbidden {
		t.Errorf("a page as a script: %d", status)
	}
	sheet.PNG = []byte("<html>")
	v.pages = []*verdict.Pages{{Version: 1, After: verdict.Drawing{Pages: []verdict.Sheet{sheet}}}}
	if status, body, _ := fetch(t, s.URL+"/transfers/t-1/pages/after/1"); status != http.StatusNotFound || strings.Contains(body, "<html>") && !strings.Contains(body, "lang=") {
		t.Errorf("what is no picture: %d %s", status, body)
	}
}

// TestAFileCanBeApprovedWithoutPages: that some are not drawn yet, or cannot be, is said.
func TestAFileCanBeApprovedWithoutPages(t *testing.T) {
	var asked []string
	text := &verdict.Report{Original: &verdict.Preview{Text: "a\n=1+1"}, Result: &verdict.Preview{Text: "a\n'=1+1"}}
	picture := &verdict.Report{Original: &verdict.Preview{Width: 1, Height: 1, RGBA: []byte{1, 2, 3, 4}}, Result: &verdict.Preview{Width: 1, Height: 1, RGBA: []byte{1, 2, 3, 4}}}
	none := &verdict.Pages{Version: 1, Before: verdict.Drawing{Failed: "draw.kind"}, After: verdict.Drawing{Failed: "draw.kind"}}
	for want, v := range map[string]*vault{
		"The pictures of the pages are being made":             {},
		"No report was kept":                                   {pages: []*verdict.Pages{none}},
		"<del>=1&#43;1</del>":                                  {pages: []*verdict.Pages{none}, report: text},
		`src="/transfers/t-1/pages/after/0"`:                   {pages: []*verdict.Pages{none}, report: picture},
		"The file as it was sent could not be drawn":           {pages: []*verdict.Pages{{Before: verdict.Drawing{Failed: "helper.password"}, After: verdict.Drawing{Pages: []verdict.Sheet{{Width: 1, Height: 1}}}}}},
		"The file that will arrive could not be drawn. Please": {pages: []*verdict.Pages{{Before: verdict.Drawing{Failed: "helper.failed"}, After: verdict.Drawing{Failed: "helper.failed"}}}},
	} {
		s := httptest.NewServer(portal.New(portal.Options{Control: control(t, hand(&asked, "section-head")), Release: v, Log: quiet}))
		status, page, _ := fetch(t, s.URL+"/transfers/t-1/approve", "Cookie", "__Host-lang=en")
		if !strings.Contains(page, want) || !strings.Contains(page, `name="passphrase"`) {
			t.Errorf("%d: the page does not say %q", status, want)
		}
		if v.report == picture {
			if status, body, _ := fetch(t, s.URL+"/transfers/t-1/pages/before/0"); status != http.StatusOK || !strings.HasPrefix(body, "\x89PNG") {
				t.Errorf("the small picture: %d", status)
			}
		}
		s.Close()
	}
	s := httptest.NewServer(portal.New(portal.Options{Control: control(t, hand(&asked, "staff")), Release: &vault{pages: []*verdict.Pages{none}, report: picture}, Log: quiet}))
	defer s.Close()
	if status, body, _ := fetch(t, s.URL+"/transfers/t-1/pages/before/0"); status == http.StatusOK || strings.Contains(body, "PNG") {
		t.Errorf("who decides nothing sees pages: %d", status)
	}
}

package portal_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/monitor/report"
	"github.com/sekisho/sekisho/controlplane/web/portal"
)

// TestReportsAreTheOnlyFilesOfControl: as downloads that the portal names, in the zone that has reports, at that path alone.
func TestReportsAreTheOnlyFilesOfControl(t *testing.T) {
	kind := ""
	hostile := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Disposition", `inline; filename="evil.exe"`)
		w.Header().Set("Clear-Site-Data", "*")
		io.WriteString(w, "MZ")
	})
	path := control(t, hostile)
	good := url.Values{"line": {"line-a"}, "month": {"2026-10"}, "form": {"pdf"}}
	with := func(key, value string) url.Values {
		q := url.Values{}
		for k, v := range good {
			q[k] = v
		}
		q.Set(key, value)
		return q
	}
	const file = "application/octet-stream"
	for name, c := range map[string]struct {
		reports bool
		method  string
		path    string
		query   url.Values
		kind    string
		status  int
		named   string
	}{
		"a report":                   {true, http.MethodGet, "/evidence/report", good, file, 200, "sekisho-line-a-2026-10.pdf"},
		"its figures":                {true, http.MethodGet, "/evidence/report", with("form", "summary.csv"), file, 200, "sekisho-line-a-2026-10-summary.csv"},
		"a line with a hostile name": {true, http.MethodGet, "/evidence/report", with("line", "../a\".exe\r\nx"), file, 200, "sekisho-_a_exe_x-2026-10.pdf"},
		"in another zone":            {false, http.MethodGet, "/evidence/report", good, file, 502, ""},
		"at another path":            {true, http.MethodGet, "/evidence/other", good, file, 502, ""},
		"by another method":          {true, http.MethodPost, "/evidence/report", good, file, 502, ""},
		"as a page":                  {true, http.MethodGet, "/evidence/report", good, "text/html", 502, ""},
		"as a script":                {true, http.MethodGet, "/evidence/report", good, "text/javascript", 502, ""},
		"in another form":            {true, http.MethodGet, "/evidence/report", with("form", "exe"), file, 502, ""},
		"without a form":             {true, http.MethodGet, "/evidence/report", with("form", ""), file, 502, ""},
		"of a month that is none":    {true, http.MethodGet, "/evidence/report", with("month", "x.exe"), file, 502, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(portal.New(portal.Options{Control: path, Release: &vault{}, Log: quiet, Reports: c.reports}))
			defer s.Close()
			kind = c.kind
			req, _ := http.NewRequest(c.method, s.URL+c.path+"?"+c.query.Encode(), nil)
			resp, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			want := ""
			if c.named != "" {
				want = portal.Attachment(c.named)
			}
			if resp.StatusCode != c.status || resp.Header.Get("Content-Disposition") != want || resp.Header.Get("Clear-Site-Data") != "" {
				t.Errorf("%s, %q, want %d, %q", resp.Status, resp.Header.Get("Content-Disposition"), c.status, want)
			}
		})
	}
	m := report.Month{Line: "line-a", From: time.Date(2026, 10, 1, 0, 0, 0, 0, report.Japan)}
	for _, form := range report.Forms {
		s := httptest.NewServer(portal.New(portal.Options{Control: path, Release: &vault{}, Log: quiet, Reports: true}))
		kind = file
		resp, err := s.Client().Get(s.URL + "/evidence/report?" + with("form", form).Encode())
		s.Close()
		if err != nil || resp.Header.Get("Content-Disposition") != portal.Attachment(m.File(form)) {
			t.Errorf("%s is named %q by the portal, %q by the report: %v", form, resp.Header.Get("Content-Disposition"), m.File(form), err)
		}
	}
}

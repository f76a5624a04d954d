package portal

import (
	"fmt"
	"net/http"
	"regexp"
)

// reportPath is where the console's monthly reports are: the only files that control itself gives, to administrators and auditors. The
// name and its end are made here of what the person asked for, so that a control which was taken over cannot pass a program off.
const reportPath = "/evidence/report"

// reportEnds are the ends of the files' names, by form. That package report knows the same is tested.
var reportEnds = map[string]string{"pdf": ".pdf", "summary.csv": "-summary.csv", "violations.csv": "-violations.csv"}

var (
	monthText  = regexp.MustCompile(`^20[0-9]{2}-(0[1-9]|1[0-2])$`)
	notInNames = regexp.MustCompile(`[^A-Za-z0-9_-]+`)
)

// tame lets a report through as a download, and everything else as a page.
func (p *portal) tame(resp *http.Response) error {
	r := resp.Request
	kind := resp.Header.Get("Content-Type")
	if !p.Reports || r.Method != http.MethodGet || r.URL.Path != reportPath || resp.StatusCode != http.StatusOK {
		return tame(resp)
	}
	q := r.URL.Query()
	month, end := q.Get("month"), reportEnds[q.Get("form")]
	if kind != "application/octet-stream" || !monthText.MatchString(month) || end == "" {
		return fmt.Errorf("control answers %q to %s: no report", kind, resp.Request.URL)
	}
	header := http.Header{"Content-Type": {kind}, "Content-Disposition": {Attachment("sekisho-" + notInNames.ReplaceAllString(q.Get("line"), "_") + "-" + month + end)}}
	if n := resp.Header.Get("Content-Length"); n != "" {
		header.Set("Content-Length", n)
	}
	resp.Header, resp.Trailer = header, nil
	return nil
}

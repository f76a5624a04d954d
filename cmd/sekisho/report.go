package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/sekisho/sekisho/controlplane/monitor/report"
	"github.com/sekisho/sekisho/controlplane/web/text"
	"github.com/sekisho/sekisho/dataplane/place"
)

// runReport writes a month of a line as files: the page and both tables. A form that cannot be made does not keep the others from
// being written.
func runReport(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs, name := instanceFlags("report", stderr)
	month := fs.String("month", "", "`month` in Japan's time, as 2026-10")
	line := fs.String("line", "", "`id` of the line in the configuration")
	out := fs.String("out", "", "`directory` to write to; made if need be")
	lang := fs.String("lang", "ja", "`language` of the headings: ja or en")
	if fs.Parse(args) != nil || fs.NArg() > 0 || *month == "" || *line == "" || *out == "" || *lang != "ja" && *lang != "en" {
		fmt.Fprintln(stderr, "usage: sekisho report --name N --month 2026-10 --line LINE --out DIR [--lang ja|en]")
		return exitUsage
	}
	if _, err := report.ParseMonth(*month); err != nil {
		fmt.Fprintln(stderr, "sekisho report:", err)
		return exitUsage
	}
	var m report.Month
	path := "/report?" + url.Values{"line": {*line}, "month": {*month}}.Encode()
	err := (control{place.Instance(*name)}).call(ctx, http.MethodGet, path, nil, &m)
	if err == nil {
		err = os.MkdirAll(*out, 0o755)
	}
	if err != nil {
		fmt.Fprintln(stderr, "sekisho report:", err)
		return exitFailed
	}
	return writeReport(m, *out, text.Lang(*lang), stdout, stderr)
}

func writeReport(m report.Month, dir string, l text.Lang, stdout, stderr io.Writer) int {
	code := exitOK
	for _, form := range report.Forms {
		var b bytes.Buffer
		path := filepath.Join(dir, filepath.Base(m.File(form))) // what a line is called must not lead elsewhere
		err := m.Write(&b, form, l)
		if err == nil {
			err = os.WriteFile(path, b.Bytes(), 0o644)
		}
		if err != nil {
			fmt.Fprintln(stderr, "sekisho report:", err)
			code = exitFailed
			continue
		}
		fmt.Fprintln(stdout, path)
	}
	return code
}

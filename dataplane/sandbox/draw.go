package sandbox

import (
	"context"
	"path"
	"strconv"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool/pam"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// drawn maps the extensions of files that have pages to what LibreOffice is to read them as; nothing: it is a PDF. Only names that a
// sanitizer passed come here, so that the name tells what the bytes are.
var drawn = map[string]string{
	".pdf":  "",
	".docx": "docx", ".docm": "docx", ".dotx": "docx", ".dotm": "docx",
	".xlsx": "xlsx", ".xlsm": "xlsx", ".xltx": "xlsx", ".xltm": "xlsx", ".xlsb": "xlsb",
	".pptx": "pptx", ".pptm": "pptx", ".potx": "pptx", ".potm": "pptx", ".ppsx": "pptx", ".ppsm": "pptx",
	".odt": "odt", ".ott": "odt", ".ods": "ods", ".ots": "ods", ".odp": "odp", ".otp": "odp",
	".fodt": "fodt", ".fods": "fods", ".fodp": "fodp",
	".doc": "doc", ".dot": "dot", ".xls": "xls", ".xlt": "xlt", ".ppt": "ppt", ".pot": "pot", ".pps": "pps", ".rtf": "rtf",
}

// HasPages tells whether files of the name have pages that can be drawn.
func HasPages(name string) bool {
	_, ok := drawn[strings.ToLower(path.Ext(name))]
	return ok
}

// maxDrawn bounds the PDF that pages are drawn from, in bytes, and maxPixels what comes out of one page.
const (
	maxDrawn  = 64 << 20
	maxPixels = verdict.MaxPageEdge * verdict.MaxPageEdge * 3
)

// Draw gives the first pages of a file as its reader sees them, each at most verdict.MaxPageEdge wide and high, at most so many and
// one more: then there are more. Nothing of the file is read outside of sandboxes, and only pixels come out of the last. A failure
// is a *Failure whose kind has a sentence.
func (w *Worker) Draw(ctx context.Context, name string, body []byte, most int) ([]pam.Frame, error) {
	from, ok := drawn[strings.ToLower(path.Ext(name))]
	if !ok {
		return nil, fail("draw.kind", "")
	}
	last := strconv.Itoa(most + 1)
	if from != "" {
		a := w.help(ctx, need("convert", map[string]string{"from": from, "to": "pdf", "last": last}, body), maxDrawn)
		if a.Failed != "" {
			return nil, &Failure{Kind(a.Failed), a.Detail}
		}
		body = a.Body
	}
	a := w.help(ctx, need("render", map[string]string{"from": "pdf", "edge": strconv.Itoa(verdict.MaxPageEdge), "first": "1", "last": last}, body),
		int64(most+1)*(maxPixels+1024))
	if a.Failed != "" {
		return nil, &Failure{Kind(a.Failed), a.Detail}
	}
	frames, err := pam.Read(a.Body, most+1)
	if err != nil {
		return nil, fail(Answer, "%v", err)
	}
	for _, f := range frames {
		if f.Width > verdict.MaxPageEdge || f.Height > verdict.MaxPageEdge {
			return nil, fail(Answer, "a page of %d x %d pixels", f.Width, f.Height)
		}
	}
	return frames, nil
}

func need(kind string, options map[string]string, body []byte) verdict.Need {
	n := verdict.Need{Kind: kind, Options: options, Body: body}
	n.ID = n.Name()
	return n
}

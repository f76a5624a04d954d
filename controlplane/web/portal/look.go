package portal

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sekisho/sekisho/controlplane/web/account"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// look is what an approver is shown of a file: all of it comes from release, where the broker left it.
type look struct {
	Reported bool // there is a report; a file of an earlier version has none
	Groups   []account.Group
	Text     *account.Comparison // of files without pages, and beside those that have some
	Sheets   []sheet
	Waiting  bool   // pages are being drawn
	Side     string // the side that could not be drawn, before or after
	More     bool   // there are pages behind these
}

// sheet is one page, before and after; nil where there is none.
type sheet struct {
	Number        int
	Before, After *verdict.Sheet
	Same          bool     // in every pixel
	Marks         [][4]int // of what a person sees to differ
}

// patience is how long an approver's page waits for pages that are not drawn yet. The page of the file has them drawn before.
const patience = 10 * time.Second

// look gathers what there is. A file can be approved without pages, as one can that has none.
func (p *portal) look(r *http.Request, id string) (look, error) {
	var l look
	report, err := p.Release.Report(r.Context(), id)
	switch {
	case err == nil:
		l.Reported, l.Groups, l.Text = true, account.Groups(report.Findings), account.Compare(&report)
	case !notShown(err):
		return l, err
	}
	pages, err := p.Release.Pages(r.Context(), id)
	if notShown(err) {
		pages, err = p.drawn(r, id)
	}
	if notShown(err) {
		l.Waiting = true
		return l, nil
	}
	if err != nil {
		return l, err
	}
	if pages.After.Failed == "" && len(pages.After.Pages) == 0 || pages.After.Failed == noPages {
		return l, nil
	}
	switch {
	case pages.After.Failed != "":
		l.Side = "after"
	case pages.Before.Failed != "":
		l.Side = "before"
	}
	l.More = pages.Before.More || pages.After.More
	l.Sheets = sheets(pages)
	return l, nil
}

// noPages is the broker's word for a kind of file that has no pages.
const noPages = "draw.kind"

func sheets(p verdict.Pages) []sheet {
	var all []sheet
	for i := range max(len(p.Before.Pages), len(p.After.Pages)) {
		s := sheet{Number: i + 1}
		if i < len(p.Before.Pages) {
			s.Before = &p.Before.Pages[i]
		}
		if i < len(p.After.Pages) {
			s.After = &p.After.Pages[i]
		}
		if i < len(p.Compared) {
			s.Same, s.Marks = p.Compared[i].Same, p.Compared[i].Marks
		}
		all = append(all, s)
	}
	return all
}

// drawn asks control to have the pages drawn, and release for them.
func (p *portal) drawn(r *http.Request, id string) (verdict.Pages, error) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	err := p.ask(r.WithContext(ctx), http.MethodPost, "/api/transfers/"+url.PathEscape(id)+"/drawing", []byte("{}"), nil)
	if err != nil && ctx.Err() == nil {
		return verdict.Pages{}, err
	}
	return p.Release.Pages(r.Context(), id)
}

func notShown(err error) bool {
	no, ok := errors.AsType[*release.Refusal](err)
	return ok && no.Code == release.CodeNotShown
}

// page gives the picture of one page, and by the number 0 the small picture of the report.
func (p *portal) page(w http.ResponseWriter, r *http.Request) {
	if d := r.Header.Get("Sec-Fetch-Dest"); d != "" && d != "image" && d != "document" {
		p.say(w, r, http.StatusForbidden, "forbidden")
		return
	}
	id := r.PathValue("id")
	if _, err := p.asApprover(r, id); err != nil {
		p.refuse(w, r, err)
		return
	}
	b, err := p.picture(r, id)
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	if !bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")) {
		p.say(w, r, http.StatusNotFound, "not-found")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "image/png")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	if _, err := w.Write(b); err != nil {
		p.Log.Debug("answer a page", "err", err)
	}
}

// picture is nil where there is none.
func (p *portal) picture(r *http.Request, id string) ([]byte, error) {
	side := r.PathValue("side")
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || side != "before" && side != "after" {
		return nil, nil
	}
	if n == 0 {
		report, err := p.Release.Report(r.Context(), id)
		if err != nil {
			return nil, err
		}
		preview := report.Result
		if side == "before" {
			preview = report.Original
		}
		b, _ := account.PNG(preview)
		return b, nil
	}
	pages, err := p.Release.Pages(r.Context(), id)
	if err != nil {
		return nil, err
	}
	of := pages.After.Pages
	if side == "before" {
		of = pages.Before.Pages
	}
	if n < 1 || n > len(of) {
		return nil, nil
	}
	return of[n-1].PNG, nil
}

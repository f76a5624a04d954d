package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

const (
	codeUnusable = "unusable"       // the text cannot be brought into force; what is wrong is shown
	codeStale    = "stale"          // somebody else was faster
	codeParent   = "parent-unknown" // nobody says from which revision a text was edited
	codeDocument = "document-size"
)

const (
	maxDocument = 8 << 20 // bytes, as everywhere
	mostFaults  = 200     // that a page shows
)

// workbench is the page on which a new text is made.
type workbench struct {
	Text    string
	Parent  int // revision that the text was edited from; 0: not known
	Head    int
	Comment string
	Minutes int
	Offered []int

	Checked    bool // and nothing is wrong with it
	Change     change
	Faults     config.Errors
	More       int // faults that are not shown
	By         string
	Violations []proof.Violation
	Stale      *revision.Stale
	Merged     bool // the text is both people's
}

func (s *site) changePage(w http.ResponseWriter, r *http.Request, p Person) {
	n, err := s.Book.HeadNumber(r.Context())
	var text []byte
	if err == nil && n > 0 {
		_, text, err = s.Book.Read(r.Context(), n)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.showChange(w, r, p, http.StatusOK, "", "", workbench{Text: string(text), Parent: n, Head: n, Minutes: usualTrial})
}

func (s *site) showChange(w http.ResponseWriter, r *http.Request, p Person, status int, code, words string, b workbench) {
	b.Offered = trialMinutes
	s.render(w, r, status, "change", view{Title: "title.change", Nav: "change", Person: &p, Error: code, Words: words, Data: b})
}

// changeAct checks a text, or brings it into force on trial.
func (s *site) changeAct(w http.ResponseWriter, r *http.Request, p Person) {
	by := author(r, p)
	b := workbench{Minutes: usualTrial}
	err := s.readText(w, r, &b)
	if err == nil {
		b.Head, err = s.Book.HeadNumber(r.Context())
	}
	if err != nil {
		code, _ := s.code(r, err)
		s.showChange(w, r, p, status(code), code, "", b)
		return
	}
	if r.PostForm.Get("act") != "commit" {
		s.check(w, r, p, b)
		return
	}
	b.Minutes, err = minutes(r)
	if err == nil && b.Comment == "" {
		err = Refuse(codeComment, nil)
	}
	if err != nil {
		code, _ := s.code(r, err)
		s.showChange(w, r, p, status(code), code, "", b)
		return
	}
	_, err = s.Book.Commit(r.Context(), by, revision.Change{Text: []byte(b.Text), Comment: b.Comment, Parent: b.Parent, Confirm: time.Duration(b.Minutes) * time.Minute})
	var waits *revision.Waiting
	if err == nil || errors.As(err, &waits) {
		s.became(w, r, err, nil)
		return
	}
	s.showRefused(w, r, p, b, err)
}

// check says what is wrong with a text, or what it changes. Nothing is brought into force, and nothing is recorded.
func (s *site) check(w http.ResponseWriter, r *http.Request, p Person, b workbench) {
	if err := s.Book.Check([]byte(b.Text)); err != nil {
		s.showRefused(w, r, p, b, err)
		return
	}
	if b.Head > 0 {
		_, old, err := s.Book.Read(r.Context(), b.Head)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		b.Change = s.compareTexts(r, b.Head, old, []byte(b.Text))
	}
	b.Checked = true
	s.showChange(w, r, p, http.StatusOK, "", "", b)
}

// showRefused puts what was wrong beside the text.
func (s *site) showRefused(w http.ResponseWriter, r *http.Request, p Person, b workbench, err error) {
	var unproven *revision.Unproven
	var stale *revision.Stale
	words, code := "", codeUnusable
	switch {
	case errors.As(err, &b.Faults):
		if n := len(b.Faults) - mostFaults; n > 0 {
			b.Faults, b.More = b.Faults[:mostFaults], n
		}
	case errors.As(err, &unproven):
		b.By, b.Violations = unproven.By, unproven.Violations
	case errors.As(err, &stale) && stale.Parent == 0:
		code, b.Parent = codeParent, 0
	case errors.As(err, &stale):
		code, b.Stale = codeStale, stale
		if stale.Merged != nil {
			b.Text, b.Parent, b.Merged = string(stale.Merged), stale.Head.Number, true
		}
	default:
		var refused error
		if words, refused = bookCode(err); refused == err {
			s.Log.Error("a text was refused", "person", p.ID, "err", err)
			words = err.Error()
		} else {
			code, _ = s.code(r, refused)
		}
	}
	s.showChange(w, r, p, status(code), code, words, b)
}

// readText reads the form: a text that was typed, or a file in its place.
func (s *site) readText(w http.ResponseWriter, r *http.Request, b *workbench) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxDocument+1<<20)
	if err := r.ParseMultipartForm(maxDocument + 1<<20); err != nil {
		return Refuse(codeDocument, err)
	}
	defer r.MultipartForm.RemoveAll()
	r.PostForm = r.MultipartForm.Value
	b.Comment = strings.TrimSpace(r.PostForm.Get("comment"))
	if utf8.RuneCountInString(b.Comment) > 300 {
		b.Comment = ""
	}
	// Browsers send what was typed with CRLF; the text that it was edited from has none.
	b.Text = strings.ReplaceAll(r.PostForm.Get("text"), "\r\n", "\n")
	if n, err := strconv.Atoi(r.PostForm.Get("parent")); err == nil && n > 0 {
		b.Parent = n
	}
	files := r.MultipartForm.File["file"]
	if len(files) > 0 && files[0].Size > 0 {
		f, err := files[0].Open()
		if err != nil {
			return err
		}
		defer f.Close()
		text, err := io.ReadAll(f)
		if err != nil {
			return fmt.Errorf("read the uploaded text: %w", err)
		}
		// The page's number is that of the text it showed, not of this one; a text of `sekisho show` names its own.
		text, b.Parent = revision.Unmarked(text, s.Gate)
		b.Text = string(text)
	}
	if len(b.Text) > maxDocument {
		b.Text = ""
		return Refuse(codeDocument, nil)
	}
	return nil
}

// tray is the page of the changes that wait for a second person.
type tray struct {
	Open, Done []revision.Proposal
}

func (s *site) proposalsPage(w http.ResponseWriter, r *http.Request, p Person) {
	all, err := s.Book.Proposals(r.Context(), true)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var t tray
	for _, x := range all {
		if x.State == revision.Open {
			t.Open = append(t.Open, x)
		} else {
			t.Done = append(t.Done, x)
		}
	}
	t.Done = t.Done[:min(len(t.Done), perShelf)]
	s.render(w, r, http.StatusOK, "proposals", view{Title: "title.proposals", Nav: "change", Person: &p, Data: t})
}

// proposed is the page of one proposal.
type proposed struct {
	revision.Proposal
	Written string
	Change  change
	Mine    bool
}

func (s *site) proposalPage(w http.ResponseWriter, r *http.Request, p Person) {
	s.showProposal(w, r, p, http.StatusOK, "", "")
}

func (s *site) showProposal(w http.ResponseWriter, r *http.Request, p Person, status int, code, words string) {
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		s.fail(w, r, Refuse(CodeNotFound, err))
		return
	}
	x, text, err := s.Book.Proposed(r.Context(), n)
	var old []byte
	if err == nil && x.Parent > 0 {
		_, old, err = s.Book.Read(r.Context(), x.Parent)
	}
	if err != nil {
		_, err = bookCode(err)
		s.fail(w, r, err)
		return
	}
	v := proposed{Proposal: x, Written: string(text), Mine: slices.Contains([]string{x.Author, x.Claim}, p.ID), Change: s.compareTexts(r, x.Parent, old, text)}
	s.render(w, r, status, "proposal", view{Title: "title.proposal", Nav: "change", Person: &p, Error: code, Words: words, Data: v})
}

// approve brings a proposal into force, as it was looked at.
func (s *site) approve(w http.ResponseWriter, r *http.Request, p Person) {
	by := author(r, p)
	s.decide(w, r, p, "/revisions?done=change-approved", func(n int) error {
		_, err := s.Book.Approve(r.Context(), by, n, r.PostForm.Get("text"), r.PostForm.Get("digest"))
		return err
	})
}

func (s *site) withdraw(w http.ResponseWriter, r *http.Request, p Person) {
	by := author(r, p)
	s.decide(w, r, p, "/proposals?done=withdrawn", func(n int) error {
		why := strings.TrimSpace(r.PostForm.Get("why"))
		if why == "" {
			return Refuse(codeWhy, nil)
		}
		return s.Book.Withdraw(r.Context(), by, n, why)
	})
}

func (s *site) decide(w http.ResponseWriter, r *http.Request, p Person, then string, act func(number int) error) {
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		s.fail(w, r, Refuse(CodeNotFound, err))
		return
	}
	err = Refuse(codeForm, nil)
	if form(w, r) {
		err = act(n)
	}
	if err == nil {
		http.Redirect(w, r, then, http.StatusSeeOther)
		return
	}
	words, refused := bookCode(err)
	code, _ := s.code(r, refused)
	s.showProposal(w, r, p, status(code), code, words)
}

package web

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/merge"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/store"
)

// Book is every revision (版) there was, and the way to a new one; a *revision.Book. It decides who may do what with a change.
type Book interface {
	Head() *revision.Head
	HeadNumber(ctx context.Context) (int, error)
	History(ctx context.Context, max int) ([]revision.Revision, error)
	Read(ctx context.Context, number int) (revision.Revision, []byte, error)
	Pending(ctx context.Context) (*revision.Revision, error)
	Confirm(ctx context.Context, by revision.Author, trial string) (revision.Revision, error)
	Rollback(ctx context.Context, by revision.Author, to revision.RollbackTo) (revision.Revision, error)

	Check(text []byte) error
	Commit(ctx context.Context, by revision.Author, c revision.Change) (revision.Revision, error)
	Proposals(ctx context.Context, all bool) ([]revision.Proposal, error)
	Proposed(ctx context.Context, number int) (revision.Proposal, []byte, error)
	Approve(ctx context.Context, by revision.Author, number int, text, digest string) (revision.Revision, error)
	Withdraw(ctx context.Context, by revision.Author, number int, why string) error
}

// Differ tells people what may pass under the newer configuration that may not under the older, and the other way round, as
// lines of plain text.
type Differ func(older, newer *config.Config, lang string) (string, error)

const (
	codeDenied      = "denied"      // the book said no; its words are shown
	codeUnconfirmed = "unconfirmed" // another change is on trial
	codeTrialTime   = "trial-time"
	codeComment     = "comment-missing"
)

// trialMinutes are the times to confirm that the forms offer.
var trialMinutes = []int{1, 5, 10, 60}

const usualTrial = 10

type arrival struct{}

// stamped notes when each request came in, before anything of it is read: a confirmation must have begun after the change.
func stamped(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), arrival{}, time.Now())))
	})
}

// author is the person who is signed in, with this request.
func author(r *http.Request, p Person) revision.Author {
	began, _ := r.Context().Value(arrival{}).(time.Time) // without a stamp: long ago
	return revision.Author{ID: p.ID, Via: revision.Web, Request: rand.Text(), Began: began, Proven: true}
}

// bookCode puts the book's answer into a code of the pages, and the words that belong to it.
func bookCode(err error) (words string, refused error) {
	var denied *revision.Denied
	var waits *revision.Unconfirmed
	var stale *revision.Stale
	var down *net.OpError
	switch {
	case errors.As(err, &denied):
		return denied.Error(), Refuse(codeDenied, err)
	case errors.As(err, &waits):
		return waits.Error(), Refuse(codeUnconfirmed, err)
	case errors.As(err, &stale):
		return stale.Error(), Refuse(codeStale, err)
	case errors.Is(err, store.ErrNotFound):
		return "", Refuse(CodeNotFound, err)
	case errors.As(err, &down):
		return "", Refuse(CodeUnavailable, err)
	}
	return "", err
}

// trial is the change that waits for its confirmation, as one person sees it.
type trial struct {
	revision.Revision
	Mine bool
	Left time.Duration
	Over bool // the deadline has passed: the gate goes back, or has gone
}

func (s *site) onTrial(ctx context.Context, p Person) (*trial, error) {
	if s.Book == nil {
		return nil, nil
	}
	r, err := s.Book.Pending(ctx)
	if err != nil || r == nil || r.Trial == nil {
		return nil, err
	}
	left := time.Until(r.Trial.Until)
	return &trial{Revision: *r, Mine: r.Author == p.ID && r.Via == string(revision.Web) && r.Claim == "", Left: max(0, left), Over: left <= 0}, nil
}

// shelf is the page of all revisions.
type shelf struct {
	Head      int
	Trial     *trial
	Revisions []revision.Revision
	Page      int
	Newer     bool
	Older     bool
	Proposals int
}

const perShelf = 30

func (s *site) revisionsPage(w http.ResponseWriter, r *http.Request, p Person) {
	s.showRevisions(w, r, p, "revisions", http.StatusOK, "", "")
}

// revisionsLive is the part of the page that counts down.
func (s *site) revisionsLive(w http.ResponseWriter, r *http.Request, p Person) {
	s.showRevisions(w, r, p, "revisions-live", http.StatusOK, "", "")
}

func (s *site) showRevisions(w http.ResponseWriter, r *http.Request, p Person, name string, status int, code, words string) {
	ctx := r.Context()
	sh := shelf{Page: pageNumber(r)}
	all, err := s.Book.History(ctx, sh.Page*perShelf+1)
	if err == nil {
		sh.Head, err = s.Book.HeadNumber(ctx)
	}
	if err == nil {
		sh.Trial, err = s.onTrial(ctx, p)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	from := min(len(all), (sh.Page-1)*perShelf)
	sh.Newer, sh.Older = sh.Page > 1, len(all) > sh.Page*perShelf
	sh.Revisions = all[from:min(len(all), from+perShelf)]
	v := view{Title: "title.revisions", Nav: "revisions", Person: &p, Error: code, Words: words, Data: sh}
	if sh.Trial != nil {
		v.Seconds = 5
	}
	s.render(w, r, status, name, v)
}

// pageNumber is the number of the page that is asked for, from 1.
func pageNumber(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil || n < 1 || n > 1e6 {
		return 1
	}
	return n
}

// oneRevision is the page of one revision.
type oneRevision struct {
	revision.Revision
	Head    int
	Text    string
	Change  change  // of the revision before it
	Back    *change // of the head, where going back says something else than Change
	Minutes int
	Offered []int
	Comment string
}

// change is what a text changes against another one, for people.
type change struct {
	From    int      // revision; 0: nothing was there
	Packets []packet // newly permitted and refused; nil: not known
	Entries []merge.Change
	More    int // entries that are not shown
	Hunks   []hunk
	TooLong bool // the texts differ too much to be set line by line against each other
	Unread  bool // one of the two is not a configuration that this program reads
}

// mostEntries is how many changed entries a page shows: a ledger that was taken over changes thousands.
const mostEntries = 200

// packet is one line of the differ: a heading, or a box of packets.
type packet struct{ Mark, Text string }

// compareTexts says what a text changes. old is nil where there was none.
func (s *site) compareTexts(r *http.Request, from int, old, new []byte) change {
	c := change{From: from}
	if from == 0 {
		return c
	}
	var err error
	if c.Entries, err = merge.Changes(old, new); err != nil {
		c.Unread = true
	}
	if n := len(c.Entries) - mostEntries; n > 0 {
		c.Entries, c.More = c.Entries[:mostEntries], n
	}
	a, faults := config.Parse(old)
	b, more := config.Parse(new)
	if len(faults)+len(more) > 0 {
		c.Unread = true
	} else if s.Differ != nil {
		text, err := s.Differ(a, b, string(lang(r)))
		if err != nil {
			s.Log.Error("tell what may pass under another configuration", "err", err)
		}
		c.Packets = packets(text)
	}
	c.Hunks, c.TooLong = hunks(string(old), string(new))
	return c
}

// packets reads the differ's lines: headings begin at the margin, entries with a sign.
func packets(text string) (all []packet) {
	for line := range strings.Lines(text) {
		bare := strings.TrimSpace(line)
		mark := ""
		if rest, ok := strings.CutPrefix(bare, "+ "); ok {
			mark, bare = "ins", rest
		} else if rest, ok := strings.CutPrefix(bare, "- "); ok {
			mark, bare = "del", rest
		} else if rest, ok := strings.CutPrefix(bare, "* "); ok {
			mark, bare = "note", rest
		} else if strings.HasPrefix(line, " ") {
			mark = "more"
		}
		if bare != "" {
			all = append(all, packet{mark, bare})
		}
	}
	return all
}

func (s *site) revisionPage(w http.ResponseWriter, r *http.Request, p Person) {
	s.showRevision(w, r, p, http.StatusOK, "", "", oneRevision{Minutes: usualTrial})
}

func (s *site) showRevision(w http.ResponseWriter, r *http.Request, p Person, status int, code, words string, l oneRevision) {
	ctx := r.Context()
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		s.fail(w, r, Refuse(CodeNotFound, err))
		return
	}
	rev, text, err := s.Book.Read(ctx, n)
	if err == nil {
		l.Head, err = s.Book.HeadNumber(ctx)
	}
	var old []byte
	if err == nil && rev.Parent > 0 {
		_, old, err = s.Book.Read(ctx, rev.Parent)
	}
	if err != nil {
		_, err = bookCode(err)
		s.fail(w, r, err)
		return
	}
	l.Revision, l.Text, l.Offered = rev, string(text), trialMinutes
	l.Change = s.compareTexts(r, rev.Parent, old, text)
	if n != l.Head && rev.Parent != l.Head {
		_, head, err := s.Book.Read(ctx, l.Head)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		back := s.compareTexts(r, l.Head, head, text)
		l.Back = &back
	}
	s.render(w, r, status, "revision", view{Title: "title.revision", Nav: "revisions", Person: &p, Error: code, Words: words, Data: l})
}

// minutes reads the time to confirm: one of those that are offered.
func minutes(r *http.Request) (int, error) {
	n, err := strconv.Atoi(r.PostForm.Get("minutes"))
	if err != nil || !slices.Contains(trialMinutes, n) {
		return usualTrial, Refuse(codeTrialTime, err)
	}
	return n, nil
}

func (s *site) rollback(w http.ResponseWriter, r *http.Request, p Person) {
	by := author(r, p)
	l := oneRevision{Minutes: usualTrial}
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || n < 1 {
		s.fail(w, r, Refuse(CodeNotFound, err))
		return
	}
	err = Refuse(codeForm, nil)
	if form(w, r) {
		l.Comment = strings.TrimSpace(r.PostForm.Get("comment"))
		l.Minutes, err = minutes(r)
		if err == nil && l.Comment == "" {
			err = Refuse(codeComment, nil)
		}
		head, bad := strconv.Atoi(r.PostForm.Get("head"))
		if err == nil && (bad != nil || head < 1) {
			err = Refuse(codeForm, bad)
		}
		if err == nil {
			to := revision.RollbackTo{Number: n, Head: head, Comment: l.Comment, Confirm: time.Duration(l.Minutes) * time.Minute}
			_, err = s.Book.Rollback(r.Context(), by, to)
		}
	}
	s.became(w, r, err, func(status int, code, words string) { s.showRevision(w, r, p, status, code, words, l) })
}

// became leads to what a change became: on trial, a proposal, or what is wrong with it.
func (s *site) became(w http.ResponseWriter, r *http.Request, err error, again func(status int, code, words string)) {
	var waits *revision.Waiting
	switch {
	case err == nil:
		http.Redirect(w, r, "/revisions?done=on-trial", http.StatusSeeOther)
	case errors.As(err, &waits):
		http.Redirect(w, r, "/proposals/"+strconv.Itoa(waits.Proposal.Number)+"?done=proposed", http.StatusSeeOther)
	default:
		words, refused := bookCode(err)
		code, _ := s.code(r, refused)
		again(status(code), code, words)
	}
}

func (s *site) confirm(w http.ResponseWriter, r *http.Request, p Person) {
	by := author(r, p)
	s.endTrial(w, r, p, "confirmed", func(id string) error {
		_, err := s.Book.Confirm(r.Context(), by, id)
		return err
	})
}

func (s *site) giveUp(w http.ResponseWriter, r *http.Request, p Person) {
	by := author(r, p)
	s.endTrial(w, r, p, "given-up", func(id string) error {
		_, err := s.Book.Rollback(r.Context(), by, revision.RollbackTo{Trial: id})
		return err
	})
}

// endTrial ends the trial that the form names.
func (s *site) endTrial(w http.ResponseWriter, r *http.Request, p Person, done string, act func(id string) error) {
	err := Refuse(codeForm, nil)
	if form(w, r) {
		if id := r.PostForm.Get("trial"); id != "" {
			err = act(id)
		}
	}
	if err == nil {
		http.Redirect(w, r, "/revisions?done="+done, http.StatusSeeOther)
		return
	}
	words, refused := bookCode(err)
	code, _ := s.code(r, refused)
	s.showRevisions(w, r, p, "revisions", status(code), code, words)
}

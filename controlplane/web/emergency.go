package web

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/isolation"
)

// Emergency cuts zones off (遮断) and gives them back, for a person, who is recorded.
type Emergency interface {
	Cuts(ctx context.Context) ([]Cut, error) // by zone
	// Held are the records that only this zone's cut holds back: they stop with it, and begin to permit again without it.
	Held(ctx context.Context, zone anchors.Zone) ([]Held, error)
	CutOff(ctx context.Context, p Person, zone anchors.Zone, reason string, until time.Time) error // zero until: until it is given back
	GiveBack(ctx context.Context, p Person, zone anchors.Zone, reason string) error                // CodeState when it is not cut off
}

// Held is a record that a cut holds back.
type Held struct {
	ID   string `json:"id"`
	Name Name   `json:"name"`
	Own  bool   `json:"own"` // one of the gate itself, of no document
}

const (
	codeWhy      = "why-missing"
	codeWhyLong  = "why-long"
	codeDuration = "duration"
	codeChanged  = "cut-changed"

	// CodePartly is an act that is ordered, and tried again, but did not reach everything yet.
	CodePartly = "cut-partly"
)

// durations are the planned ways back that the form offers, in minutes; 0 = a person gives it back.
var durations = []int{0, 30, 120}

// ward is one zone on the console's first page.
type ward struct {
	Zone anchors.Zone
	Cut  *Cut
}

// emergency is the page of one zone.
type emergency struct {
	Zone      anchors.Zone
	Cut       *Cut // nil: not cut off
	Held      []Held
	More      int // records that are not shown
	Reason    string
	Minutes   int
	Durations []int
	MaxReason int
}

// heldShown is how many records the page names.
const heldShown = 100

// cuts are what the banner shows; unknown tells that nobody can say.
func (s *site) cuts(ctx context.Context) (cuts []Cut, unknown bool) {
	if s.Emergency == nil {
		return nil, false
	}
	cuts, err := s.Emergency.Cuts(ctx)
	if err != nil {
		s.Log.Error("ask which zones are cut off", "err", err)
	}
	return cuts, err != nil
}

// wards are all zones that can be cut off.
func wards(cuts []Cut) []ward {
	var all []ward
	for _, z := range isolation.Zones {
		all = append(all, ward{z, cutOf(cuts, z)})
	}
	return all
}

func cutOf(cuts []Cut, z anchors.Zone) *Cut {
	if i := slices.IndexFunc(cuts, func(c Cut) bool { return c.Zone == z }); i >= 0 {
		return &cuts[i]
	}
	return nil
}

// cuttable reads the zone of the path: one of those that can be cut off.
func cuttable(r *http.Request) (anchors.Zone, error) {
	z, err := anchors.ParseZone(r.PathValue("zone"))
	if err != nil || !slices.Contains(isolation.Zones, z) {
		return anchors.None, Refuse(CodeNotFound, err)
	}
	return z, nil
}

// emergencyPage says what cutting the zone off, or giving it back, will do, and asks why.
func (s *site) emergencyPage(w http.ResponseWriter, r *http.Request, p Person) {
	z, err := cuttable(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.showEmergency(w, r, http.StatusOK, p, "", emergency{Zone: z})
}

func (s *site) showEmergency(w http.ResponseWriter, r *http.Request, status int, p Person, code string, e emergency) {
	cuts, err := s.Emergency.Cuts(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	e.Cut, e.Durations, e.MaxReason = cutOf(cuts, e.Zone), durations, isolation.MaxReason
	// Nobody is kept from cutting off because the list cannot be had.
	if e.Held, err = s.Emergency.Held(r.Context(), e.Zone); err != nil {
		s.Log.Error("ask what a cut holds back", "zone", e.Zone, "err", err)
		e.More = -1
	}
	if n := len(e.Held) - heldShown; n > 0 {
		e.Held, e.More = e.Held[:heldShown], n
	}
	s.render(w, r, status, "emergency", view{Title: "title.emergency", Nav: "console", Person: &p, Error: code, Data: e})
}

func (s *site) cutOff(w http.ResponseWriter, r *http.Request, p Person) {
	s.emergencyAct(w, r, p, "cut-off", func(e *emergency) error {
		i := slices.IndexFunc(durations, func(m int) bool { return r.PostForm.Get("minutes") == strconv.Itoa(m) })
		if i < 0 {
			return Refuse(codeDuration, nil)
		}
		e.Minutes = durations[i]
		var until time.Time
		if e.Minutes > 0 {
			until = time.Now().Add(time.Duration(e.Minutes) * time.Minute)
		}
		return s.Emergency.CutOff(r.Context(), p, e.Zone, e.Reason, until)
	})
}

func (s *site) giveBack(w http.ResponseWriter, r *http.Request, p Person) {
	s.emergencyAct(w, r, p, "given-back", func(e *emergency) error {
		// The person has looked at one cut; another one may have taken its place, with another reason.
		cuts, err := s.Emergency.Cuts(r.Context())
		if err != nil {
			return err
		}
		if c := cutOf(cuts, e.Zone); c == nil || r.PostForm.Get("since") != strconv.FormatInt(c.Since.UnixMilli(), 10) {
			return Refuse(codeChanged, nil)
		}
		return s.Emergency.GiveBack(r.Context(), p, e.Zone, e.Reason)
	})
}

// emergencyAct reads zone and reason, acts, and leads back to the console or says what is wrong with the form.
func (s *site) emergencyAct(w http.ResponseWriter, r *http.Request, p Person, done string, act func(*emergency) error) {
	z, err := cuttable(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	e := emergency{Zone: z}
	err = Refuse(codeForm, nil)
	if form(w, r) {
		e.Reason = strings.Join(strings.Fields(r.PostForm.Get("reason")), " ") // one line, as it is kept
		switch n := utf8.RuneCountInString(e.Reason); {
		case n == 0:
			err = Refuse(codeWhy, nil)
		case n > isolation.MaxReason:
			err = Refuse(codeWhyLong, nil)
		default:
			err = act(&e)
		}
	}
	if err == nil {
		http.Redirect(w, r, "/console?done="+done, http.StatusSeeOther)
		return
	}
	code, ok := s.code(r, err)
	if !ok {
		s.fail(w, r, err)
		return
	}
	s.showEmergency(w, r, status(code), p, code, e)
}

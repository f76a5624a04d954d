package web

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/tunnel/diagnose"
)

// Faults looks along the ways to the regions.
type Faults interface {
	Ends(ctx context.Context) ([]End, error)                       // in the configuration's order
	Diagnose(ctx context.Context, e End) ([]gate.Diagnosis, error) // a few seconds; changes nothing
}

// End is one far end of a region by one line, with what the contract says of the line.
type End struct {
	ID       string
	Region   string
	Name     Name // of the region
	Line     string
	LineName Name
	Kind     config.LineKind
	Up, Down uint64 // contracted, bit/s
	Contact  Name
	Device   string // tunnel
	Endpoint netip.AddrPort
	State    string // up, held, down; "": not known
}

// fault is the page of all ends, or of one that was looked at.
type fault struct {
	Ends    []End
	End     *End // nil: none is chosen
	Found   gate.Diagnosis
	Checks  []check // in the order of the way
	Worst   *check  // the first that failed
	Parties []part
}

// check is one node of the tree, flattened.
type check struct {
	diagnose.Result
	Depth int
}

// part is what one of the five parties has to do with it.
type part struct {
	Party  diagnose.Party
	Checks []check
	Acts   bool // something that failed is theirs
}

// faultPage lists the ends; it looks at nothing.
func (s *site) faultPage(w http.ResponseWriter, r *http.Request, p Person) {
	f, err := s.ends(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "fault", view{Title: "title.fault", Nav: "fault", Person: &p, Data: f})
}

func (s *site) ends(ctx context.Context) (fault, error) {
	if s.Faults == nil {
		return fault{}, nil
	}
	ends, err := s.Faults.Ends(ctx)
	return fault{Ends: ends}, err
}

// lookPage looks at one end and shows the tree and the sheet.
func (s *site) lookPage(w http.ResponseWriter, r *http.Request, p Person) {
	f, err := s.ends(r.Context())
	if err == nil {
		err = s.look(r, &f)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if wantsJSON(r) {
		writeJSON(w, http.StatusOK, f.Found)
		return
	}
	s.render(w, r, http.StatusOK, "fault", view{Title: "title.fault", Nav: "fault", Person: &p, Data: f})
}

func (s *site) look(r *http.Request, f *fault) error {
	i := slices.IndexFunc(f.Ends, func(e End) bool { return e.ID == r.PathValue("end") })
	if i < 0 {
		return Refuse(CodeNotFound, nil)
	}
	f.End = &f.Ends[i]
	found, err := s.Faults.Diagnose(r.Context(), *f.End)
	if err != nil {
		return err
	}
	if len(found) != 1 { // the configuration has it, and the gate does not yet, or no more
		return Refuse(CodeUnavailable, nil)
	}
	f.Found = found[0]
	f.Found.Result.Walk(func(x diagnose.Result, depth int) {
		x.Below = nil
		f.Checks = append(f.Checks, check{x, depth})
	})
	if i := slices.IndexFunc(f.Checks, func(c check) bool { return c.State == diagnose.Failed }); i >= 0 {
		f.Worst = &f.Checks[i]
	}
	for _, who := range diagnose.Parties {
		x := part{Party: who}
		for _, c := range f.Checks {
			if c.Party == who {
				x.Checks = append(x.Checks, c)
				x.Acts = x.Acts || c.State == diagnose.Failed
			}
		}
		f.Parties = append(f.Parties, x)
	}
	return nil
}

// Addresses are the town hall's own on the line.
func (f fault) Addresses() string {
	var all []string
	for _, a := range f.Found.Addrs {
		all = append(all, a.String())
	}
	return strings.Join(all, ", ")
}

package release

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Routes is the root-owned file that says between which zones files may go and who must have agreed before.
type Routes struct {
	Version int     `yaml:"version"`
	Routes  []Route `yaml:"routes"`

	// Revision is the SHA-256 of the file, in hexadecimal: the rules that an attestation and an approval were given under. The
	// broker and release each read the file themselves, so control has no say in it. Under other rules both are void.
	Revision string `yaml:"-"`
}

// Route joins two zones in one direction.
type Route struct {
	From      anchors.Zone `yaml:"from"`
	To        anchors.Zone `yaml:"to"`
	Approvals []string     `yaml:"approvals"` // roles, one approval by another person each
	Formats   []string     `yaml:"formats"`   // families, as verdict.Formats names them
	MaxSize   int64        `yaml:"max_size"`  // bytes, of original and rebuilt file
	KeepDays  int          `yaml:"keep_days"` // from the day of arrival
	// Decision is the security officer's recorded decision (who, when, under which number) to let files in without prior
	// approval; without it a route with no approvals is refused (F5).
	Decision string `yaml:"decision,omitempty"`
	// Sanitize is what the route wants done where there is a choice.
	Sanitize verdict.Policy `yaml:"sanitize,omitempty"`
}

// RoleSectionHead is the role that every export from a protected zone needs.
const RoleSectionHead = "section-head"

var knownFormats = verdict.Formats()

// LoadRoutes reads and checks the routes. One wrong route makes the whole file wrong: nothing is released on a guess.
func LoadRoutes(path string) (Routes, error) {
	var rs Routes
	b, err := readStrict(path, &rs)
	if err != nil {
		return Routes{}, err
	}
	sum := sha256.Sum256(b)
	rs.Revision = hex.EncodeToString(sum[:])
	if err := rs.check(); err != nil {
		return Routes{}, refuse(http.StatusServiceUnavailable, CodeSetting, "%s: %v", path, err)
	}
	return rs, nil
}

func (rs Routes) check() error {
	if rs.Version != 1 {
		return fmt.Errorf("version %d: want 1", rs.Version)
	}
	seen := map[[2]anchors.Zone]bool{}
	for i, r := range rs.Routes {
		at := fmt.Sprintf("route %d (%s -> %s)", i+1, r.From, r.To)
		pair := [2]anchors.Zone{r.From, r.To}
		if seen[pair] {
			return fmt.Errorf("%s: named twice", at)
		}
		seen[pair] = true
		if err := pairAllowed(r.From, r.To); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		switch {
		case r.From != anchors.Internet && !slices.Contains(r.Approvals, RoleSectionHead):
			return fmt.Errorf("%s: a protected zone is left only with prior approval, and approvals must name %s (F5)", at, RoleSectionHead)
		case len(r.Approvals) == 0 && strings.TrimSpace(r.Decision) == "":
			return fmt.Errorf("%s: no prior approval needs the security officer's recorded decision (key decision)", at)
		case r.MaxSize <= 0 || r.MaxSize > 2<<30:
			return fmt.Errorf("%s: max_size %d: want 1 byte to 2 GiB", at, r.MaxSize)
		case r.KeepDays <= 0 || r.KeepDays > 366:
			return fmt.Errorf("%s: keep_days %d: want 1 to 366", at, r.KeepDays)
		case len(r.Formats) == 0:
			return fmt.Errorf("%s: formats is empty", at)
		}
		for _, role := range r.Approvals {
			if strings.TrimSpace(role) == "" {
				return fmt.Errorf("%s: empty role in approvals", at)
			}
		}
		for _, f := range r.Formats {
			if !slices.Contains(knownFormats, f) {
				return fmt.Errorf("%s: format %q: want one of %s", at, f, strings.Join(knownFormats, ", "))
			}
		}
		if err := r.Sanitize.Check(); err != nil {
			return fmt.Errorf("%s: sanitize: %w", at, err)
		}
	}
	return nil
}

// pairAllowed is F1 and the shape of the town hall: files go between the three zones, and never between My Number and internet.
func pairAllowed(from, to anchors.Zone) error {
	ok := func(z anchors.Zone) bool { return z == anchors.MyNumber || z == anchors.LGWAN || z == anchors.Internet }
	if !ok(from) || !ok(to) || from == to {
		return fmt.Errorf("files go between my-number, lgwan and internet only")
	}
	if from != anchors.LGWAN && to != anchors.LGWAN {
		return fmt.Errorf("no route joins my-number and internet (F1)")
	}
	return nil
}

// find gives the route of a pair.
func (rs Routes) find(from, to anchors.Zone) (Route, error) {
	if err := pairAllowed(from, to); err != nil {
		return Route{}, refuse(http.StatusForbidden, CodeForbiddenPair, "%s -> %s: %v", from, to, err)
	}
	for _, r := range rs.Routes {
		if r.From == from && r.To == to {
			return r, nil
		}
	}
	return Route{}, refuse(http.StatusForbidden, CodeNoRoute, "%s -> %s: no route", from, to)
}

// admits tells whether the route lets a file of that name out, by its family.
func (r Route) admits(name string) bool {
	return verdict.AdmitsResult(r.Formats, verdict.FamilyOf(name))
}

// expires is when a file that came at that time is no longer given out.
func (r Route) expires(created time.Time) time.Time { return created.AddDate(0, 0, r.KeepDays) }

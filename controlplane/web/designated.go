package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// designated is one designated communication (特定通信) as the list shows it.
type designated struct {
	*config.Communication
	Life     string // key of what it is in now: its state, or over or ahead where an active one's time is
	From, To []string
	FromIn   []anchors.Zone
	ToIn     []anchors.Zone
	Ports    []string
	Use      *policy.Use // nil: nobody watched yet
	Findings []policy.Finding

	search string
}

// lives are what the list can be narrowed to, in the order of a life.
var lives = []string{"draft", "ahead", "active", "over", "suspended", "expired"}

// register is the list of one head, kept for a minute: thousands of rows and a look at all pairs of records are not made anew
// for every page.
type register struct {
	mu     sync.Mutex
	head   *revision.Head
	minute int64
	rows   []designated
	report policy.Report
}

// of gives the rows of the head and what there is to tidy up.
func (g *register) of(h *revision.Head, usage func() policy.Usage, now time.Time) ([]designated, policy.Report) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if minute := now.Unix() / 60; g.head != h || g.minute != minute {
		var u *policy.Usage
		if usage != nil {
			v := usage()
			u = &v
		}
		g.report = policy.Hygiene(h.Config, &h.Generation.Tables, u, now, policy.UsualLimits())
		g.rows = rowsOf(h.Config, u, g.report, minute)
		g.head, g.minute = h, minute
	}
	return g.rows, g.report
}

func rowsOf(cfg *config.Config, u *policy.Usage, report policy.Report, minute int64) []designated {
	places := newPlaces(cfg)
	found := map[string][]policy.Finding{}
	for _, f := range report.Findings {
		if len(f.Records) > 0 {
			found[f.Records[0]] = append(found[f.Records[0]], f)
		}
	}
	rows := make([]designated, len(cfg.Communications))
	for i := range cfg.Communications {
		c := &cfg.Communications[i]
		d := designated{Communication: c, Life: life(c, minute), Findings: found[c.ID]}
		d.From = slices.Concat(c.From.Stations, c.From.Groups, c.From.Segments)
		d.To = slices.Concat(c.To.Services, c.To.Stations, c.To.Groups)
		for _, p := range c.To.Prefixes {
			d.To = append(d.To, p.String())
		}
		for _, p := range c.Ports {
			d.Ports = append(d.Ports, p.String())
		}
		d.FromIn = places.zones(c.From.Stations, nil, c.From.Groups, c.From.Segments, nil)
		d.ToIn = places.zones(c.To.Stations, c.To.Services, c.To.Groups, nil, c)
		if u != nil {
			if use, ok := u.Records[c.ID]; ok {
				d.Use = &use
			}
		}
		d.search = strings.ToLower(strings.Join(slices.Concat([]string{c.ID, c.Name.JA, c.Name.EN, c.Purpose, c.Basis, c.Owner, c.Class, c.Approved.By}, d.From, d.To, d.Ports), "\n"))
		rows[i] = d
	}
	return rows
}

// life is a record's state, and of an active one whether its time has come.
func life(c *config.Communication, minute int64) string {
	switch {
	case !c.Active():
		return string(c.State)
	case !c.Until.IsZero() && c.Until.End() <= minute:
		return "over"
	case !c.Since.IsZero() && c.Since.Begin() > minute:
		return "ahead"
	}
	return "active"
}

// places tells in which zone things are.
type places struct {
	segment, station, service map[string]anchors.Zone
	group                     map[string]config.Group
	cfg                       *config.Config
}

func newPlaces(cfg *config.Config) places {
	p := places{map[string]anchors.Zone{}, map[string]anchors.Zone{}, map[string]anchors.Zone{}, map[string]config.Group{}, cfg}
	for _, s := range cfg.Segments {
		p.segment[s.ID] = s.Zone
	}
	for _, s := range cfg.Stations {
		p.station[s.ID] = p.segment[s.Segment]
	}
	for _, s := range cfg.Services {
		p.service[s.ID] = p.segment[s.Segment]
	}
	for _, g := range cfg.Groups {
		p.group[g.ID] = g
	}
	return p
}

func (p places) zones(stations, services, groups, segments []string, to *config.Communication) (zs []anchors.Zone) {
	add := func(z anchors.Zone) {
		if z != anchors.None && !slices.Contains(zs, z) {
			zs = append(zs, z)
		}
	}
	for _, id := range groups {
		stations, services = slices.Concat(stations, p.group[id].Stations), slices.Concat(services, p.group[id].Services)
	}
	for _, id := range stations {
		add(p.station[id])
	}
	for _, id := range services {
		add(p.service[id])
	}
	for _, id := range segments {
		add(p.segment[id])
	}
	if to != nil {
		for _, prefix := range to.To.Prefixes {
			for _, s := range p.cfg.Segments {
				if slices.ContainsFunc(s.Prefixes, prefix.Overlaps) {
					add(s.Zone)
				}
			}
		}
	}
	slices.Sort(zs)
	return zs
}

// catalogue is one screen of the list.
type catalogue struct {
	Head      int
	Rows      []designated
	Total     int // of the document
	Found     int // that the filters leave
	Page, Of  int
	Search    string
	Life      string
	Zone      string
	Kind      string
	Lives     []string
	Zones     []anchors.Zone
	Counts    []tally
	Findings  []policy.Finding // of the kind, where they are not about records
	More      int              // findings that are not shown
	Watched   bool
	Newer     string // address of the page before; "" none
	Older     string
	Unreached bool // nothing is in force, or it cannot be read any more
}

// tally is how many findings of a kind there are.
type tally struct {
	Kind policy.Kind
	N    int
}

const perCatalogue = 50

func (s *site) designatedPage(w http.ResponseWriter, r *http.Request, p Person) {
	q := r.URL.Query()
	c := catalogue{Page: pageNumber(r), Search: q.Get("q"), Life: q.Get("state"), Zone: q.Get("zone"), Kind: q.Get("kind"), Lives: lives,
		Zones: []anchors.Zone{anchors.MyNumber, anchors.LGWAN, anchors.Internet, anchors.Management, anchors.Uplink}}
	if h := s.Book.Head(); h == nil {
		c.Unreached = true
	} else {
		rows, report := s.register.of(h, s.Usage, time.Now())
		c.Head, c.Total, c.Watched = h.Number, len(rows), report.Used
		c.fill(rows, report)
	}
	s.render(w, r, http.StatusOK, "designated", view{Title: "title.designated", Nav: "designated", Person: &p, Data: c})
}

// fill picks the rows of the page.
func (c *catalogue) fill(rows []designated, report policy.Report) {
	for _, f := range report.Findings {
		i := slices.IndexFunc(c.Counts, func(t tally) bool { return t.Kind == f.Kind })
		if i < 0 {
			c.Counts = append(c.Counts, tally{f.Kind, 1})
		} else {
			c.Counts[i].N++
		}
		if string(f.Kind) == c.Kind && len(f.Records) == 0 {
			c.Findings = append(c.Findings, f)
		}
	}
	if n := len(c.Findings) - perCatalogue; n > 0 {
		c.Findings, c.More = c.Findings[:perCatalogue], n
	}
	words := strings.Fields(strings.ToLower(c.Search))
	zone, err := anchors.ParseZone(c.Zone)
	if err != nil {
		zone, c.Zone = anchors.None, ""
	}
	if !slices.Contains(lives, c.Life) {
		c.Life = ""
	}
	var all []designated
	for _, d := range rows {
		if slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(d.search, w) }) ||
			c.Life != "" && d.Life != c.Life || zone != anchors.None && !slices.Contains(d.FromIn, zone) && !slices.Contains(d.ToIn, zone) ||
			c.Kind != "" && !slices.ContainsFunc(d.Findings, func(f policy.Finding) bool { return string(f.Kind) == c.Kind }) {
			continue
		}
		all = append(all, d)
	}
	c.Found, c.Of = len(all), max(1, (len(all)+perCatalogue-1)/perCatalogue)
	c.Page = min(c.Page, c.Of)
	c.Rows = all[(c.Page-1)*perCatalogue : min(len(all), c.Page*perCatalogue)]
	if c.Page > 1 {
		c.Newer = c.at(c.Page - 1)
	}
	if c.Page < c.Of {
		c.Older = c.at(c.Page + 1)
	}
}

// at is the address of another page with the same filters.
func (c *catalogue) at(page int) string {
	q := url.Values{"page": {strconv.Itoa(page)}}
	for k, v := range map[string]string{"q": c.Search, "state": c.Life, "zone": c.Zone, "kind": c.Kind} {
		if v != "" {
			q.Set(k, v)
		}
	}
	return "/designated?" + q.Encode()
}

// oneDesignated is the page of one record: what is written, what it became, what there is to tidy up.
type oneDesignated struct {
	designated
	Head   int
	Became policy.Unfolded
}

// mostHosts is how many addresses of a class the page names.
const mostHosts = 20

func (s *site) oneDesignatedPage(w http.ResponseWriter, r *http.Request, p Person) {
	h := s.Book.Head()
	if h == nil {
		s.fail(w, r, Refuse(CodeNotFound, nil))
		return
	}
	rows, _ := s.register.of(h, s.Usage, time.Now())
	i := slices.IndexFunc(rows, func(d designated) bool { return d.ID == r.PathValue("id") })
	if i < 0 {
		s.fail(w, r, Refuse(CodeNotFound, nil))
		return
	}
	u, err := policy.Unfold(h.Config, &h.Generation.Tables, rows[i].ID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	one := oneDesignated{designated: rows[i], Head: h.Number, Became: u}
	s.render(w, r, http.StatusOK, "one-designated", view{Title: "title.one-designated", Nav: "designated", Person: &p, Data: one})
}

// few shortens a list for a screen.
func few(hosts []policy.HostView) []policy.HostView { return hosts[:min(len(hosts), mostHosts)] }

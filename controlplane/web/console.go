package web

import (
	"cmp"
	"net/http"
	"slices"
	"time"
)

// window is how far back the chart reaches.
const window = 5 * time.Minute

// board is what the console shows of one moment.
type board struct {
	Status  Status
	Picture picture
	Bars    []bar
	Reasons []reason
	Allowed *float64 // flows a second, now; nil: not known
	Dropped float64  // packets a second, now
	Windows int      // minutes of the chart
	Silent  bool     // the dataplane does not answer: nothing is known of ports, tunnels and classes
}

// reason is one line of the table of drops.
type reason struct {
	Name string
	Now  float64 // packets a second
	Peak float64 // in the window
}

// bar is one bandwidth class drawn on a scale of 1000 for the highest ceiling of its line.
type bar struct {
	Class
	Width, Guaranteed, Limit int
}

func (s *site) board(r *http.Request) (board, error) {
	st, err := s.Monitor.Status(r.Context())
	if err != nil {
		return board{}, err
	}
	for i, p := range st.Ports {
		if tunnelled(st, p) { // a device without frames has no XDP: its guards are complete when nothing is said against them
			st.Ports[i].Native = p.Error == ""
		}
	}
	samples, err := s.Monitor.Samples(r.Context(), st.Time.Add(-window))
	if err != nil {
		return board{}, err
	}
	b := board{Status: st, Picture: draw(st), Bars: bars(st.Classes), Reasons: reasons(samples), Windows: int(window.Minutes())}
	b.Silent = slices.ContainsFunc(st.Daemons, func(d Daemon) bool { return d.Name == "dataplane" && !d.Up })
	if n := len(samples); n > 0 {
		b.Allowed = samples[n-1].Allowed
	}
	for _, x := range b.Reasons {
		b.Dropped += x.Now
	}
	return b, nil
}

// tunnelled tells whether a port is a tunnel device.
func tunnelled(st Status, p Port) bool {
	return slices.ContainsFunc(st.Tunnels, func(t Tunnel) bool { return t.Device == p.ID })
}

func (s *site) console(w http.ResponseWriter, r *http.Request, p Person) {
	s.showConsole(w, r, p, "console")
}

// consoleLive is the part of the console that is fetched again every two seconds.
func (s *site) consoleLive(w http.ResponseWriter, r *http.Request, p Person) {
	s.showConsole(w, r, p, "console-live")
}

func (s *site) showConsole(w http.ResponseWriter, r *http.Request, p Person, name string) {
	b, err := s.board(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := view{Title: "title.console", Nav: "console", Person: &p, Data: b}
	v.Seconds = 5
	s.render(w, r, http.StatusOK, name, v)
}

// series is the chart's data: times in Unix seconds and one row of values for each line, in the reader's language.
type series struct {
	Times []float64 `json:"times"`
	Rows  []row     `json:"rows"`
}

type row struct {
	Name   string     `json:"name"`
	Label  string     `json:"label"`
	Values []*float64 `json:"values"` // null: not known
}

// shown is how many drop reasons the chart draws; the table has all.
const shown = 5

func (s *site) consoleSamples(w http.ResponseWriter, r *http.Request, _ Person) {
	samples, err := s.Monitor.Samples(r.Context(), time.Now().Add(-window))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	l := lang(r)
	out := series{Times: make([]float64, 0, len(samples)), Rows: []row{{Name: "allowed", Label: l.T("console.allowed")}}}
	top := reasons(samples)
	for _, x := range top[:min(len(top), shown)] {
		label := x.Name
		if l.Has("reason." + x.Name) {
			label = l.T("reason." + x.Name)
		}
		out.Rows = append(out.Rows, row{Name: x.Name, Label: label})
	}
	for _, sm := range samples {
		out.Times = append(out.Times, float64(sm.Time.UnixMilli())/1000)
		for i := range out.Rows {
			v := sm.Allowed
			if i > 0 {
				n := sm.Dropped[out.Rows[i].Name]
				v = &n
			}
			out.Rows[i].Values = append(out.Rows[i].Values, v)
		}
	}
	writeJSON(w, http.StatusOK, out)
}

// reasons orders what was dropped in the window by its peak, then by name.
func reasons(samples []Sample) []reason {
	byName := map[string]*reason{}
	for i, sm := range samples {
		for name, rate := range sm.Dropped {
			x := byName[name]
			if x == nil {
				x = &reason{Name: name}
				byName[name] = x
			}
			x.Peak = max(x.Peak, rate)
			if i == len(samples)-1 {
				x.Now = rate
			}
		}
	}
	var all []reason
	for _, x := range byName {
		if x.Peak > 0 {
			all = append(all, *x)
		}
	}
	slices.SortFunc(all, func(a, b reason) int {
		return cmp.Or(cmp.Compare(b.Peak, a.Peak), cmp.Compare(a.Name, b.Name))
	})
	return all
}

func bars(classes []Class) []bar {
	top := map[string]uint64{}
	for _, c := range classes {
		top[c.Line] = max(top[c.Line], c.Ceiling, c.Guarantee)
	}
	var all []bar
	for _, c := range classes {
		scale := func(bits float64) int {
			if top[c.Line] == 0 {
				return 0
			}
			return min(1000, int(bits*1000/float64(top[c.Line])))
		}
		all = append(all, bar{Class: c, Width: scale(c.Delivered), Guaranteed: scale(float64(c.Guarantee)), Limit: scale(float64(c.Ceiling))})
	}
	return all
}

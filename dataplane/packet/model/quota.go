package model

import (
	"net/netip"
	"time"
)

// Station is who opens flows.
type Station struct {
	Segment uint16
	Addr    netip.Addr
}

// Pace remembers how far somebody has used up what he may open: a second's worth may come at once, then he has to wait.
type Pace struct{ UsedUpUntil time.Time }

// step takes one of so many a second.
func (p *Pace) step(aSecond uint32, now time.Time) bool {
	if aSecond == 0 {
		return true
	}
	until := now
	if p.UsedUpUntil.After(now) {
		until = p.UsedUpUntil
	}
	until = until.Add(time.Second / time.Duration(aSecond))
	if until.Sub(now) > time.Second {
		return false
	}
	p.UsedUpUntil = until
	return true
}

func (w *walk) stationLimited() bool {
	l := w.m.segments[w.src.segment].Limits
	return l.StationFlows != 0 || l.StationRate != 0
}

// admitted tells whether one more flow may be opened from here: first as far as the station itself is concerned, so that one
// that takes too much takes nothing from its neighbours, then its segment, then the table.
func (w *walk) admitted(from End) string {
	limits := w.m.segments[from.Segment].Limits
	now := w.in.Now
	if w.stationLimited() {
		who := Station{from.Segment, from.Addr}
		n := w.st.count(func(f *Flow) bool { return f.Counted && f.Opener.Segment == who.Segment && f.Opener.Addr == who.Addr })
		if limits.StationFlows != 0 && n >= int(limits.StationFlows) {
			return "flow-station-quota"
		}
		if w.st.Stations == nil {
			w.st.Stations = map[Station]*Pace{}
		}
		if w.st.Stations[who] == nil {
			w.st.Stations[who] = &Pace{}
		}
		if !w.st.Stations[who].step(limits.StationRate, now) {
			return "flow-station-rate"
		}
	}
	most := int(limits.Flows)
	if most == 0 {
		most = w.st.Quota
	}
	if most != 0 && w.st.count(func(f *Flow) bool { return f.Opener.Segment == from.Segment }) >= most {
		return "flow-segment-quota"
	}
	if w.st.Segments == nil {
		w.st.Segments = map[uint16]*Pace{}
	}
	if w.st.Segments[from.Segment] == nil {
		w.st.Segments[from.Segment] = &Pace{}
	}
	if !w.st.Segments[from.Segment].step(limits.Rate, now) {
		return "flow-segment-rate"
	}
	if w.st.Capacity > 0 && len(w.st.Flows) >= w.st.Capacity {
		return "flow-table-full"
	}
	return ""
}

// count tells how many of the flows are such.
func (st *State) count(such func(*Flow) bool) (n int) {
	for _, f := range st.Flows {
		if such(f) {
			n++
		}
	}
	return n
}

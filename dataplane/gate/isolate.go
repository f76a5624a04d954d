package gate

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/backstop"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/isolation"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// Cutting a zone off is the gate's own state, beside the generation: no tables change by it, and no generation ends it. It
// waits for nothing but itself, also while a generation is being installed. Whoever may hand over a generation may cut off and
// give back: to cut off only tightens, and to give back permits again what the proven tables permit and nothing else, so a
// control daemon that lies gains nothing by it that it had not before the zone was cut off. Whoever trusts control no more cuts
// off as root, at the machine: that control cannot end.

// openIsolation reads which zones are cut off, before anything is opened.
func (g *Gate) openIsolation() {
	g.isolation = isolation.Open(g.instance.Isolation(), isolation.Clock{Wall: time.Now, Boot: bootClock, Behind: g.clockBehind}, g.cutOff)
	if err := g.isolation.Broken(); err != nil {
		g.log.Error("every zone is cut off until somebody gives it back (sekisho rejoin)", "error", err)
	}
	s := g.isolation.State()
	for _, c := range s.Cuts {
		g.log.Warn("zone is cut off", "zone", c.Zone, "since", c.Since, "by", c.By, "reason", c.Reason)
	}
	g.backstop.Isolated = s.Zones()
}

func (g *Gate) clockBehind() bool { return g.core == nil || g.core.Behind() }

// bootClock tells the boot of the machine and for how long it runs, sleep included.
func bootClock() (string, time.Duration) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	var t unix.Timespec
	if err = errors.Join(err, unix.ClockGettime(unix.CLOCK_BOOTTIME, &t)); err != nil {
		return "", 0
	}
	return strings.TrimSpace(string(id)), time.Duration(t.Nano())
}

// cutOff makes all engines refuse exactly these zones. Asked for the same again, it does what failed before.
func (g *Gate) cutOff(zones []anchors.Zone) error {
	g.shield.Lock()
	defer g.shield.Unlock()
	err := g.core.Isolate(zones)
	if !slices.Equal(zones, g.backstop.Isolated) {
		g.waiting = g.waiting || slices.ContainsFunc(zones, func(z anchors.Zone) bool { return !slices.Contains(g.backstop.Isolated, z) })
		g.backstop.Isolated = slices.Clone(zones)
		g.print = backstop.Print{}
	}
	if g.print == (backstop.Print{}) {
		err = errors.Join(err, g.installBackstop())
	}
	if g.waiting {
		emptied := g.emptyQueues()
		g.waiting = emptied != nil
		err = errors.Join(err, emptied)
	}
	return err
}

// emptyQueues drops what waits for its turn into a tunnel and was let in before a zone was cut off. Other zones' packets there
// are lost with it. What waited in a tunnel that is gone is gone as well.
func (g *Gate) emptyQueues() error {
	var errs []error
	for _, t := range g.shaped {
		if _, err := netlink.LinkByName(t.Device); errors.As(err, new(netlink.LinkNotFoundError)) {
			continue
		}
		errs = append(errs, bandwidth.Empty(t))
	}
	return errors.Join(errs...)
}

// keepIsolation gives zones back whose planned time has come, and enforces the others again and again.
func (g *Gate) keepIsolation(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if err := errors.Join(g.isolation.KeepTime(), g.isolation.Again()); err != nil {
			g.log.Error("keep zones cut off", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Isolation is the answer to GET /isolation.
type Isolation struct {
	isolation.State
	Broken string `json:"broken,omitempty"` // why the record could not be read
}

// Order is the request of POST /isolation.
type Order struct {
	isolation.Request
	Act isolation.Act `json:"act"` // Begin or End
}

func (g *Gate) postIsolation(w http.ResponseWriter, r *http.Request) {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16))
	d.DisallowUnknownFields()
	var o Order
	if err := d.Decode(&o); err != nil {
		answer(w, http.StatusBadRequest, failure{Error: "isolation: " + err.Error()})
		return
	}
	o.Via = isolation.ViaControl
	if p, ok := socket.PeerOf(r); ok && p.UID == 0 {
		o.Via = isolation.ViaRoot
	}
	var err error
	switch o.Act {
	case isolation.Begin:
		_, err = g.isolation.Begin(o.Request)
	case isolation.End:
		err = g.isolation.End(o.Request)
	default:
		err = &isolation.Refusal{Text: "act: want begin or end"}
	}
	var no *isolation.Refusal
	switch {
	case err == nil:
		g.log.Warn("isolation", "act", o.Act, "zone", o.Zone, "by", o.By, "via", o.Via, "reason", o.Reason)
		g.getIsolation(w, r)
	case errors.As(err, &no):
		answer(w, http.StatusConflict, failure{Error: err.Error()})
	default:
		g.log.Error("isolation", "act", o.Act, "zone", o.Zone, "error", err)
		answer(w, http.StatusInternalServerError, failure{Error: err.Error()})
	}
}

func (g *Gate) getIsolation(w http.ResponseWriter, _ *http.Request) {
	out := Isolation{State: g.isolation.State()}
	if err := g.isolation.Broken(); err != nil {
		out.Broken = err.Error()
	}
	answer(w, http.StatusOK, out)
}

// postCollected forgets acts that control has recorded.
func (g *Gate) postCollected(w http.ResponseWriter, r *http.Request) {
	var upTo struct {
		Seq uint64 `json:"seq"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&upTo); err != nil {
		answer(w, http.StatusBadRequest, failure{Error: "collected: " + err.Error()})
		return
	}
	err := g.isolation.Collected(upTo.Seq)
	reply(w, struct{}{}, err)
}

// getReturning lists the records that permit again once a zone is given back.
func (g *Gate) getReturning(w http.ResponseWriter, r *http.Request) {
	zone, err := anchors.ParseZone(r.URL.Query().Get("zone"))
	if err != nil {
		answer(w, http.StatusBadRequest, failure{Error: err.Error()})
		return
	}
	tables, _ := g.core.Active()
	others := slices.DeleteFunc(g.isolation.State().Zones(), func(z anchors.Zone) bool { return z == zone })
	answer(w, http.StatusOK, returning(tables, zone, others))
}

// returning are the records of cells that the zone alone holds back, in order.
func returning(t packet.Tables, zone anchors.Zone, others []anchors.Zone) []string {
	cut := map[uint16]bool{} // segments that one of the others holds back
	own := map[uint16]bool{}
	for _, s := range t.Segments {
		own[s.ID] = s.Zone == zone || s.Tunnel && zone == anchors.Uplink
		cut[s.ID] = slices.Contains(others, s.Zone) || s.Tunnel && slices.Contains(others, anchors.Uplink)
	}
	segment := map[uint16]uint16{}
	for _, c := range t.Classes {
		segment[c.ID] = c.Segment
	}
	rules := map[uint32]packet.Rule{}
	for _, r := range t.Rules {
		rules[r.ID] = r
	}
	seen := map[uint32]bool{}
	names := []string{}
	for _, c := range t.Cells {
		from, to := segment[c.Src], segment[c.Dst]
		if cut[from] || cut[to] || !own[from] && !own[to] {
			continue
		}
		for n := c.Rule; n != 0 && !seen[n]; n = rules[n].Next {
			seen[n] = true
			names = append(names, rules[n].Records...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Package monitor watches the gate and tells what it sees: to people on the console, to Prometheus in numbers.
//
// Problem: the packet core counts in pinned maps that only the privileged daemon reads, and whoever looks must neither need
// its rights nor slow it down. Mechanism: one poll a second of the dataplane's status and counters, kept as a snapshot and as
// rates of the last ten minutes; every reader is served from there; once a minute, what was used is remembered by the day.
// Life cycle: Run polls until its context ends; a dataplane that does not answer is shown as down, with the last counters.
// Evidence of what lines were given is pulled in the same beat (package evidence). Invariant: nothing here changes anything but
// that memory and the evidence.
package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/monitor/evidence"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// snapshot is what one poll saw.
type snapshot struct {
	at       time.Time
	up       bool // the dataplane answered
	status   gate.Status
	counters packet.Counters
	names    packet.Names // what the numbers in counters mean; asked for again when other tables came
}

// Options of a monitor.
type Options struct {
	Dataplane string                                            // socket
	Daemons   map[string]string                                 // name -> socket that shows whether it is up
	Head      func() *revision.Head                             // what should be in force
	Antivirus func(context.Context) (antivirus.Standing, error) // how the antivirus program stands; nil: nobody asks
	AuditSize func() (int64, time.Time)                         // sealed events and the time of the last checkpoint
	Store     store.Store                                       // remembers what was used; nil: nobody does
	Evidence  *evidence.Store                                   // keeps what lines and classes were given; nil: nobody does
	Log       *slog.Logger                                      // nil: slog.Default()
	Now       func() time.Time
}

// Monitor is the gate's eye.
type Monitor struct {
	o    Options
	http *http.Client

	memory   memory
	recalled time.Time // by Run alone
	puller   evidence.Puller
	failing  atomic.Bool // the newest seconds could not be taken over
	unkept   time.Time   // when it was last told that evidence is not kept; by Run alone

	mu      sync.RWMutex
	now     snapshot
	last    snapshot // the last one that the dataplane answered
	daemons []web.Daemon
	samples []web.Sample
	scanner *antivirus.Standing // nil: not asked yet
}

const (
	every   = time.Second
	keep    = 10 * time.Minute
	timeout = 2 * time.Second
)

// New makes a monitor; Run makes it look.
func New(o Options) *Monitor {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	c := socket.Client(o.Dataplane)
	c.Timeout = timeout
	m := &Monitor{o: o, http: c}
	m.puller = evidence.Puller{Store: o.Evidence, Get: func(ctx context.Context, query string, into any) error { return m.get(ctx, "/measures?"+query, into) }}
	return m
}

// Run polls until ctx ends.
func (m *Monitor) Run(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { m.askAntivirus(ctx) })
	tick := time.NewTicker(every)
	defer tick.Stop()
	defer m.http.CloseIdleConnections()
	for {
		m.poll(ctx)
		m.recall(ctx)
		m.keepEvidence(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (m *Monitor) poll(ctx context.Context) {
	s := snapshot{at: m.o.Now()}
	err := m.get(ctx, "/status", &s.status)
	if err == nil {
		err = m.get(ctx, "/counters", &s.counters)
	}
	if s.names = m.last.names; err == nil && s.names.Epoch != s.status.Epoch {
		s.names = packet.Names{} // its maps are those of the former snapshot
		err = m.get(ctx, "/names", &s.names)
	}
	s.up = err == nil
	daemons := m.look(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.daemons = daemons
	if !s.up {
		m.now = snapshot{at: s.at}
		return
	}
	if prev := m.last; prev.up {
		m.samples = append(m.samples, rates(prev, s))
	}
	if from := slices.IndexFunc(m.samples, func(x web.Sample) bool { return x.Time.After(s.at.Add(-keep)) }); from > 0 {
		m.samples = slices.Delete(m.samples, 0, from)
	}
	m.now, m.last = s, s
}

// rates compares two polls. A counter that went back was made anew: its value counts from zero.
func rates(a, b snapshot) web.Sample {
	secs := b.at.Sub(a.at).Seconds()
	per := func(old, new uint64) float64 {
		if secs <= 0 {
			return 0
		}
		if new < old {
			old = 0
		}
		return float64(new-old) / secs
	}
	out := web.Sample{Time: b.at, Packets: per(passed(a), passed(b)), Dropped: map[string]float64{}}
	opened := per(a.counters.Opened, b.counters.Opened)
	out.Allowed = &opened
	for name, c := range b.counters.Reasons {
		if c.Packets > 0 {
			out.Dropped[name] = per(a.counters.Reasons[name].Packets, c.Packets)
		}
	}
	return out
}

func passed(s snapshot) (n uint64) {
	for _, p := range s.counters.Pairs {
		n += p.Packets
	}
	return n
}

// look tells which daemons accept on their sockets.
func (m *Monitor) look(ctx context.Context) []web.Daemon {
	var out []web.Daemon
	for name, path := range m.o.Daemons {
		d := net.Dialer{Timeout: timeout}
		c, err := d.DialContext(ctx, "unix", path)
		if err == nil {
			c.Close()
		}
		out = append(out, web.Daemon{Name: name, Up: err == nil})
	}
	slices.SortFunc(out, func(a, b web.Daemon) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}

func (m *Monitor) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gate"+path, nil)
	if err != nil {
		return err
	}
	resp, err := m.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the dataplane for %s: %w", path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the dataplane for %s: %s", path, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 32<<20)).Decode(into); err != nil {
		return fmt.Errorf("ask the dataplane for %s: %w", path, err)
	}
	return nil
}

// Status is the whole gate at this moment, for the console.
func (m *Monitor) Status(context.Context) (web.Status, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := m.now
	out := web.Status{Time: s.at, Revision: s.status.Revision, Hash: s.status.Hash, Epoch: uint64(s.status.Epoch), Daemons: slices.Clone(m.daemons)}
	out.Unseen = s.counters.Unseen
	out.Antivirus = m.scanner
	for _, c := range m.last.status.Isolated { // it stays so while the dataplane is dead
		out.Isolated = append(out.Isolated, web.Cut{Zone: c.Zone, Since: c.Since, Until: c.Until, By: c.By, Reason: c.Reason})
	}
	var cfg *config.Config
	if h := m.o.Head(); h != nil {
		cfg = h.Config
		out.Town = name(cfg.Town)
		out.Records = policy.States(cfg)[config.Active]
		out.Proven = s.up && h.Hash == s.status.Hash
	}
	for _, p := range s.status.Ports {
		if !p.Tunnel || !p.Guarded() { // a tunnel device is shown by its regions, unless something is wrong with it
			port := portOf(cfg, p)
			for _, f := range s.counters.Redirects {
				if f.Device == p.Name {
					if port.Failed == nil {
						port.Failed = map[string]uint64{}
					}
					port.Failed[f.Kind+" "+f.Error] += f.Frames
				}
			}
			out.Ports = append(out.Ports, port)
		}
	}
	for _, t := range s.status.Tunnels {
		w := web.Tunnel{Region: t.Region, Device: t.Device, Up: t.Up, RTT: time.Duration(t.ProbeRTT * float64(time.Millisecond)), Handshake: t.Handshake}
		if cfg != nil {
			if i := slices.IndexFunc(cfg.Regions, func(r config.Region) bool { return r.ID == t.Region }); i >= 0 {
				w.Name = name(cfg.Regions[i].Name)
			}
			if i := slices.IndexFunc(cfg.Segments, func(r config.Segment) bool { return r.ID == t.Region }); i >= 0 {
				w.Zone = cfg.Segments[i].Zone
			}
		}
		if w.Name == (web.Name{}) {
			w.Name.JA = t.Region
		}
		out.Tunnels = append(out.Tunnels, w)
	}
	for _, c := range s.status.Classes {
		w := web.Class{ID: c.ID, Line: c.Device, Guarantee: c.Guarantee, Ceiling: c.Ceiling, Delivered: float64(c.Rate), Drops: c.Drops, Name: web.Name{JA: c.Name}}
		if cfg != nil {
			if i := slices.IndexFunc(cfg.Classes, func(x config.Class) bool { return x.ID == c.Name }); i >= 0 {
				w.Line = cfg.Classes[i].Line
				if n := name(cfg.Classes[i].Name); n != (web.Name{}) {
					w.Name = n
				}
			}
		}
		out.Classes = append(out.Classes, w)
	}
	return out, nil
}

func portOf(cfg *config.Config, p packet.PortStatus) web.Port {
	w := web.Port{ID: p.Name, Up: p.Up, Native: p.Native, Error: p.Error, Name: web.Name{JA: p.Name}}
	for _, z := range []anchors.Zone{anchors.MyNumber, anchors.LGWAN, anchors.Internet, anchors.Management} {
		if p.Name == "pt-"+z.Short() {
			w.Zone, w.Portal = z, true
		}
	}
	if cfg == nil {
		return w
	}
	for _, c := range cfg.Ports {
		if c.ID == p.Name {
			w.Zone = c.Zone
			if n := name(c.Name); n != (web.Name{}) {
				w.Name = n
			}
		}
	}
	for _, s := range cfg.Segments {
		if w.Zone == anchors.None && s.Tunnel == p.Name {
			w.Zone = s.Zone
		}
	}
	return w
}

func name(t config.Text) web.Name { return web.Name{JA: t.JA, EN: t.EN} }

// Samples are the rates since a time, oldest first.
func (m *Monitor) Samples(_ context.Context, since time.Time) ([]web.Sample, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	from := slices.IndexFunc(m.samples, func(x web.Sample) bool { return x.Time.After(since) })
	if from < 0 {
		return nil, nil
	}
	return slices.Clone(m.samples[from:]), nil
}

package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Two segments of one zone on two ports: terminals open, servers answer. Both are strict, so every packet is held against
// the MAC and address of a registered station. The addresses are those set aside for measuring (RFC 2544).
const (
	stationPort = "st0"
	servicePort = "sv0"
)

var (
	stationNet  = netip.MustParsePrefix("198.18.0.0/16")
	serviceNet  = netip.MustParsePrefix("198.19.0.0/16")
	stationGate = netip.MustParseAddr("198.18.0.1")
	serviceGate = netip.MustParseAddr("198.19.0.1")
)

// town is a configuration of many records, and what they permit, for whoever makes traffic.
type town struct {
	records  int
	stations int
	services int
	config   *config.Config
	anchors  *anchors.Anchors
	pairs    []pair // that a record permits: one each
	refused  []pair // of registered ends that no record joins
}

// pair is a station, a service and its port.
type pair struct {
	station, service int
	port             uint16
}

func stationAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, byte(1 + i>>8), byte(i)}) }
func serviceAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 19, byte(1 + i>>8), byte(i)}) }

func stationMAC(i int) packet.MAC { return packet.MAC{2, 0x53, 0x4b, 1, byte(i >> 8), byte(i)} }
func serviceMAC(i int) packet.MAC { return packet.MAC{2, 0x53, 0x4b, 2, byte(i >> 8), byte(i)} }

// servicePortOf spreads the services over 32 ports.
func servicePortOf(i int) uint16 { return uint16(8000 + i%32) }

// shapes says how many stations and services share so many records: each station has its own ones.
var shapes = map[int]struct{ stations, services int }{
	100:     {20, 20},
	1_000:   {100, 50},
	10_000:  {1_000, 200},
	100_000: {5_000, 1_000},
}

// newTown draws one record for each station and service that may speak: registered station, single service, as the rules
// between two zones demand. Equal arguments give equal towns.
func newTown(records int) *town {
	shape := shapes[records]
	t := &town{records: records, stations: shape.stations, services: shape.services}
	t.config = bareConfig(t.stations, t.services)
	r := rand.New(rand.NewPCG(uint64(records), 1))
	each := records / shape.stations
	for s := range t.stations {
		order := r.Perm(t.services)
		for _, d := range order[:each] {
			p := pair{s, d, servicePortOf(d)}
			t.pairs = append(t.pairs, p)
			t.config.Communications = append(t.config.Communications, config.Communication{
				ID:   fmt.Sprintf("r%d-%d", s, d),
				From: config.From{Stations: []string{t.config.Stations[s].ID}},
				To:   config.To{Services: []string{t.config.Services[d].ID}},
			})
		}
		for _, d := range order[each:] {
			t.refused = append(t.refused, pair{s, d, servicePortOf(d)})
		}
	}
	for i := 0; len(t.refused) < records; i++ { // where everybody may speak to everybody: the port of another service
		p := t.pairs[i]
		p.port++
		t.refused = append(t.refused, p)
	}
	t.anchors = policy.Anchors(t.config)
	return t
}

// newCity has records of groups: ten stations each, to a service with two ports. 10,000 of them make the 200,000 cells of a
// designated city. Of 100,000 records each has four stations and one port: that makes 400,000 cells, most of what tables hold.
// Different seeds give different records between the same stations and services.
func newCity(records int, seed uint64) *town {
	t := &town{records: records, stations: 1_000, services: 200}
	members, both := 10, true
	if records > 10_000 {
		t.stations, t.services, members, both = 10_000, 1_000, 4, false
	}
	t.config = bareConfig(t.stations, t.services)
	if both {
		for i := range t.config.Services {
			t.config.Services[i].Ports = append(t.config.Services[i].Ports, config.PortSpec{Proto: "tcp", Lo: 443, Hi: 443})
		}
	}
	r := rand.New(rand.NewPCG(uint64(records), seed))
	seen := map[pair]bool{}
	for n := range records {
		g := config.Group{ID: fmt.Sprintf("g%d", n)}
		d := r.IntN(t.services)
		for len(g.Stations) < members {
			s := r.IntN(t.stations)
			if p := (pair{s, d, servicePortOf(d)}); !seen[p] {
				seen[p] = true
				if t.pairs = append(t.pairs, p); both {
					t.pairs = append(t.pairs, pair{s, d, 443})
				}
				g.Stations = append(g.Stations, t.config.Stations[s].ID)
			} else if len(g.Stations) == 0 {
				d = r.IntN(t.services)
			}
		}
		t.config.Groups = append(t.config.Groups, g)
		t.config.Communications = append(t.config.Communications, config.Communication{
			ID: fmt.Sprintf("r%d", n), From: config.From{Groups: []string{g.ID}}, To: config.To{Services: []string{t.config.Services[d].ID}},
		})
	}
	t.anchors = policy.Anchors(t.config)
	return t
}

// unbounded lets a segment, and one station of it, use up a table for a million flows at any rate: bounds have tests.
var unbounded = config.Limits{Flows: 1 << 21, Rate: 100_000_000, StationFlows: 1 << 21, StationRate: 100_000_000}

func bareConfig(stations, services int) *config.Config {
	c := &config.Config{
		Version: config.Version, Model: "alpha",
		Ports: []config.Port{{ID: stationPort, Zone: anchors.LGWAN}, {ID: servicePort, Zone: anchors.LGWAN}},
		Segments: []config.Segment{
			{ID: "stations", Zone: anchors.LGWAN, Port: stationPort, Prefixes: []netip.Prefix{stationNet}, Gate: []netip.Addr{stationGate}, Strict: true, Limits: unbounded},
			{ID: "services", Zone: anchors.LGWAN, Port: servicePort, Prefixes: []netip.Prefix{serviceNet}, Gate: []netip.Addr{serviceGate}, Strict: true, Limits: unbounded},
		},
	}
	for i := range stations {
		c.Stations = append(c.Stations, config.Station{ID: fmt.Sprintf("pc%d", i), Segment: "stations", MAC: stationMAC(i), Addresses: []netip.Addr{stationAddr(i)}})
	}
	for i := range services {
		c.Services = append(c.Services, config.Service{
			ID: fmt.Sprintf("sv%d", i), Segment: "services", MAC: serviceMAC(i), Addresses: []netip.Addr{serviceAddr(i)},
			Ports: []config.PortSpec{{Proto: "tcp", Lo: servicePortOf(i), Hi: servicePortOf(i)}},
		})
	}
	return c
}

func (t *town) compile() (gate.Generation, error) { return policy.Compile(t.config, t.anchors) }

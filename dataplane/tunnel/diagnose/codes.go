package diagnose

import (
	"maps"
	"slices"
)

// parties is who is responsible for what a check looks at.
var parties = map[string]Party{
	"port": TownHall, "link": TownHall, "address": TownHall, "gateway": Carrier, "reach": Carrier, "mtu": Carrier,
	"handshake": Operator, "probe": Operator, "loss": Carrier, "route": TownHall, "nat": TownHall, "dns": Cloud, "application": Vendor,
}

// Kind is what a code means. Without a party it is the check's own.
type Kind struct {
	State State
	Party Party
	Args  int
}

const (
	codeLate  = "late"  // no time was left
	codeError = "error" // the box could not look; the argument says why
)

// kinds are all codes. The catalogues have texts for each, and their arguments are told here.
var kinds = map[string]Kind{
	codeLate:  {Unknown, "", 0},
	codeError: {Unknown, TownHall, 1}, // what the box said

	"port.up":       {OK, "", 2},      // device, MTU
	"port.missing":  {Failed, "", 1},  // device
	"port.down":     {Failed, "", 1},  // device
	"link.carrier":  {OK, "", 1},      // device
	"link.none":     {Failed, "", 1},  // device
	"address.own":   {OK, "", 1},      // addresses
	"address.gone":  {Failed, "", 2},  // addresses, device
	"address.twice": {Failed, "", 2},  // address, MAC of the other
	"address.unset": {Unknown, "", 1}, // device

	"gateway.answers":   {OK, "", 2},           // neighbour, MAC
	"gateway.silent":    {Failed, "", 1},       // neighbour
	"gateway.direct":    {Failed, Operator, 1}, // endpoint, which is a neighbour itself
	"gateway.no-route":  {Failed, TownHall, 2}, // endpoint, error
	"gateway.elsewhere": {Failed, TownHall, 3}, // endpoint, device, device wanted
	"gateway.none":      {OK, "", 1},           // device, which has no neighbours

	"reach.tunnel":      {OK, "", 1},           // endpoint
	"reach.heard":       {OK, "", 1},           // endpoint
	"reach.refused":     {Failed, Operator, 1}, // endpoint: nothing listens there
	"reach.unreachable": {Failed, "", 2},       // endpoint, who says so
	"reach.prohibited":  {Failed, "", 2},       // endpoint, who says so
	"reach.silent":      {Failed, "", 2},       // endpoint, when it last shook hands
	"reach.unanswered":  {Unknown, "", 1},      // endpoint

	"mtu.passes": {OK, "", 1},           // outer bytes
	"mtu.port":   {Failed, TownHall, 3}, // device, its MTU, outer bytes wanted
	"mtu.told":   {Failed, "", 3},       // outer bytes that pass, wanted, who says so
	"mtu.silent": {Failed, "", 2},       // outer bytes that pass, wanted
	"mtu.unseen": {Unknown, "", 1},      // outer bytes wanted

	"handshake.fresh":  {OK, "", 1},           // seconds
	"handshake.old":    {Failed, "", 1},       // seconds
	"handshake.never":  {Failed, "", 1},       // endpoint
	"handshake.engine": {Failed, TownHall, 1}, // error

	"probe.answers": {OK, "", 1},     // milliseconds
	"probe.silent":  {Failed, "", 1}, // probe's address
	"probe.none":    {Unknown, "", 0},

	"loss.little": {OK, "", 1},     // per cent
	"loss.much":   {Failed, "", 1}, // per cent

	"route.chosen":  {OK, "", 2},     // prefixes, devices
	"route.wrong":   {Failed, "", 3}, // prefix, device, device wanted
	"route.missing": {Failed, "", 1}, // prefix
	"route.open":    {Failed, "", 1}, // prefix, which has nothing unreachable beneath

	"nat.none":    {OK, "", 0},
	"nat.held":    {OK, "", 1},      // pairs
	"nat.other":   {Failed, "", 2},  // pairs wanted, pairs in force
	"nat.unknown": {Unknown, "", 1}, // pairs wanted

	"dns.resolves": {OK, "", 3},     // name, addresses, resolver
	"dns.failed":   {Failed, "", 3}, // name, resolver, error
	"dns.outside":  {Failed, "", 3}, // name, addresses, resolver
	"dns.none":     {Unknown, "", 0},

	"application.connects": {OK, "", 1},     // service
	"application.refuses":  {Failed, "", 2}, // service, error
	"application.flows":    {OK, "", 3},     // service, record, seconds
	"application.silent":   {Failed, "", 3}, // service, record, packets sent
	"application.unused":   {Unknown, "", 0},
}

// Codes lists all, so that texts can be held against them.
func Codes() []string { return slices.Sorted(maps.Keys(kinds)) }

// Of tells what a code means.
func Of(code string) Kind { return kinds[code] }

// Empty is the whole tree, with nothing looked at.
func Empty() Result { return empty(tree) }

func empty(n node) Result {
	r := Result{ID: n.id, State: Unknown, Party: parties[n.id]}
	for _, b := range n.below {
		r.Below = append(r.Below, empty(b))
	}
	return r
}

// Checks lists all in the order of the way.
func Checks() (out []string) {
	Empty().Walk(func(r Result, _ int) { out = append(out, r.ID) })
	return out
}

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

// kind is what a code means. Without a party it is the check's own.
type kind struct {
	state State
	party Party
}

const (
	codeLate  = "late"  // no time was left
	codeError = "error" // the box could not look; the argument says why
)

// kinds are all codes. The catalogues have texts for each, and their arguments are told here.
var kinds = map[string]kind{
	codeLate:  {Unknown, ""},
	codeError: {Unknown, TownHall}, // what the box said

	"port.up":       {OK, ""},      // device, MTU
	"port.missing":  {Failed, ""},  // device
	"port.down":     {Failed, ""},  // device
	"link.carrier":  {OK, ""},      // device
	"link.none":     {Failed, ""},  // device
	"address.own":   {OK, ""},      // addresses
	"address.gone":  {Failed, ""},  // addresses, device
	"address.twice": {Failed, ""},  // address, MAC of the other
	"address.unset": {Unknown, ""}, // device

	"gateway.answers":   {OK, ""},           // neighbour, MAC
	"gateway.silent":    {Failed, ""},       // neighbour
	"gateway.direct":    {Failed, Operator}, // endpoint, which is a neighbour itself
	"gateway.no-route":  {Failed, TownHall}, // endpoint, error
	"gateway.elsewhere": {Failed, TownHall}, // endpoint, device, device wanted
	"gateway.none":      {OK, ""},           // device, which has no neighbours

	"reach.tunnel":      {OK, ""},           // endpoint
	"reach.heard":       {OK, ""},           // endpoint
	"reach.refused":     {Failed, Operator}, // endpoint: nothing listens there
	"reach.unreachable": {Failed, ""},       // endpoint, who says so
	"reach.prohibited":  {Failed, ""},       // endpoint, who says so
	"reach.silent":      {Failed, ""},       // endpoint, when it last shook hands
	"reach.unanswered":  {Unknown, ""},      // endpoint

	"mtu.passes": {OK, ""},           // outer bytes
	"mtu.port":   {Failed, TownHall}, // device, its MTU, outer bytes wanted
	"mtu.told":   {Failed, ""},       // outer bytes that pass, wanted, who says so
	"mtu.silent": {Failed, ""},       // outer bytes that pass, wanted
	"mtu.unseen": {Unknown, ""},      // outer bytes wanted

	"handshake.fresh":  {OK, ""},           // seconds
	"handshake.old":    {Failed, ""},       // seconds
	"handshake.never":  {Failed, ""},       // endpoint
	"handshake.engine": {Failed, TownHall}, // error

	"probe.answers": {OK, ""},     // milliseconds
	"probe.silent":  {Failed, ""}, // probe's address
	"probe.none":    {Unknown, ""},

	"loss.little": {OK, ""},     // per cent
	"loss.much":   {Failed, ""}, // per cent

	"route.chosen":  {OK, ""},     // prefixes, devices
	"route.wrong":   {Failed, ""}, // prefix, device, device wanted
	"route.missing": {Failed, ""}, // prefix
	"route.open":    {Failed, ""}, // prefix, which has nothing unreachable beneath

	"nat.none":    {OK, ""},
	"nat.held":    {OK, ""},      // pairs
	"nat.other":   {Failed, ""},  // pairs wanted, pairs in force
	"nat.unknown": {Unknown, ""}, // pairs wanted

	"dns.resolves": {OK, ""},     // name, addresses, resolver
	"dns.failed":   {Failed, ""}, // name, resolver, error
	"dns.outside":  {Failed, ""}, // name, addresses, resolver
	"dns.none":     {Unknown, ""},

	"application.connects": {OK, ""},     // service
	"application.refuses":  {Failed, ""}, // service, error
	"application.flows":    {OK, ""},     // service, record, seconds
	"application.silent":   {Failed, ""}, // service, record, packets sent
	"application.unused":   {Unknown, ""},
}

// Codes lists all, so that texts can be held against them.
func Codes() []string { return slices.Sorted(maps.Keys(kinds)) }

// Checks lists all in the order of the way.
func Checks() []string {
	var out []string
	var walk func(node)
	walk = func(n node) {
		out = append(out, n.id)
		for _, b := range n.below {
			walk(b)
		}
	}
	walk(tree)
	return out
}

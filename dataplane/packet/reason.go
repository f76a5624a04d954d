package packet

// reasons are the names of bpf/reason.h by number; TestReasonsAgree compares the two.
var reasons = [...]string{
	0:  "",
	1:  "frame-short",
	2:  "vlan-stacked",
	3:  "l2-source",
	4:  "ethertype",
	5:  "arp-malformed",
	6:  "ip-truncated",
	7:  "ip-header",
	8:  "fragment",
	9:  "ip6-extension",
	10: "l4-truncated",
	11: "l4-header",
	12: "no-policy",
	13: "segment-unknown",
	14: "neighbour-malformed",
	15: "neighbour-binding",
	16: "neighbour-foreign",
	17: "neighbour-gratuitous",
	18: "neighbour-refused",
	19: "dhcp-refused",
	20: "l2-multicast",
	21: "l2-not-gate",
	22: "source-address",
	23: "destination-address",
	24: "source-is-gate",
	25: "station-unregistered",
	26: "station-mac-mismatch",
	27: "source-not-in-segment",
	28: "destination-unknown",
	29: "no-cell",
	30: "tcp-not-syn",
	31: "icmp-type",
	32: "icmp-no-flow",
	33: "flow-direction",
	34: "flow-table-full",
	35: "flow-table-busy",
	36: "vlan-rewrite",
	37: "no-route",
	38: "forwarding-disabled",
	39: "egress-mismatch",
	40: "egress-unguarded",
	41: "metadata-failed",
	42: "egress-malformed",
	43: "egress-source",
	44: "egress-destination",
	45: "egress-wrong-port",
	46: "egress-wrong-source",
	47: "egress-zone-pair",
	48: "metadata-missing",
	49: "vlan-mismatch",
	50: "mark-missing",
	51: "gate-refused",
	52: "flow-segment-quota",
	53: "zone-pair",
}

// Reasons are the names of all drop reasons, in the order of their numbers.
func Reasons() []string { return append([]string{}, reasons[1:]...) }

func reasonName(n uint32) string {
	if n < uint32(len(reasons)) {
		return reasons[n]
	}
	return "unknown"
}

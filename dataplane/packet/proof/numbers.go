package proof

import (
	"github.com/sekisho/sekisho/dataplane/packet"
)

// What every cell asks is worked out once for each number: there are few numbers, and very many cells.

// portFacts is what the cells ask of a port class.
type portFacts struct {
	known     bool // it has ranges
	complains bool // it names an ICMP error
}

func factsOf(ranges [][]packet.PortRange) []portFacts {
	facts := make([]portFacts, len(ranges))
	for class, of := range ranges {
		_, complains := complaint(of)
		facts[class] = portFacts{known: len(of) > 0, complains: complains}
	}
	return facts
}

// complaint is the first ICMP error among ranges of ports, as one port.
func complaint(ranges []packet.PortRange) (packet.PortRange, bool) {
	for _, r := range ranges {
		for typ := uint32(r.Lo); typ <= uint32(r.Hi); typ++ {
			if complains(r.Proto, uint16(typ)) {
				return packet.PortRange{Proto: r.Proto, Lo: uint16(typ), Hi: uint16(typ), Class: r.Class}, true
			}
		}
	}
	return packet.PortRange{}, false
}

// ruleBook finds rules by number. The numbers of sound tables leave few gaps; those of others may be anything.
type ruleBook struct {
	near []*packet.Rule
	far  map[uint32]*packet.Rule
}

func newRuleBook(rules []packet.Rule) ruleBook {
	b := ruleBook{near: make([]*packet.Rule, 2*len(rules)+1), far: map[uint32]*packet.Rule{}}
	for i := range rules {
		if r := &rules[i]; uint64(r.ID) < uint64(len(b.near)) {
			b.near[r.ID] = r
		} else {
			b.far[r.ID] = r
		}
	}
	return b
}

// by is nil when there is no such rule.
func (b *ruleBook) by(number uint32) *packet.Rule {
	if uint64(number) < uint64(len(b.near)) {
		return b.near[number]
	}
	return b.far[number]
}

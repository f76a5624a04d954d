package revision

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"sort"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Four eyes: with `four-eyes: true` in the head, what touches My Number needs a second administrator. Whether it does is told
// twice, by the document's entries and by the compiled tables; either is enough, and what cannot be told does.

// fourEyes answers what of My Number a draft touches; nil when nobody needs to approve it.
func (b *Book) fourEyes(ctx context.Context, d *draft) []string {
	if d.head.Number == 0 {
		return nil
	}
	h := b.Head()
	if h == nil || h.Number != d.head.Number {
		_, text, err := b.Read(ctx, d.head.Number)
		if err == nil && !wantsFourEyes(text) {
			return nil
		}
		return []string{"the configuration in force cannot be read any more, so nobody can tell"}
	}
	if !h.Config.FourEyes {
		return nil
	}
	why := touched(h.Config, d.cfg)
	if len(why) == 0 && !bytes.Equal(myNumber(h.Generation.Tables), myNumber(d.g.Tables)) {
		why = []string{"the compiled tables"}
	}
	if len(why) > most {
		why = append(why[:most:most], fmt.Sprintf("and %d more", len(why)-most))
	}
	return why
}

// wantsFourEyes tells whether a text that does not compile any more turns the mode on. Where it cannot even be read, each mention of
// the key counts that does not plainly turn it off, and so does a key that is written so that nobody can look for it.
func wantsFourEyes(text []byte) bool {
	if c, faults := config.Parse(text); len(faults) == 0 {
		return c.FourEyes
	}
	return len(fourEyesKey.FindAll(text, -1)) != len(fourEyesOff.FindAll(text, -1)) || escapedKey.Match(text)
}

var (
	fourEyesKey = regexp.MustCompile(`four-eyes["']?\s*:`)
	fourEyesOff = regexp.MustCompile(`four-eyes["']?:[ \t]+(?:false|False|FALSE)[ \t\r]*(?:[,}#\n]|\z)`)
	escapedKey  = regexp.MustCompile(`"[^"\n]*\\[^"\n]*"\s*:`)
)

// touched lists the entries of My Number, or behind it, that differ between two documents.
func touched(old, new *config.Config) (why []string) {
	a, b := scopeOf(old), scopeOf(new)
	va, vb := reflect.ValueOf(*old), reflect.ValueOf(*new)
	for i := range va.NumField() {
		f := va.Type().Field(i)
		if !f.IsExported() || reflect.DeepEqual(va.Field(i).Interface(), vb.Field(i).Interface()) {
			continue
		}
		section := f.Tag.Get("yaml")
		if at := bytes.IndexByte([]byte(section), ','); at >= 0 {
			section = section[:at]
		}
		in, known := members[f.Name]
		switch {
		case f.Name == "Version" || f.Name == "Town":
		case !known:
			why = append(why, section) // of the whole gate, or of a kind that is not known here
		default:
			for _, id := range differing(va.Field(i), vb.Field(i)) {
				if in(a, id) || in(b, id) {
					why = append(why, section+" "+id)
				}
			}
		}
	}
	return why
}

// members tells for each list of the document whether the entry of an id belongs to My Number.
var members = map[string]func(s scope, id string) bool{
	"Ports":          func(s scope, id string) bool { return s.ports[id] },
	"Segments":       func(s scope, id string) bool { return s.segments[id] },
	"Stations":       func(s scope, id string) bool { return s.stations[id] },
	"Services":       func(s scope, id string) bool { return s.services[id] },
	"Groups":         func(s scope, id string) bool { return s.groups[id] },
	"Windows":        func(s scope, id string) bool { return s.windows[id] },
	"Communications": func(s scope, id string) bool { return s.records[id] },
	"Classes":        func(s scope, _ string) bool { return s.lines },
	"Lines":          func(s scope, _ string) bool { return s.lines },
	"Tunnels":        func(s scope, _ string) bool { return s.lines },
	"Regions":        func(s scope, _ string) bool { return s.lines },
	"Portals":        func(_ scope, id string) bool { return id == anchors.MyNumber.String() },
	"Transfers":      func(s scope, id string) bool { return s.transfers[id] },
}

// scope is what of a document belongs to My Number or is used by it.
type scope struct {
	ports, segments, stations, services, groups, windows, records, transfers map[string]bool

	lines bool // a region of My Number lies behind the lines
}

func scopeOf(c *config.Config) scope {
	s := scope{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, false}
	var prefixes []netip.Prefix
	for _, p := range c.Ports {
		s.ports[p.ID] = p.Zone == anchors.MyNumber
	}
	for _, g := range c.Segments {
		if g.Zone == anchors.MyNumber || s.ports[g.Port] {
			s.segments[g.ID] = true
			prefixes = append(prefixes, g.Prefixes...)
			s.lines = s.lines || g.Tunnel != ""
		}
	}
	near := func(id string, a []netip.Addr) bool {
		return s.segments[id] || slices.ContainsFunc(a, func(x netip.Addr) bool {
			return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(x) })
		})
	}
	for _, x := range c.Stations {
		s.stations[x.ID] = near(x.Segment, x.Addresses)
	}
	for _, x := range c.Services {
		s.services[x.ID] = near(x.Segment, x.Addresses)
	}
	for _, x := range c.Groups {
		s.groups[x.ID] = s.names(reflect.ValueOf(x))
	}
	overlaps := func(ps []netip.Prefix) bool {
		return slices.ContainsFunc(ps, func(p netip.Prefix) bool { return slices.ContainsFunc(prefixes, p.Overlaps) })
	}
	for _, x := range c.Communications {
		if s.names(reflect.ValueOf(x.From)) || s.names(reflect.ValueOf(x.To)) || overlaps(x.To.Prefixes) {
			s.records[x.ID], s.windows[x.Window] = true, true
		}
	}
	for _, x := range c.Transfers {
		s.transfers[x.From.String()+" to "+x.To.String()] = x.From == anchors.MyNumber || x.To == anchors.MyNumber
	}
	return s
}

// names tells whether any list of names in a value holds one of My Number. Kinds of lists that are not known here may.
func (s scope) names(v reflect.Value) bool {
	sets := map[string]map[string]bool{"Stations": s.stations, "Services": s.services, "Groups": s.groups, "Segments": s.segments}
	for i := range v.NumField() {
		list, ok := v.Field(i).Interface().([]string)
		if !ok {
			continue
		}
		set, known := sets[v.Type().Field(i).Name]
		if len(list) > 0 && !known || slices.ContainsFunc(list, func(id string) bool { return set[id] }) {
			return true
		}
	}
	return false
}

// differing gives the ids of the entries that are not the same in both lists.
func differing(a, b reflect.Value) []string {
	left, right := entries(a), entries(b)
	ids := map[string]bool{}
	for id, v := range left {
		if w, ok := right[id]; !ok || !reflect.DeepEqual(v, w) {
			ids[id] = true
		}
	}
	for id := range right {
		if _, ok := left[id]; !ok {
			ids[id] = true
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

func entries(list reflect.Value) map[string]any {
	out := map[string]any{}
	for i := range list.Len() {
		v := list.Index(i)
		id := ""
		switch x := v.Interface().(type) {
		case config.Portal:
			id = x.Zone.String()
		case config.Transfer:
			id = x.From.String() + " to " + x.To.String()
		default:
			id = v.FieldByName("ID").String()
		}
		out[id] = v.Interface()
	}
	return out
}

// myNumber is a digest of all that tables say of My Number's segments and of the cells at whose end one lies, in names and
// addresses, so that numbers which moved do not count.
func myNumber(t packet.Tables) []byte {
	segments, mine := map[uint16]packet.Segment{}, map[uint16]bool{}
	var lines []string
	add := func(kind string, parts ...any) {
		b, err := json.Marshal(parts)
		if err != nil {
			b = []byte(err.Error())
		}
		lines = append(lines, kind+string(b))
	}
	for _, s := range t.Segments {
		id := s.ID
		segments[id], mine[id] = s, s.Zone == anchors.MyNumber
		if s.ID = 0; mine[id] {
			add("segment", s)
		}
	}
	members := map[uint16][]string{} // addresses of each class
	for _, h := range t.Hosts {
		members[h.Class] = append(members[h.Class], h.Addr.String()+" "+h.MAC.String()+" "+segments[h.Segment].Name)
	}
	for _, p := range t.Prefixes {
		members[p.Class] = append(members[p.Class], p.Prefix.String()+" "+p.MAC.String()+" "+segments[p.Segment].Name)
	}
	classes, touching := map[uint16][32]byte{}, map[uint16]bool{}
	digest := func(parts ...any) [32]byte {
		b, _ := json.Marshal(parts) // numbers, names and addresses: cannot fail
		return sha256.Sum256(b)
	}
	for _, c := range t.Classes {
		touching[c.ID] = mine[c.Segment]
		name := segments[c.Segment].Name
		id := c.ID
		c.ID, c.Segment = 0, 0
		sort.Strings(members[id])
		classes[id] = digest(c, name, members[id])
		if touching[id] {
			add("class", classes[id])
		}
	}
	ports := map[uint16][]packet.PortRange{}
	for _, p := range t.Ports {
		id := p.Class
		p.Class = 0
		ports[id] = append(ports[id], p)
	}
	rules, windows := map[uint32]packet.Rule{}, map[uint8][]packet.Span{}
	for _, r := range t.Rules {
		rules[r.ID] = r
	}
	for _, w := range t.Windows {
		windows[w.ID] = w.Spans
	}
	chain := func(id uint32) (out []any) {
		for range packet.MaxChain {
			r, ok := rules[id]
			if !ok {
				break
			}
			out = append(out, r.Records, r.From, r.Until, windows[r.Window])
			id = r.Next
		}
		return out
	}
	chains, sets := map[uint32][32]byte{}, map[uint16][32]byte{}
	for _, c := range t.Cells {
		if !touching[c.Src] && !touching[c.Dst] {
			continue
		}
		if _, ok := chains[c.Rule]; !ok {
			chains[c.Rule] = digest(chain(c.Rule))
		}
		if _, ok := sets[c.Port]; !ok {
			sets[c.Port] = digest(ports[c.Port])
		}
		src, dst, rule, set := classes[c.Src], classes[c.Dst], chains[c.Rule], sets[c.Port]
		lines = append(lines, "cell"+string(src[:])+string(dst[:])+string(rule[:])+string(set[:])+string(rune(c.BWClass)))
	}
	sort.Strings(lines)
	h := sha256.New()
	for _, l := range lines {
		fmt.Fprintf(h, "%d %s", len(l), l)
	}
	return h.Sum(nil)
}

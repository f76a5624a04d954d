package ledger

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
)

// merge sets what the ledger says of a record over what the document has; old is nil for a new record. A field without a column
// stays as it is, and so does what means the same in other words.
func (im *importer) merge(e *entry, old *config.Communication, want config.Communication) (config.Communication, []Change, bool) {
	c := config.Communication{ID: want.ID}
	if old != nil {
		c = *old
	}
	// Who opens what is always said by the ledger.
	if old == nil || !slices.Equal(im.openers(&c), im.openers(&want)) {
		c.From = want.From
	}
	if old == nil || !slices.Equal(im.opened(&c), im.opened(&want)) {
		c.To, c.Ports = want.To, want.Ports
		if old != nil && slices.Equal(im.doors(old), im.doors(&want)) && im.offers(old, want.Ports) {
			c.To = old.To // only the ports differ
		}
	}
	text := func(f Field, into *string, s string) {
		if e.m.has(f) && strings.TrimSpace(*into) != s {
			*into = s
		}
	}
	text(Name, &c.Name.JA, want.Name.JA)
	text(NameEN, &c.Name.EN, want.Name.EN)
	text(Class, &c.Class, want.Class)
	text(Purpose, &c.Purpose, want.Purpose)
	text(Basis, &c.Basis, want.Basis)
	text(Owner, &c.Owner, want.Owner)
	text(Window, &c.Window, want.Window)
	for _, m := range []struct {
		f    Field
		into *config.Moment
		want config.Moment
	}{{Since, &c.Since, want.Since}, {Until, &c.Until, want.Until}, {Review, &c.Review, want.Review}} {
		if e.m.has(m.f) {
			*m.into = m.want
		}
	}
	if e.m.has(ApprovedBy) && e.m.has(ApprovedOn) {
		if strings.TrimSpace(c.Approved.By) == want.Approved.By {
			want.Approved.By = c.Approved.By
		}
		c.Approved = want.Approved
	}
	if e.m.has(State) && (c.Active() != want.Active() || !want.Active() && c.State != want.State) {
		c.State = want.State
	}
	if c.Name.JA == "" && c.Name.EN != "" {
		e.fault(Name, "name.english")
		return c, nil, false
	}
	if old == nil {
		return c, nil, true
	}
	return c, differences(old, &c), true
}

// differences lists the fields in which two records of one id differ, as the document writes them.
func differences(old, now *config.Communication) []Change {
	before, after := map[string]string{}, map[string]string{}
	for _, f := range communicationText(old) {
		before[f.key] = f.text
	}
	for _, f := range communicationText(now) {
		after[f.key] = f.text
	}
	var out []Change
	for _, key := range communicationKeys {
		if before[key] != after[key] {
			out = append(out, Change{now.ID, key, before[key], after[key]})
		}
	}
	return out
}

// changedFields gives the new text of the fields that change; empty text takes a field out.
func changedFields(c *config.Communication, changes []Change) []field {
	var out []field
	for _, ch := range changes {
		out = append(out, field{ch.Field, ch.New})
	}
	return out
}

// openers says who may open, in a form that does not depend on how it is written.
func (im *importer) openers(c *config.Communication) []string {
	var out []string
	for _, id := range c.From.Segments {
		out = append(out, "segment "+id)
	}
	for k, ids := range map[kind][]string{station: c.From.Stations, group: c.From.Groups} {
		for _, id := range ids {
			for _, h := range im.dir.members(ref{k, id}) {
				out = append(out, addressNames(h.addresses)...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// opened says which ports of whom may be opened, in a form that does not depend on how it is written.
func (im *importer) opened(c *config.Communication) []string {
	var out []string
	im.each(c, func(at string, ports []config.PortSpec) {
		for _, p := range sortedPorts(ports) {
			out = append(out, at+" "+p)
		}
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// doors says whom a record opens, whatever the ports.
func (im *importer) doors(c *config.Communication) []string {
	var out []string
	im.each(c, func(at string, _ []config.PortSpec) { out = append(out, at) })
	slices.Sort(out)
	return slices.Compact(out)
}

// offers tells whether ports can be asked of everybody that a record opens.
func (im *importer) offers(c *config.Communication, ports []config.PortSpec) bool {
	good := len(ports) > 0
	for k, ids := range map[kind][]string{service: c.To.Services, group: c.To.Groups} {
		for _, id := range ids {
			for _, h := range im.dir.members(ref{k, id}) {
				good = good && (h.kind != service || offers(h, ports))
			}
		}
	}
	return good
}

func (im *importer) each(c *config.Communication, visit func(at string, ports []config.PortSpec)) {
	host := func(k kind, ids []string) {
		for _, id := range ids {
			for _, h := range im.dir.members(ref{k, id}) {
				ports := c.Ports
				if len(ports) == 0 {
					ports = h.ports
				}
				for _, a := range addressNames(h.addresses) {
					visit(a, ports)
				}
			}
		}
	}
	host(service, c.To.Services)
	host(station, c.To.Stations)
	host(group, c.To.Groups)
	for _, p := range c.To.Prefixes {
		visit("prefix "+p.String(), c.Ports)
	}
}

func addressNames(list []netip.Addr) []string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.String()
	}
	return out
}

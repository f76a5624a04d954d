package exchange

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
)

// Change is one key that was put into a configuration.
type Change struct {
	End, Device string
	Line        int
	Old, New    config.PublicKey
}

// Put writes a region's public keys into a configuration's text: each in place of the one that stands at the end on that tunnel.
// Of several ends on one tunnel, id says which; region overrides the document's own name. All other bytes stay as they are. The
// error says what the keys do not fit.
func Put(doc []byte, k Keys, region, id string) ([]byte, []Change, error) {
	cfg, errs := config.Parse(doc)
	if errs != nil {
		return nil, nil, fmt.Errorf("the configuration: %w", errs)
	}
	if k.Of != Region {
		return nil, nil, fmt.Errorf("these are the keys of a %s: a configuration holds those of regions", k.Of)
	}
	name := cmp.Or(region, k.Name)
	i := slices.IndexFunc(cfg.Regions, func(r config.Region) bool { return r.ID == name })
	if i < 0 {
		var known []string
		for _, r := range cfg.Regions {
			known = append(known, r.ID)
		}
		return nil, nil, fmt.Errorf("there is no region %q%s; the configuration has %s", name, config.Suggest(name, known), strings.Join(known, ", "))
	}
	var changes []Change
	lines := bytes.Split(doc, []byte("\n"))
	for _, key := range k.Keys {
		field, end, err := held(&cfg.Regions[i], key.Device, id)
		if err != nil {
			return nil, nil, err
		}
		if *field == key.PublicKey {
			continue
		}
		at, ok := cfg.PosOf(field)
		if !ok || at.Line > len(lines) || bytes.Count(lines[at.Line-1], []byte(*field)) != 1 {
			return nil, nil, fmt.Errorf("end %s: its key does not stand on one line of its own: write public-key: %q there by hand", end, key.PublicKey)
		}
		lines[at.Line-1] = bytes.Replace(lines[at.Line-1], []byte(*field), []byte(key.PublicKey), 1)
		changes = append(changes, Change{end, key.Device, at.Line, *field, key.PublicKey})
	}
	out := bytes.Join(lines, []byte("\n"))
	if _, errs := config.Parse(out); errs != nil {
		return nil, nil, fmt.Errorf("with these keys the configuration would not hold: %w", errs)
	}
	return out, changes, nil
}

// held finds the key of a region's end on a tunnel.
func held(r *config.Region, device, id string) (*config.PublicKey, string, error) {
	if len(r.Ends) == 0 {
		if r.Tunnel != device {
			return nil, "", fmt.Errorf("region %s is reached by tunnel %s, not by %s: add an end there first", r.ID, r.Tunnel, device)
		}
		return &r.PublicKey, r.ID, nil
	}
	var found *config.End
	for i := range r.Ends {
		e := &r.Ends[i]
		if e.Tunnel != device || id != "" && e.ID != id {
			continue
		}
		if found != nil {
			return nil, "", fmt.Errorf("region %s has several ends on tunnel %s (%s, %s): say which", r.ID, device, found.ID, e.ID)
		}
		found = e
	}
	if found == nil {
		return nil, "", fmt.Errorf("region %s has no end %son tunnel %s: add it first", r.ID, spaced(id), device)
	}
	return &found.PublicKey, found.ID, nil
}

func spaced(id string) string {
	if id == "" {
		return ""
	}
	return id + " "
}

package packet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
)

// Programs of another layout have pins in another folder. Their links go on standing on the devices: they are moved over and
// updated to the new programs one by one, so that no port is without a program for a moment or goes down. Everything that the new
// programs ask for stands before: magic, tables (Options.Prepare), devices and exits. The former flow table is looked at by
// the programs for as long as a flow may live; its pin stays, everything else of the former layout goes.

var layoutFolder = regexp.MustCompile(`^v[0-9]+$`)

// formerLayouts are the folders of other layouts under pinDir.
func formerLayouts(pinDir string) ([]string, error) {
	entries, err := os.ReadDir(pinDir)
	if err != nil {
		return nil, fmt.Errorf("look for pins of a former layout: %w", err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != layoutVersion && layoutFolder.MatchString(e.Name()) {
			out = append(out, filepath.Join(pinDir, e.Name()))
		}
	}
	return out, nil
}

// formerMagic is the magic of a former layout, so that what is on its way up the stack keeps its mark; 0 when there is none.
func (c *Core) formerMagic() (uint32, error) {
	for _, dir := range c.former {
		m, err := ebpf.LoadPinnedMap(filepath.Join(dir, "maps", programsMapBoot), nil)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("re-open the magic of a former layout: %w", err)
		}
		defer m.Close()
		var v uint32
		if err := m.Lookup(uint32(0), &v); err != nil {
			return 0, fmt.Errorf("read the magic of a former layout: %w", err)
		}
		return v, nil
	}
	return 0, nil
}

// inherit takes the links of former layouts over. Their devices are shown to the new programs first; the scan that follows
// updates the links.
func (c *Core) inherit() error {
	for _, dir := range c.former {
		for _, name := range c.devices.wanted {
			for _, hook := range linkHooks {
				if _, err := os.Stat(c.linkPin(name, hook)); err == nil {
					continue // an upgrade that was broken off had it already
				}
				err := os.Rename(filepath.Join(dir, "links", name+"-"+hook), c.linkPin(name, hook))
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("take over the %s link of %s: %w", hook, name, err)
				}
			}
		}
	}
	if len(c.former) == 0 {
		return nil
	}
	standing := map[string]int{}
	for _, name := range c.devices.wanted {
		index, err := c.showInherited(name)
		if err != nil {
			return err
		}
		if index != 0 {
			standing[name] = index
		}
	}
	return c.bindPorts(c.bindings(standing))
}

// showInherited shows a device that the former programs stand on; 0 when the scan must see to it.
func (c *Core) showInherited(name string) (int, error) {
	index, err := c.pinnedOn(name, "egress")
	if err != nil || index == 0 {
		return 0, err
	}
	l, err := netlink.LinkByIndex(index)
	if err != nil || l.Attrs().Name != name {
		return 0, nil
	}
	if c.devices.tunnel[name] {
		return index, c.showDevice(name, index, MAC{})
	}
	if len(l.Attrs().HardwareAddr) != 6 {
		return 0, nil
	}
	if err := c.showDevice(name, index, MAC(l.Attrs().HardwareAddr)); err != nil {
		return 0, err
	}
	return index, c.openExit(name, index)
}

// forgetFormer removes what is left of former layouts, save their flows.
func (c *Core) forgetFormer() error {
	for _, dir := range c.former {
		for _, d := range []string{"links", "programs", "traces"} {
			if err := os.RemoveAll(filepath.Join(dir, d)); err != nil {
				return fmt.Errorf("remove pins of a former layout: %w", err)
			}
		}
		maps, err := os.ReadDir(filepath.Join(dir, "maps"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove pins of a former layout: %w", err)
		}
		for _, m := range maps {
			if strings.HasPrefix(m.Name(), "flow") {
				continue
			}
			if err := os.Remove(filepath.Join(dir, "maps", m.Name())); err != nil {
				return fmt.Errorf("remove a map of a former layout: %w", err)
			}
		}
	}
	return nil
}

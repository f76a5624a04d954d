package packet

import (
	"fmt"
	"strings"

	"github.com/sekisho/sekisho/dataplane/ethtool"
)

// Device features that must be off: the classifier sees frames as they were on the wire, one at a time, tag in the frame.
var forbiddenFeatures = []string{ethtool.RxVLAN, ethtool.RxVLANStag, ethtool.RxLRO, ethtool.RxGROHW, ethtool.RxGRO}

// neverTolerated are those that make the classifier blind; the others only cost precision of the shaper.
var neverTolerated = []string{ethtool.RxVLAN, ethtool.RxVLANStag, ethtool.RxLRO, ethtool.RxGROHW}

// features are what a device does to frames by itself, by the kernel's names.
type features interface {
	active(device string) (map[string]bool, error) // nil: the device knows none
	off(device string, names []string) error       // a driver may keep some on all the same
}

// plainFrames turns off what changes frames before the classifier sees them, and refuses a port where it stays on.
func plainFrames(f features, device string) error {
	now, err := f.active(device)
	if err != nil {
		return err
	}
	unwanted := func(list []string) (on []string) {
		for _, name := range list {
			if now[name] {
				on = append(on, name)
			}
		}
		return on
	}
	todo := unwanted(forbiddenFeatures)
	if len(todo) == 0 {
		return nil
	}
	if err := f.off(device, todo); err != nil {
		return err
	}
	if now, err = f.active(device); err != nil {
		return err
	}
	if on := unwanted(neverTolerated); len(on) > 0 {
		return fmt.Errorf("port %s: %s stays on; its frames cannot be judged as they were on the wire", device, strings.Join(on, ", "))
	}
	return nil
}

// kernelFeatures asks the kernel, in the thread's namespace.
type kernelFeatures struct{}

func (kernelFeatures) active(device string) (map[string]bool, error) { return ethtool.Active(device) }
func (kernelFeatures) off(device string, names []string) error {
	return ethtool.Set(device, false, names...)
}

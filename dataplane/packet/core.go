// Package packet is the packet lane's hands: it loads the programs of bpf/, guards every port with them, and puts the
// compiled tables in front of them.
//
// Problem: what decides about a packet must go on deciding while every daemon is dead, must never decide by half a policy,
// and must never trust whoever compiled the policy. Mechanism: programs, maps and links are pinned; a policy is a set of
// maps that are filled, frozen, read back and only then made current by one atomic switch; ports, prefixes and zones of
// the separately written egress program come from the anchors alone. Life cycle: Open loads or re-opens what is pinned,
// Load stages tables, Swap makes them current, Close leaves everything in place, Remove takes it away. Invariant: a port
// of the anchors is either guarded by the native XDP program and both tcx programs, or it is down.
package packet

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Options say what to guard and where the pins live.
type Options struct {
	PinDir  string           // a directory on a bpffs that the caller mounted; pins lie under PinDir/v1
	Anchors *anchors.Anchors // which devices exist, and the zones of all addresses
	Log     *slog.Logger     // nil: slog.Default()
	Flows   uint32           // capacity of the flow table; 0 = 65536. Fixed when the pins are first made.
}

// Core is the packet core of one gate. Its methods may be called from several goroutines.
type Core struct{}

// Staged is a policy that lies in frozen maps beside the current one.
type Staged struct{}

// PortStatus is how one device is guarded.
type PortStatus struct {
	Name    string `json:"name"`
	Index   int    `json:"index"`  // 0: the device does not exist
	Tunnel  bool   `json:"tunnel"` // layer 3 device: tcx only
	Native  bool   `json:"native"` // the XDP program is attached in driver mode (ports only)
	Ingress bool   `json:"ingress"`
	Egress  bool   `json:"egress"`
	Up      bool   `json:"up"`              // administratively up
	Error   string `json:"error,omitempty"` // why it is not guarded (and was taken down)
}

// Guarded tells whether every program that the device needs is attached.
func (p PortStatus) Guarded() bool {
	return p.Index != 0 && p.Ingress && p.Egress && (p.Tunnel || p.Native)
}

// Open loads the programs, or re-opens those that are pinned, in the caller's network namespace, and guards every device
// of the anchors that exists. A device that cannot be guarded is taken down and reported by Status; that is not an error
// of Open.
func Open(ctx context.Context, o Options) (*Core, error) {
	return nil, errors.ErrUnsupported
}

// Rescan guards devices that appeared or were recreated since, and tells how every device stands. Call it after making a
// device and periodically.
func (c *Core) Rescan(ctx context.Context) ([]PortStatus, error) { return nil, errors.ErrUnsupported }

// Status tells how every device of the anchors stood at the last scan.
func (c *Core) Status() []PortStatus { return nil }

// Load puts tables into new maps, freezes them and reads them back. The epoch is set by Load: one more than the current.
func (c *Core) Load(t Tables) (*Staged, error) { return nil, errors.ErrUnsupported }

// Decoded is what the frozen maps hold.
func (s *Staged) Decoded() Tables { return Tables{} }

// Swap makes the staged tables current by one atomic write.
func (s *Staged) Swap() error { return errors.ErrUnsupported }

// Discard frees staged tables that are not to become current.
func (s *Staged) Discard() {}

// Active is the current policy, false before the first Swap.
func (c *Core) Active() (Tables, bool) { return Tables{}, false }

// Magic is the upper half of the mark on every packet that the programs let up the stack; random per pin directory, never 0.
func (c *Core) Magic() uint16 { return 0 }

// Collect removes flows that are over: idle beyond their protocol's limit, closed, or refused by the current policy.
func (c *Core) Collect(now time.Time) (expired int, err error) { return 0, errors.ErrUnsupported }

// Close releases handles; everything pinned goes on working.
func (c *Core) Close() error { return nil }

// Remove detaches and unpins all that Open made under pinDir. For labs and tests.
func Remove(pinDir string) error { return errors.ErrUnsupported }

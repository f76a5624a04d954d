// Package isolation keeps which zones people have cut off in an emergency, since when, by whom, why and until when.
//
// Problem: what was cut off must be so again after a restart, a kill or a loss of power, also while the control daemon is dead,
// and must never come back by accident; and each such act belongs into the audit log, which only control writes. Mechanism: one
// file, owned by root and readable by all, that is replaced as a whole and carries its own checksum. It holds the cuts, and the
// acts that control has not collected yet. Life cycle: the dataplane opens it before it guards anything, puts it into force and
// changes it; release reads it each time before it gives a file out. Invariants: cutting off takes force before it is written
// and is answered after; giving back is written before it takes force; a file that cannot be read cuts every zone off.
package isolation

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Zones are those that can be cut off. Not management: whoever is to give a zone back sits there, and it joins no other (I13).
var Zones = []anchors.Zone{anchors.MyNumber, anchors.LGWAN, anchors.Internet, anchors.Uplink}

// Cut is a zone that is cut off. Of the uplink, every tunnel is.
type Cut struct {
	Zone   anchors.Zone `json:"zone"`
	Since  time.Time    `json:"since"`
	Until  time.Time    `json:"until,omitzero"` // the planned way back; zero: by a person only
	By     string       `json:"by"`
	Via    string       `json:"via"` // Via*
	Reason string       `json:"reason"`

	Boot  string        `json:"boot,omitempty"`  // of the machine, from which on its time is counted
	Began time.Duration `json:"began,omitempty"` // the clock of that boot then
	Ran   time.Duration `json:"ran,omitempty"`   // what was counted before, in other boots
}

// Who brought an act, as the kernel says; By is what they say.
const (
	ViaControl = "control" // for the person that control names
	ViaRoot    = "root"    // root's command line, past control
	ViaItself  = "dataplane"
)

// Act is what happened to a zone.
type Act string

// Acts.
const (
	Begin      Act = "begin"
	End        Act = "end"        // a person gave it back
	Due        Act = "due"        // its planned time came
	Unreadable Act = "unreadable" // the file could not be read: cut off without a person
)

// Event is one act, for the audit log.
type Event struct {
	Seq    uint64       `json:"seq"` // rises, also when the file was lost
	Time   time.Time    `json:"time"`
	Act    Act          `json:"act"`
	Zone   anchors.Zone `json:"zone"`
	By     string       `json:"by"`
	Via    string       `json:"via"`
	Reason string       `json:"reason,omitempty"`
	Until  time.Time    `json:"until,omitzero"`
}

// State is what the file holds.
type State struct {
	Cuts   []Cut   `json:"cuts"`   // by zone
	Events []Event `json:"events"` // that control has not collected, oldest first
	Last   uint64  `json:"last"`   // Seq of the last event there was
}

// Of is the cut of a zone.
func (s State) Of(z anchors.Zone) (Cut, bool) {
	i := slices.IndexFunc(s.Cuts, func(c Cut) bool { return c.Zone == z })
	if i < 0 {
		return Cut{}, false
	}
	return s.Cuts[i], true
}

// Zones are those that are cut off.
func (s State) Zones() (out []anchors.Zone) {
	for _, c := range s.Cuts {
		out = append(out, c.Zone)
	}
	return out
}

// version of the file.
const version = 1

// envelope is the file. Sum is over the bytes of State as they stand.
type envelope struct {
	Version int             `json:"version"`
	Sum     string          `json:"sum"`
	State   json.RawMessage `json:"state"`
}

func encode(s State) ([]byte, error) {
	state, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope{version, sum(state), state})
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// Decode reads the file's bytes.
func Decode(b []byte) (State, error) {
	var e envelope
	var s State
	if err := strict(b, &e); err != nil {
		return s, err
	}
	if e.Version != version {
		return s, fmt.Errorf("version %d: want %d", e.Version, version)
	}
	if sum(e.State) != e.Sum {
		return s, errors.New("its checksum does not fit: it was changed or damaged")
	}
	if err := strict(e.State, &s); err != nil {
		return s, err
	}
	return s, s.check()
}

func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("something follows")
	}
	return nil
}

func (s State) check() error {
	for i, c := range s.Cuts {
		if !slices.Contains(Zones, c.Zone) || c.Since.IsZero() {
			return fmt.Errorf("cut %d: zone %s since %s", i+1, c.Zone, c.Since)
		}
		if i > 0 && c.Zone <= s.Cuts[i-1].Zone {
			return fmt.Errorf("cut %d: zone %s stands behind %s", i+1, c.Zone, s.Cuts[i-1].Zone)
		}
	}
	before := uint64(0)
	for _, e := range s.Events {
		if e.Seq <= before || e.Seq > s.Last {
			return fmt.Errorf("event %d: want numbers that rise to %d", e.Seq, s.Last)
		}
		before = e.Seq
	}
	return nil
}

// Read reads the file. None is a state in which nothing was ever cut off.
func Read(path string) (State, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	var s State
	if err == nil {
		s, err = Decode(b)
	}
	if err != nil {
		return State{}, fmt.Errorf("read which zones are cut off: %s: %w", path, err)
	}
	return s, nil
}

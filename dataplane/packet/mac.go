package packet

import (
	"fmt"
	"net"
)

// MAC is a 48-bit Ethernet address; the zero value means "none".
type MAC [6]byte

// ParseMAC reads the colon form.
func ParseMAC(s string) (MAC, error) {
	var m MAC
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != len(m) {
		return m, fmt.Errorf("MAC address %q: want six hexadecimal bytes like 02:00:5e:10:00:01", s)
	}
	copy(m[:], hw)
	return m, nil
}

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// IsZero tells whether no address is set.
func (m MAC) IsZero() bool { return m == MAC{} }

// MarshalText and UnmarshalText serve JSON and YAML; the empty string is the zero address.
func (m MAC) MarshalText() ([]byte, error) {
	if m.IsZero() {
		return nil, nil
	}
	return []byte(m.String()), nil
}

func (m *MAC) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*m = MAC{}
		return nil
	}
	v, err := ParseMAC(string(b))
	if err == nil {
		*m = v
	}
	return err
}

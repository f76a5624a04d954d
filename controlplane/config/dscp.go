package config

import (
	"fmt"
	"strconv"
	"strings"
)

// DSCP is a differentiated services code point, 0 to 63 (RFC 2474), written as a number or by its name.
type DSCP uint8

// dscpNames: class selectors (RFC 2474), assured forwarding (RFC 2597), expedited forwarding (RFC 3246), voice admit (RFC 5865),
// lower effort (RFC 8622).
var dscpNames = func() map[string]DSCP {
	names := map[string]DSCP{"ef": 46, "va": 44, "le": 1}
	for n := range DSCP(8) {
		names[fmt.Sprintf("cs%d", n)] = 8 * n
	}
	for class := DSCP(1); class <= 4; class++ {
		for drop := DSCP(1); drop <= 3; drop++ {
			names[fmt.Sprintf("af%d%d", class, drop)] = 8*class + 2*drop
		}
	}
	return names
}()

func (d *DSCP) UnmarshalText(b []byte) error {
	if n, ok := dscpNames[strings.ToLower(string(b))]; ok {
		*d = n
		return nil
	}
	n, err := strconv.ParseUint(string(b), 10, 8)
	if err != nil || n > 63 {
		return fmt.Errorf("DSCP: want 0 to 63, or a name like ef, af41, cs5")
	}
	*d = DSCP(n)
	return nil
}

func (d DSCP) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d DSCP) String() string { return strconv.Itoa(int(d)) }

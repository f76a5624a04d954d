package config

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Rate is a bandwidth in bit/s, written "25Mbit".
type Rate uint64

// Size is a number of bytes, written "50MB" (decimal, as sold and shown).
type Size int64

// PublicKey is a WireGuard public key: 32 bytes in base64.
type PublicKey string

type unit struct {
	name string
	n    uint64
}

var (
	rateUnits = []unit{{"Gbit", 1e9}, {"Mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}}
	sizeUnits = []unit{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}
)

func (r *Rate) UnmarshalText(b []byte) error {
	n, err := quantity(string(b), rateUnits)
	if err != nil {
		return fmt.Errorf("rate: want a number with kbit, Mbit or Gbit, like 50Mbit (%w)", err)
	}
	*r = Rate(n)
	return nil
}

func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String writes the rate with the largest unit that leaves a whole number.
func (r Rate) String() string { return written(uint64(r), rateUnits) }

func (s *Size) UnmarshalText(b []byte) error {
	n, err := quantity(string(b), sizeUnits)
	if err != nil {
		return fmt.Errorf("size: want a number with kB, MB or GB, like 50MB (%w)", err)
	}
	*s = Size(n)
	return nil
}

func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String writes the size with the largest unit that leaves a whole number.
func (s Size) String() string { return written(uint64(s), sizeUnits) }

func quantity(s string, units []unit) (uint64, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok || digits == "" {
			continue
		}
		if strings.Trim(digits, "0123456789") != "" {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 64)
		if err != nil || n > math.MaxInt64/u.n {
			return 0, fmt.Errorf("%s is too large", s)
		}
		if n == 0 {
			return 0, fmt.Errorf("it must be more than 0")
		}
		return n * u.n, nil
	}
	return 0, fmt.Errorf("%q is none", s)
}

func written(n uint64, units []unit) string {
	for _, u := range units {
		if n >= u.n && n%u.n == 0 {
			return strconv.FormatUint(n/u.n, 10) + u.name
		}
	}
	return "0" + units[len(units)-1].name
}

func (k *PublicKey) UnmarshalText(b []byte) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(string(b))
	if err != nil || len(raw) != 32 {
		return fmt.Errorf("public key: want 32 bytes in base64 (44 characters, as `wg pubkey` prints them)")
	}
	*k = PublicKey(b)
	return nil
}

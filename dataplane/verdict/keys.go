package verdict

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxKey bounds a password, in bytes: as much as a helper is told (Need.Options).
const MaxKey = 256

// ParseKeys reads the passwords that a sender gives with a file, one a line, each once. An error names the line and never the
// password: it is logged and shown.
func ParseKeys(s string) ([]string, error) {
	var keys []string
	n := 0
	for line := range strings.SplitSeq(s, "\n") {
		n++
		k := strings.TrimSuffix(line, "\r")
		if k == "" || slices.Contains(keys, k) {
			continue
		}
		if err := KeyError(k); err != nil {
			return nil, fmt.Errorf("password in line %d: %w", n, err)
		}
		if keys = append(keys, k); len(keys) > MaxKeys {
			return nil, fmt.Errorf("more than %d passwords", MaxKeys)
		}
	}
	return keys, nil
}

// KeyError tells why something is no password, or is nil.
func KeyError(k string) error {
	switch {
	case k == "":
		return errors.New("it is empty")
	case len(k) > MaxKey:
		return fmt.Errorf("it has %d bytes, at most %d", len(k), MaxKey)
	case !utf8.ValidString(k):
		return errors.New("it is not UTF-8")
	case strings.ContainsAny(k, "\r\n\x00"):
		return errors.New("it has a line break or a NUL character in it")
	}
	return nil
}

// CheckKeys holds passwords that somebody else read to the same rules.
func CheckKeys(keys []string) error {
	if len(keys) > MaxKeys {
		return fmt.Errorf("%d passwords, at most %d", len(keys), MaxKeys)
	}
	for i, k := range keys {
		if err := KeyError(k); err != nil {
			return fmt.Errorf("password %d: %w", i+1, err)
		}
	}
	return nil
}

// opened are the codes of files that a password opens.
var opened = []string{"archive.password", "pdf.password", "type.encrypted"}

// WantsKey tells whether a file was refused because no password opened it, and the right one would.
func WantsKey(fs []Finding) bool {
	return slices.ContainsFunc(fs, func(f Finding) bool {
		return f.Action == Refused && slices.Contains(opened, f.Code)
	})
}

package sanitize

import (
	"crypto/sha256"
	"fmt"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// MaxMembers bounds how many bytes of members are shown in one call: as much as a file may unpack to. One member is at most as long as a
// file.
const MaxMembers = maxUnpackedAll

// shown shows each member once, however often it lies in the file, within bounds.
func shown(show func(place string, in []byte) error) func(string, []byte) error {
	if show == nil {
		return nil
	}
	seen, left := map[[sha256.Size]byte]bool{}, int64(MaxMembers)
	return func(place string, in []byte) error {
		sum := sha256.Sum256(in)
		if len(in) == 0 || seen[sum] {
			return nil
		}
		place = rebuild.Printable(place, 200)
		if left -= int64(len(in)); left < 0 || len(in) > MaxIn {
			return rebuild.Refuse("limit.scan", place, fmt.Sprintf("limit %d bytes", MaxMembers))
		}
		seen[sum] = true
		return show(place, in)
	}
}

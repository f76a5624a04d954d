package release

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Approvers is the root-owned file of those who may approve. It is not control's directory of people: whoever takes over
// control can invent people there, but nobody here.
type Approvers struct {
	Version   int        `yaml:"version"`
	Approvers []Approver `yaml:"approvers"`
}

// Approver is one person in one role.
type Approver struct {
	Person  string         `yaml:"person"`
	Section string         `yaml:"section"`
	Role    string         `yaml:"role"`
	Zones   []anchors.Zone `yaml:"zones"` // zones out of which this person may let files
	Hash    string         `yaml:"hash"`  // from HashPassphrase
}

// LoadApprovers reads and checks the file.
func LoadApprovers(path string) (Approvers, error) {
	var as Approvers
	if _, err := readStrict(path, &as); err != nil {
		return Approvers{}, err
	}
	if err := as.check(); err != nil {
		return Approvers{}, refuse(http.StatusServiceUnavailable, CodeSetting, "%s: %v", path, err)
	}
	return as, nil
}

func (as Approvers) check() error {
	if as.Version != 1 {
		return fmt.Errorf("version %d: want 1", as.Version)
	}
	seen := map[string]bool{}
	for i, a := range as.Approvers {
		at := fmt.Sprintf("approver %d (%q)", i+1, a.Person)
		switch {
		case a.Person == "" || a.Role == "" || a.Section == "" || len(a.Zones) == 0:
			return fmt.Errorf("%s: person, section, role and zones are all needed", at)
		case seen[a.Person]:
			return fmt.Errorf("%s: named twice", at)
		}
		seen[a.Person] = true
		if _, err := parseHash(a.Hash); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return nil
}

func (as Approvers) find(person string, from anchors.Zone) (Approver, bool) {
	for _, a := range as.Approvers {
		if a.Person == person {
			return a, slices.Contains(a.Zones, from)
		}
	}
	return Approver{}, false
}

// Iterations of PBKDF2-HMAC-SHA-256 for new hashes, and the bounds that a stored hash must keep.
const (
	Iterations    = 600_000
	maxIterations = 10_000_000
	saltSize      = 16
	hashScheme    = "pbkdf2-sha256"
	// MinPassphrase is in characters (JC-STAR asks for eight).
	MinPassphrase = 8
	maxPassphrase = 1024 // bytes
)

// HashPassphrase makes the hash line of approvers.yaml: pbkdf2-sha256$600000$SALT$HASH, both base64.
func HashPassphrase(passphrase string) (string, error) {
	if n := len([]rune(passphrase)); n < MinPassphrase || len(passphrase) > maxPassphrase {
		return "", fmt.Errorf("passphrase of %d characters: want at least %d and at most %d bytes", n, MinPassphrase, maxPassphrase)
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	key, err := pbkdf2.Key(sha256.New, passphrase, salt, Iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("hash a passphrase: %w", err)
	}
	b64 := base64.StdEncoding.EncodeToString
	return strings.Join([]string{hashScheme, strconv.Itoa(Iterations), b64(salt), b64(key)}, "$"), nil
}

type storedHash struct {
	iterations int
	salt, key  []byte
}

func parseHash(s string) (storedHash, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 4 || parts[0] != hashScheme {
		return storedHash{}, errors.New("hash: want pbkdf2-sha256$ITERATIONS$SALT$HASH")
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil || n < Iterations || n > maxIterations {
		return storedHash{}, fmt.Errorf("hash: %s iterations: want %d to %d", parts[1], Iterations, maxIterations)
	}
	salt, err1 := base64.StdEncoding.DecodeString(parts[2])
	key, err2 := base64.StdEncoding.DecodeString(parts[3])
	if err := errors.Join(err1, err2); err != nil {
		return storedHash{}, fmt.Errorf("hash: %w", err)
	}
	if len(salt) < saltSize || len(key) != sha256.Size {
		return storedHash{}, errors.New("hash: salt of at least 16 bytes and hash of 32 bytes")
	}
	return storedHash{n, salt, key}, nil
}

// passphraseFits takes as long for a person who is not there as for one who is.
func passphraseFits(a Approver, known bool, passphrase string) bool {
	h := storedHash{iterations: Iterations, salt: make([]byte, saltSize), key: make([]byte, sha256.Size)}
	if known {
		parsed, err := parseHash(a.Hash)
		if err != nil {
			return false
		}
		h = parsed
	}
	if len(passphrase) > maxPassphrase {
		passphrase, known = "", false
	}
	got, err := pbkdf2.Key(sha256.New, passphrase, h.salt, h.iterations, sha256.Size)
	if err != nil {
		return false
	}
	return subtle.ConstantTimeCompare(got, h.key) == 1 && known
}

// throttle slows down guessing: after freeTries wrong passphrases for a person in a zone, each further one closes the door for
// twice as long, up to maxWait. A right one opens it. Tries that are under way count as wrong until they are not, so that guesses
// in parallel gain nothing. Zones are counted apart: whoever holds one zone's portal closes the doors of that zone only. Held in
// memory: a restart gives freeTries more, and an attacker who can restart the daemon is root.
type throttle struct {
	mu    sync.Mutex
	state map[door]*tries
}

// door is where passphrases are tried. An empty person is everybody who may not approve there, so that guessed names take no memory.
type door struct {
	zone   anchors.Zone
	person string
}

type tries struct {
	wrong int
	until time.Time
}

const (
	freeTries = 5
	firstWait = 30 * time.Second
	maxWait   = 15 * time.Minute
)

// begin refuses while the door is closed, and counts the try as wrong.
func (t *throttle) begin(at door, now time.Time) *Refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == nil {
		t.state = map[door]*tries{}
	}
	s := t.state[at]
	if s == nil {
		s = &tries{}
		t.state[at] = s
	}
	if now.Before(s.until) {
		r := refuse(http.StatusTooManyRequests, CodeThrottled, "too many wrong passphrases for %q in %s", at.person, at.zone)
		r.Wait = int(math.Ceil(s.until.Sub(now).Seconds()))
		return r
	}
	s.wrong++
	if s.wrong >= freeTries {
		wait := maxWait
		if over := s.wrong - freeTries; over < 5 {
			wait = min(maxWait, firstWait<<over)
		}
		s.until = now.Add(wait)
	}
	return nil
}

// passed forgets the wrong tries.
func (t *throttle) passed(at door) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.state, at)
}

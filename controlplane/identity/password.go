package identity

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Stored form: pbkdf2-sha256$ITERATIONS$SALT$KEY, salt of 16 and key of 32 bytes in base64. 600,000 iterations are OWASP's
// figure for PBKDF2-HMAC-SHA-256; both parts are on the CRYPTREC list.
const (
	scheme     = "pbkdf2-sha256"
	iterations = 600_000
	minLength  = 8 // characters (JC-STAR)
	maxLength  = 1024
)

func hashPassword(password string) (string, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	key, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	b64 := base64.StdEncoding
	return fmt.Sprintf("%s$%d$%s$%s", scheme, iterations, b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// unknownHash is compared with for people who do not exist, so that they take as long as those who do. No password fits it.
var unknownHash = fmt.Sprintf("%s$%d$%s$%s", scheme, iterations, base64.StdEncoding.EncodeToString(make([]byte, 16)), base64.StdEncoding.EncodeToString(make([]byte, 32)))

func passwordFits(hash, password string) bool {
	parts := strings.Split(hash, "$")
	if len(parts) != 4 || parts[0] != scheme || len(password) > maxLength {
		return false
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil || n < 1 {
		return false
	}
	salt, err1 := base64.StdEncoding.DecodeString(parts[2])
	want, err2 := base64.StdEncoding.DecodeString(parts[3])
	if err1 != nil || err2 != nil || len(want) != sha256.Size {
		return false
	}
	got, err := pbkdf2.Key(sha256.New, password, salt, n, sha256.Size)
	return err == nil && subtle.ConstantTimeCompare(got, want) == 1
}

// strong tells whether a password may be chosen.
func strong(id, password string) bool {
	return utf8.ValidString(password) && utf8.RuneCountInString(password) >= minLength && len(password) <= maxLength &&
		!strings.EqualFold(password, id)
}

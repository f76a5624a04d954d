package transfer

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sekisho/sekisho/dataplane/durable"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// sheet is what control knows of a file in words of people or of the file itself: it may name residents. It lies in a file of
// its own, sealed under a key of its own; the key is overwritten in place at the end of the retention, so that nothing of
// this can be read again from old disk blocks, from the database's free pages or from a copy of either.
type sheet struct {
	Name    string            `json:"name"`
	Note    string            `json:"note,omitempty"`
	Report  *verdict.Report   `json:"report,omitempty"`
	Reasons map[string]string `json:"reasons,omitempty"` // by step.Words
}

// sheets keeps ID.sheet and ID.key in one directory. Backups take the sheets and never the keys.
type sheets struct{ dir string }

const sheetKeySize = 32

func (s sheets) path(id, kind string) string { return filepath.Join(s.dir, id+kind) }

// create makes the key of a transfer and writes its first sheet.
func (s sheets) create(id string, v sheet) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("keep transfer %s: %w", id, err)
	}
	key := make([]byte, sheetKeySize)
	rand.Read(key)
	if err := durable.Replace(s.path(id, ".key"), key, 0o600); err != nil {
		return fmt.Errorf("keep the key of transfer %s: %w", id, err)
	}
	return s.write(id, v)
}

func (s sheets) write(id string, v sheet) error {
	aead, err := s.aead(id)
	if err != nil {
		return err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("keep transfer %s: %w", id, err)
	}
	if err := durable.Replace(s.path(id, ".sheet"), seal(aead, b, id), 0o600); err != nil {
		return fmt.Errorf("keep transfer %s: %w", id, err)
	}
	return nil
}

// read answers an empty sheet once the key is gone.
func (s sheets) read(id string) (sheet, error) {
	var v sheet
	aead, err := s.aead(id)
	if errors.Is(err, fs.ErrNotExist) {
		return v, nil
	}
	if err != nil {
		return v, err
	}
	b, err := os.ReadFile(s.path(id, ".sheet"))
	if err != nil {
		return v, fmt.Errorf("read transfer %s: %w", id, err)
	}
	if b, err = open(aead, b, id); err != nil {
		return v, fmt.Errorf("read transfer %s: %w", id, err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("read transfer %s: %w", id, err)
	}
	return v, nil
}

// destroy overwrites the key where it lies. Doing it again is no error.
func (s sheets) destroy(id string) error {
	f, err := os.OpenFile(s.path(id, ".key"), os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt(make([]byte, sheetKeySize), 0)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("destroy the key of transfer %s: %w", id, err)
	}
	for _, kind := range []string{".key", ".sheet"} {
		if err := os.Remove(s.path(id, kind)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("erase transfer %s: %w", id, err)
		}
	}
	return nil
}

const sealedText = "sealed:"

// word seals a short text for the audit log: readable as long as the key lives.
func (s sheets) word(id, text string) (string, error) {
	aead, err := s.aead(id)
	if err != nil {
		return "", err
	}
	return sealedText + base64.StdEncoding.EncodeToString(seal(aead, []byte(text), id+" word")), nil
}

// plain is the inverse of word; false when the key is gone or the text was never sealed.
func (s sheets) plain(id, sealed string) (string, bool) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sealed, sealedText))
	if err != nil || !strings.HasPrefix(sealed, sealedText) {
		return "", false
	}
	aead, err := s.aead(id)
	if err != nil {
		return "", false
	}
	b, err = open(aead, b, id+" word")
	return string(b), err == nil
}

func (s sheets) aead(id string) (cipher.AEAD, error) {
	key, err := os.ReadFile(s.path(id, ".key"))
	if err != nil {
		return nil, fmt.Errorf("read the key of transfer %s: %w", id, err)
	}
	if len(key) != sheetKeySize {
		return nil, fmt.Errorf("read the key of transfer %s: %d bytes, want %d", id, len(key), sheetKeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func seal(aead cipher.AEAD, b []byte, about string) []byte {
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, b, []byte(about))
}

func open(aead cipher.AEAD, b []byte, about string) ([]byte, error) {
	if len(b) < aead.NonceSize() {
		return nil, errors.New("sealed text is too short")
	}
	return aead.Open(nil, b[:aead.NonceSize()], b[aead.NonceSize():], []byte(about))
}

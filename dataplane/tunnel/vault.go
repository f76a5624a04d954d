package tunnel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sekisho/sekisho/dataplane/durable"
)

// Vault keeps the box's secrets. One that seals them to a TPM has the same two verbs.
type Vault interface {
	// Load gives what was kept last under the name; an error that is fs.ErrNotExist: nothing was.
	Load(name string) ([]byte, error)
	// Keep returns once the secret outlives a loss of power.
	Keep(name string, secret []byte) error
	// Where is for messages to the operator.
	Where(name string) string
}

// folder keeps secrets as files that only their owner reads, in a directory that only the owner enters when it had to be made.
type folder string

func (f folder) Where(name string) string { return filepath.Join(string(f), name) }

func (f folder) Load(name string) ([]byte, error) { return os.ReadFile(f.Where(name)) }

func (f folder) Keep(name string, secret []byte) error {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return err
	}
	return durable.Replace(f.Where(name), secret, 0o600)
}

func (o Options) vault() Vault {
	if o.Vault != nil {
		return o.Vault
	}
	return folder(o.Keys)
}

// loadSecret reads what is kept under the name into read, or, when nothing is, keeps what fresh makes.
func loadSecret(v Vault, name string, read func([]byte) error, fresh func() ([]byte, error)) error {
	b, err := v.Load(name)
	if errors.Is(err, fs.ErrNotExist) {
		if b, err = fresh(); err == nil {
			err = v.Keep(name, b)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", v.Where(name), err)
	}
	return read(b)
}

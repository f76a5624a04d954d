package town

import (
	"crypto/rand"
	"crypto/x509"
	_ "embed"
	"fmt"
	"os"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

//go:embed people.yaml
var roll []byte

// PortalOf finds a zone's portal.
func PortalOf(z anchors.Zone) (Portal, error) {
	ps, err := Portals()
	if err != nil {
		return Portal{}, err
	}
	for _, p := range ps {
		if p.Zone == z {
			return p, nil
		}
	}
	return Portal{}, fmt.Errorf("zone %s has no portal in the town", z)
}

// Roots is the gate's own certificate authority, which the town's browsers trust.
func (t *Town) Roots() (*x509.CertPool, error) {
	file := t.Name.Instance().CA()
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("certificate of the local CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("certificate of the local CA: %s holds none", file)
	}
	return pool, nil
}

// Person finds who can sign in, with the password of the moment.
func (t *Town) Person(id string) (Person, error) {
	r, err := t.Name.Record()
	if err != nil {
		return Person{}, err
	}
	for _, p := range r.People {
		if p.ID == id {
			return p, nil
		}
	}
	return Person{}, fmt.Errorf("person %q: the town has none of that name", id)
}

// NewPassword thinks up a password for a person and notes it.
func (t *Town) NewPassword(id string) (string, error) {
	fresh := rand.Text()
	return fresh, t.Name.note(func(r *Record) {
		for i := range r.People {
			if r.People[i].ID == id {
				r.People[i].Password = fresh
			}
		}
	})
}

// Package templates holds starting points: what each model of the national guideline asks of a town, and designated
// communications that most towns have.
//
// Problem: a town of two IT people writes its ledger from nothing, and a product that claims to know the law misleads them.
// Mechanism: two kinds of embedded YAML: a catalogue of models and measures, in which what could not be confirmed says so, and
// pieces of a configuration in state draft, with everything that only the town knows left to be filled in. Life cycle: read
// once, when first asked for. Invariant: a piece permits nothing until somebody fills it in and makes it active, and nothing here is
// given as the guideline's word: a town holds itself to the guideline, not to this list.
package templates

import (
	"embed"
	"fmt"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed models.yaml pieces.yaml records
var files embed.FS

// Text is in both languages of the UI.
type Text struct {
	JA string `yaml:"ja"`
	EN string `yaml:"en"`
}

// Measure is one thing that a town does, beside what the gate does.
type Measure struct {
	ID          string   `yaml:"id"`
	Name        Text     `yaml:"name"`
	Text        Text     `yaml:"text"`
	Held        []string `yaml:"held"`        // invariants by which the gate itself holds it: nobody needs to state it
	Unconfirmed Text     `yaml:"unconfirmed"` // what no source was read for
}

// Model is one of the guideline's.
type Model struct {
	ID          string   `yaml:"id"`
	Name        Text     `yaml:"name"`
	Text        Text     `yaml:"text"`
	Invariants  []string `yaml:"invariants"`  // in force; no model can loosen one
	Required    []string `yaml:"required"`    // measures
	Advised     []string `yaml:"advised"`     // measures
	Unconfirmed Text     `yaml:"unconfirmed"` // what no source was read for
}

// Piece is a part of a configuration that a town may start from.
type Piece struct {
	ID   string `yaml:"id"`
	Name Text   `yaml:"name"`
	Text Text   `yaml:"text"`
	YAML string `yaml:"-"` // as it is pasted
}

// Catalogue is all of it, in the order of the files.
type Catalogue struct {
	Measures []Measure `yaml:"measures"`
	Models   []Model   `yaml:"models"`
	Pieces   []Piece   `yaml:"-"`
}

// Load reads the catalogue. It fails only when the program was built with a broken one.
var Load = sync.OnceValues(load)

func load() (*Catalogue, error) {
	c := &Catalogue{}
	if err := decode("models.yaml", c); err != nil {
		return nil, err
	}
	if err := decode("pieces.yaml", &c.Pieces); err != nil {
		return nil, err
	}
	for i := range c.Pieces {
		b, err := files.ReadFile("records/" + c.Pieces[i].ID + ".yaml")
		if err != nil {
			return nil, fmt.Errorf("read the templates: %w", err)
		}
		c.Pieces[i].YAML = string(b)
	}
	return c, nil
}

func decode(name string, into any) error {
	b, err := files.ReadFile(name)
	if err == nil {
		err = yaml.UnmarshalWithOptions(b, into, yaml.Strict())
	}
	if err != nil {
		return fmt.Errorf("read the templates: %s: %w", name, err)
	}
	return nil
}

// Model gives a model by its id, nil when there is none.
func (c *Catalogue) Model(id string) *Model {
	return find(c.Models, id, func(m *Model) string { return m.ID })
}

// Measure gives a measure by its id, nil when there is none.
func (c *Catalogue) Measure(id string) *Measure {
	return find(c.Measures, id, func(m *Measure) string { return m.ID })
}

// Piece gives a piece by its id, nil when there is none.
func (c *Catalogue) Piece(id string) *Piece {
	return find(c.Pieces, id, func(p *Piece) string { return p.ID })
}

func find[T any](list []T, id string, idOf func(*T) string) *T {
	for i := range list {
		if idOf(&list[i]) == id {
			return &list[i]
		}
	}
	return nil
}

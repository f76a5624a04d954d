package office

import (
	"strings"
	"sync"

	"github.com/sekisho/sekisho/dataplane/schema"
)

// known are the elements that a standard defines, of the namespaces that may stand in a document.
var known = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for uri, names := range schema.OOXML() {
		for _, n := range names {
			if space := spaces[uri]; space != "" {
				m[space+":"+n] = true
			}
		}
	}
	return m
})

// traits are what the lists say of an element, looked up once for each name that a document has.
type traits struct {
	space, local string
	known        bool // a standard defines it
	active       bool
	formula      bool // its text is one
	textOnly     bool // no element may stand in it
	drawing      bool // drawn the old way, in VML
	instruction  bool // its text is the instruction of a field
	shown        bool // or what Word takes for one before the field's separator
	alternative  bool
}

// maxNames of elements and of attributes are remembered; of others the lists are asked each time.
const maxNames = 4000

func (d *document) traitsOf(name string) *traits {
	if t := d.elements[name]; t != nil {
		return t
	}
	t := &traits{
		known: known()[name] || vmlMarkup[name], active: active[name], formula: isFormula(name), textOnly: textOnly(name),
		instruction: name == "w:instrText" || name == "w:delInstrText", shown: name == "w:t" || name == "w:delText",
		alternative: name == "mc:Choice" || name == "mc:Fallback",
	}
	t.space, t.local, _ = strings.Cut(name, ":")
	t.drawing = vmlSpaces[t.space]
	if len(d.elements) < maxNames {
		d.elements[name] = t
	}
	return t
}

// concern is why an attribute is looked at.
type concern int

const (
	unconcerned concern = iota
	macros
	clicks
	formulaText
	relations
)

func (d *document) concernOf(name string) concern {
	if c, ok := d.attributes[name]; ok {
		return c
	}
	_, local, prefixed := strings.Cut(name, ":")
	if !prefixed {
		local = name
	}
	c := unconcerned
	switch low := strings.ToLower(local); {
	case strings.HasPrefix(name, "r:") || name == "o:relid":
		c = relations
	case low == "macro" || low == "fmlamacro" || low == "macroname":
		c = macros
	case low == "action":
		c = clicks
	case low == "textlink":
		c = formulaText
	}
	if len(d.attributes) < maxNames {
		d.attributes[name] = c
	}
	return c
}

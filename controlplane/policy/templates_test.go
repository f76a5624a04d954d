package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/templates"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// blank is a small town that has the segments of the templates and nothing else.
const blank = `version: 1
town: {ja: 海山町}
model: alpha
ports:
  - {id: mn0, zone: my-number}
  - {id: lg0, zone: lgwan}
  - {id: in0, zone: internet}
segments:
  - {id: fill-in-my-number, zone: my-number, port: mn0, vlan: 10, prefixes: [198.51.100.0/27], gate: [198.51.100.1], strict: true}
  - {id: fill-in-juki-net, zone: my-number, port: mn0, vlan: 11, prefixes: [198.51.100.32/27], gate: [198.51.100.33], strict: true}
  - {id: fill-in-lgwan, zone: lgwan, port: lg0, vlan: 20, prefixes: [198.51.100.64/27], gate: [198.51.100.65], strict: true}
  - {id: fill-in-lgwan-asp, zone: lgwan, port: lg0, vlan: 21, prefixes: [198.51.100.96/27], gate: [198.51.100.97], strict: true}
  - {id: fill-in-internet, zone: internet, port: in0, prefixes: [203.0.113.0/27], gate: [203.0.113.1]}
`

// pasted adds pieces to the town, section by section.
func pasted(pieces ...string) string {
	sections := map[string]string{}
	for _, p := range pieces {
		section := ""
		for line := range strings.Lines(p) {
			switch {
			case strings.HasPrefix(line, "#"):
			case !strings.HasPrefix(line, " "):
				section = line
			default:
				sections[section] += line
			}
		}
	}
	doc := blank
	for _, s := range []string{"stations:\n", "services:\n", "groups:\n", "communications:\n"} {
		if sections[s] != "" {
			doc += s + sections[s]
		}
	}
	return doc
}

func TestTemplates(t *testing.T) {
	catalogue, err := templates.Load()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range catalogue.Pieces {
		all = append(all, p.YAML)
		t.Run(p.ID, func(t *testing.T) { checkPiece(t, p.YAML) })
	}
	t.Run("all at once", func(t *testing.T) { checkPiece(t, all...) })
}

func checkPiece(t *testing.T, pieces ...string) {
	doc := pasted(pieces...)
	parse := func(doc string) (*config.Config, []became) {
		t.Helper()
		cfg, errs := config.Parse([]byte(doc))
		if errs != nil {
			t.Fatalf("%v\n%s", errs, doc)
		}
		a := Anchors(cfg)
		g, err := Compile(cfg, a)
		if err != nil {
			t.Fatal(err)
		}
		if v := proof.Check(&g.Tables, a); len(v) > 0 {
			t.Fatalf("%v\n%s", v, doc)
		}
		var cells []became
		for _, c := range cfg.Communications {
			u, err := Unfold(cfg, &g.Tables, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			cells = append(cells, became{c.ID, len(u.Cells)})
		}
		return cfg, cells
	}
	cfg, cells := parse(doc)
	if n := len(cfg.Communications); n == 0 || States(cfg)[config.Draft] != n {
		t.Errorf("%d communications, of which %d are drafts", n, States(cfg)[config.Draft])
	}
	for _, c := range cells {
		if c.cells != 0 {
			t.Errorf("as a draft, %s became %d cells", c.id, c.cells)
		}
	}
	filled := strings.NewReplacer("state: draft", "state: active\n    approved: {by: 情報政策課長, on: 2026-03-20}", "記入（法令・条例・契約）", "条例", "記入（所管課）", "住民課",
		"# since:", "since:", "# until:", "until:", "# review:", "review:").Replace(doc)
	cfg, cells = parse(filled)
	for _, c := range cells {
		if c.cells == 0 {
			t.Errorf("filled in, %s became no cell", c.id)
		}
	}
	g, err := Compile(cfg, Anchors(cfg))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Hygiene(cfg, &g.Tables, nil, november, UsualLimits()).Findings {
		if len(f.Records) > 0 {
			t.Errorf("filled in: %s", f.Text)
		}
	}
	if !strings.Contains(doc, placeholder) || !slices.ContainsFunc(cfg.Stations, func(s config.Station) bool { return strings.HasPrefix(s.ID, "fill-in-") }) {
		t.Error("nothing says what is to be filled in")
	}
}

type became struct {
	id    string
	cells int
}

func TestCatalogueIsWhole(t *testing.T) {
	c, err := templates.Load()
	if err != nil {
		t.Fatal(err)
	}
	said := func(what string, x templates.Text) {
		if (x.JA == "") != (x.EN == "") || what != "" && x.JA == "" {
			t.Errorf("%s: %+v, want both languages", what, x)
		}
	}
	var models []string
	used := map[string]bool{}
	for _, m := range c.Models {
		models = append(models, m.ID)
		said(m.ID, m.Name)
		said(m.ID, m.Text)
		said("", m.Unconfirmed)
		for _, id := range slices.Concat(m.Required, m.Advised) {
			used[id] = true
			if c.Measure(id) == nil {
				t.Errorf("model %s asks for %s, which is not described", m.ID, id)
			}
		}
		for _, i := range []string{"I1", "I2", "I3", "I13"} {
			if !slices.Contains(m.Invariants, i) {
				t.Errorf("model %s loosens %s", m.ID, i)
			}
		}
	}
	if !slices.Equal(models, config.Models) {
		t.Errorf("models %v, the document knows %v", models, config.Models)
	}
	for _, m := range c.Measures {
		said(m.ID, m.Name)
		said(m.ID, m.Text)
		said("", m.Unconfirmed)
		if !used[m.ID] {
			t.Errorf("no model asks for measure %s", m.ID)
		}
	}
	for _, p := range c.Pieces {
		said(p.ID, p.Name)
		said(p.ID, p.Text)
	}
	for _, want := range []string{"juki-net", "intermediate-server", "convenience-store", "eltax", "pittari", "screen-transfer", "update-relay", "ntp", "dns"} {
		if c.Piece(want) == nil {
			t.Errorf("there is no piece %s", want)
		}
	}
}

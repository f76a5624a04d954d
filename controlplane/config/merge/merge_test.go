package merge

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/controlplane/config/examples"
)

const base = `# The town's gate.
version: 1
town: {ja: 海山町, en: Umiyama}
model: alpha

stations:
  # The tax section's desks.
  - {id: pc1, segment: office, addresses: [198.18.10.11]}
  - {id: pc2, segment: office, addresses: [198.18.10.12]}
  - {id: pc3, segment: office, addresses: [198.18.10.13]}

communications:
  - id: filing
    from: {stations: [pc1]}
    to: {services: [eltax]}
    purpose: 地方税の電子申告  # see the ledger
    until: 2036-03-31
  # Residents.
  - id: residents
    from: {stations: [pc1, pc2]}
    to: {services: [resident]}
    ports: [tcp/443]
    purpose: 住民記録

portals:
  - {zone: my-number, address: 198.18.110.2}
  - {zone: lgwan, address: 198.18.120.2}
# The end.
`

// edit replaces once; every pair must be found.
func edit(t *testing.T, text string, pairs ...string) []byte {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if strings.Count(text, pairs[i]) != 1 {
			t.Fatalf("%q stands %d times in the text", pairs[i], strings.Count(text, pairs[i]))
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return []byte(text)
}

func TestTexts(t *testing.T) {
	const filing = "    until: 2036-03-31\n"
	for _, c := range []struct {
		name         string
		theirs, mine []string
		want         []string // pairs: what base becomes; nil: conflicts
		conflicts    []string // a part of each
	}{
		{"nobody changed anything", nil, nil, []string{}, nil},
		{"they alone", []string{filing, ""}, nil, []string{filing, ""}, nil},
		{"I alone", nil, []string{filing, ""}, []string{filing, ""}, nil},
		{"both the same", []string{filing, ""}, []string{filing, ""}, []string{filing, ""}, nil},
		{"different entries of one list", []string{filing, ""}, []string{"ports: [tcp/443]", "ports: [tcp/443, udp/53]"},
			[]string{filing, "", "ports: [tcp/443]", "ports: [tcp/443, udp/53]"}, nil},
		{"different lists", []string{"198.18.10.12", "198.18.10.22"}, []string{filing, ""}, []string{"198.18.10.12", "198.18.10.22", filing, ""}, nil},
		{"they a value, I a list", []string{"model: alpha", "model: beta"}, []string{filing, ""}, []string{"model: alpha", "model: beta", filing, ""}, nil},
		{"they added, I changed another", []string{"\nportals:", "  - id: third\n    purpose: 第三\n\nportals:"}, []string{filing, ""},
			[]string{filing, "", "\nportals:", "  - id: third\n    purpose: 第三\n\nportals:"}, nil},
		{"they added in the middle", []string{"  - {id: pc3", "  - {id: pc2b, segment: office}\n  - {id: pc3"}, []string{"198.18.10.11]", "198.18.10.31]"},
			[]string{"  - {id: pc3", "  - {id: pc2b, segment: office}\n  - {id: pc3", "198.18.10.11]", "198.18.10.31]"}, nil},
		{"they removed with its comment", []string{base[strings.Index(base, "  # Residents"):strings.Index(base, "\nportals")], ""}, []string{filing, ""},
			[]string{base[strings.Index(base, "  # Residents"):strings.Index(base, "\nportals")], "", filing, ""}, nil},
		{"they reworded a comment", []string{"# see the ledger", "# 台帳"}, []string{"ports: [tcp/443]", "ports: []"}, []string{"# see the ledger", "# 台帳", "ports: [tcp/443]", "ports: []"}, nil},
		{"an entry without an id field", []string{"198.18.110.2", "198.18.110.3"}, []string{"198.18.120.2", "198.18.120.3"}, []string{"198.18.110.2", "198.18.110.3", "198.18.120.2", "198.18.120.3"}, nil},
		{"they a new section", []string{"portals:", "windows:\n  - {id: office-hours}\n\nportals:"}, []string{filing, ""}, []string{"portals:", "windows:\n  - {id: office-hours}\n\nportals:", filing, ""}, nil},
		{"my order and my comments stay", []string{"198.18.10.12", "198.18.10.22"}, []string{
			"  - {id: pc3, segment: office, addresses: [198.18.10.13]}\n", "", "  # The tax section's desks.\n", "  # Moved up.\n  - {id: pc3, segment: office, addresses: [198.18.10.13]}\n  # The tax section's desks.\n"},
			[]string{"198.18.10.12", "198.18.10.22", "  - {id: pc3, segment: office, addresses: [198.18.10.13]}\n", "", "  # The tax section's desks.\n", "  # Moved up.\n  - {id: pc3, segment: office, addresses: [198.18.10.13]}\n  # The tax section's desks.\n"}, nil},
		{"my list has another indentation", []string{"198.18.10.12", "198.18.10.22"}, []string{"  - {zone: my-number, address: 198.18.110.2}\n  - {zone: lgwan", "- {zone: my-number, address: 198.18.110.2}\n- {zone: lgwan",
			"  # The tax section's desks.\n  - {id: pc1", "      # The tax section's desks.\n      - {id: pc1", "  - {id: pc2", "      - {id: pc2", "  - {id: pc3", "      - {id: pc3"},
			[]string{"  - {zone: my-number, address: 198.18.110.2}\n  - {zone: lgwan", "- {zone: my-number, address: 198.18.110.2}\n- {zone: lgwan",
				"  # The tax section's desks.\n  - {id: pc1", "      # The tax section's desks.\n      - {id: pc1", "  - {id: pc2", "      - {id: pc2", "  - {id: pc3", "      - {id: pc3", "198.18.10.12", "198.18.10.22"}, nil},

		{"one entry, two fields", []string{filing, ""}, []string{"地方税の電子申告", "申告"}, nil, []string{"communications filing changed"}},
		{"one entry, one field", []string{"tcp/443", "tcp/80"}, []string{"tcp/443", "tcp/8080"}, nil, []string{"ports: [tcp/443] -> [tcp/80]"}},
		{"they removed, I changed", []string{"  - {id: pc2, segment: office, addresses: [198.18.10.12]}\n", ""}, []string{"198.18.10.12", "198.18.10.22"}, nil, []string{"stations pc2 removed"}},
		{"they changed, I removed", []string{"198.18.10.12", "198.18.10.22"}, []string{"  - {id: pc2, segment: office, addresses: [198.18.10.12]}\n", ""}, nil, []string{"stations pc2 removed"}},
		{"both added one id", []string{"  - {id: pc3", "  - {id: pc4, segment: a}\n  - {id: pc3"}, []string{"  - {id: pc3", "  - {id: pc4, segment: b}\n  - {id: pc3"}, nil, []string{"stations pc4 added"}},
		{"one entry, a comment and a field", []string{"# see the ledger", "# 台帳"}, []string{filing, ""}, nil, []string{"communications filing reworded"}},
		{"one value", []string{"model: alpha", "model: beta"}, []string{"model: alpha", "model: beta-prime"}, nil, []string{"model: alpha -> beta"}},
		{"two conflicts and more", []string{"model: alpha", "model: beta", "tcp/443", "tcp/80", filing, ""}, []string{"model: alpha", "model: beta-prime", "tcp/443", "tcp/8080"}, nil,
			[]string{"model", "communications residents"}},
		{"they moved entries, I changed the list", []string{
			"  - {id: pc3, segment: office, addresses: [198.18.10.13]}\n", "", "  - {id: pc2", "  - {id: pc3, segment: office, addresses: [198.18.10.13]}\n  - {id: pc2"},
			[]string{"198.18.10.11]", "198.18.10.31]"}, nil, []string{"changed the order"}},
		{"a list in one line", []string{"version: 1", "version: 1\nwindows: [{id: a}]"}, []string{"version: 1", "version: 1\nwindows: [{id: b}]"}, nil, []string{"windows added"}},
		{"a list of which nothing is left", []string{"  - {zone: my-number, address: 198.18.110.2}\n", ""}, []string{"  - {zone: lgwan, address: 198.18.120.2}\n", ""}, nil, []string{"no entry would be left"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Texts([]byte(base), edit(t, base, c.theirs...), edit(t, base, c.mine...))
			if c.want == nil {
				if r.Text != nil || len(r.Conflicts) != len(c.conflicts) {
					t.Fatalf("conflicts %v, text:\n%s", r.Conflicts, r.Text)
				}
				for i, w := range c.conflicts {
					if !strings.Contains(r.Conflicts[i].String(), w) {
						t.Errorf("conflict %d: got %s, want %s in it", i, r.Conflicts[i], w)
					}
				}
				return
			}
			if want := edit(t, base, c.want...); string(r.Text) != string(want) {
				t.Errorf("conflicts %v, got:\n%s\nwant:\n%s", r.Conflicts, r.Text, want)
			}
			if (len(c.theirs) > 0) != (len(r.Theirs) > 0) {
				t.Errorf("they changed %v", r.Theirs)
			}
		})
	}
}

// TestVerify: a text that does not say what it was put together from is not offered.
func TestVerify(t *testing.T) {
	d, err := read([]byte(base))
	if err != nil {
		t.Fatal(err)
	}
	if err := verify([]byte(base), d); err != nil {
		t.Error(err)
	}
	for _, harm := range [][]string{{"model: alpha", "model: beta"}, {"198.18.10.12", "198.18.10.22"}, {"  - {zone: lgwan, address: 198.18.120.2}\n", ""}, {"model: alpha\n", ""}, {"{id: pc2", "{id: pc4"}, {"version: 1", "version: [1"}} {
		if err := verify(edit(t, base, harm...), d); err == nil {
			t.Errorf("%q: no error", harm)
		}
	}
}

func TestWhatCannotBeCut(t *testing.T) {
	for name, text := range map[string]string{
		"braces":          "{version: 1, model: alpha}\n",
		"a key twice":     "version: 1\nversion: 2\n",
		"not YAML":        "a: [\n",
		"a list":          "- 1\n",
		"nothing":         "",
		"two documents":   "a: 1\n---\nb: 2\n",
		"keys in columns": "  a: 1\n  b: 2\n",
	} {
		if r := Texts([]byte(base), []byte(text), append([]byte(base), "# mine\n"...)); r.Text != nil || len(r.Conflicts) != 1 || !strings.Contains(r.Conflicts[0].String(), "their text") {
			t.Errorf("%s: %v %q", name, r.Conflicts, r.Text)
		}
	}
}

func TestChanges(t *testing.T) {
	new := edit(t, base, "model: alpha", "model: beta", "    until: 2036-03-31\n", "", "198.18.10.13]", "198.18.10.13], owner: 税務課", "  - {zone: lgwan, address: 198.18.120.2}\n", "", "# see the ledger", "")
	got, err := Changes([]byte(base), new)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, c := range got {
		said = append(said, c.String())
	}
	want := []string{
		"model changed (line 4): model: alpha -> beta",
		"stations pc3 changed (line 10): owner: 税務課",
		"communications filing changed (line 13): no until (was 2036-03-31)",
		"portals lgwan removed (line 27)",
	}
	if !slices.Equal(said, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
}

// TestAddedIsTold: nothing that comes in is named only, whatever form it has.
func TestAddedIsTold(t *testing.T) {
	const old = "version: 1\nstations:\n  - id: pc1\n    mac: a\nservices:\n  - {id: web}\n"
	const tail = "services:\n  - {id: web}\n"
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"an entry":              {old + "  - id: any\n    addresses: [192.0.2.1]\n    ports: []\n", []string{"services any added (line 7): addresses: [192.0.2.1]; id: any; ports: []"}},
		"a list":                {old + "segments:\n  # new\n  - {id: a, zone: lgwan}\n  - {id: b, zone: uplink}\n", []string{"segments a added (line 9): id: a; zone: lgwan", "segments b added (line 10): id: b; zone: uplink"}},
		"a list in brackets":    {old + "segments: [{id: a, zone: lgwan}]\n", []string{"segments added (line 7): segments: [{id: a, zone: lgwan}]"}},
		"a map":                 {old + "town:\n  en: Umiyama\n", []string{"town added (line 7): en: Umiyama"}},
		"a value":               {old + "model: alpha\n", []string{"model added (line 7): model: alpha"}},
		"a list set in a line":  {"version: 1\nstations: [{id: pc1, mac: b}]\n" + tail, []string{"stations changed (line 2): stations: [{id: pc1, mac: a}] -> [{id: pc1, mac: b}]"}},
		"a list of other forms": {"version: 1\nstations:\n  - {mac: b}\n" + tail, []string{"stations changed (line 2): stations: [{id: pc1, mac: a}] -> [{mac: b}]"}},
	} {
		got, err := Changes([]byte(old), []byte(c.text))
		var said []string
		for _, x := range got {
			said = append(said, x.String())
		}
		if err != nil || !slices.Equal(said, c.want) {
			t.Errorf("%s: %v\ngot\n%s\nwant\n%s", name, err, strings.Join(said, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

// TestDisjointEdits: edits of different entries by two people merge to both, in either direction, and each entry is as its
// editor left it, to the letter.
func TestDisjointEdits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "entries")
		block := rapid.Bool().Draw(t, "block")
		indent := strings.Repeat(" ", rapid.IntRange(0, 3).Draw(t, "indent"))
		write := func(id, value, remark string) string {
			s := ""
			if remark != "" {
				s = indent + "# " + remark + "\n"
			}
			if block {
				return s + fmt.Sprintf("%s- id: %s\n%s  purpose: %q\n%s  ports:\n%s    - %s\n", indent, id, indent, value, indent, indent, value)
			}
			return s + fmt.Sprintf("%s- {id: %s, purpose: %q, ports: [%s]}\n", indent, id, value, value)
		}
		word := rapid.StringMatching(`[a-z]{1,6}`)
		var old, theirs, mine, want, mirror strings.Builder
		for _, b := range []*strings.Builder{&old, &theirs, &mine, &want, &mirror} {
			b.WriteString("version: 1\nrecords:\n" + write("first", "stays", "")) // so that the list never becomes empty
		}
		all := func(s string, bs ...*strings.Builder) {
			for _, b := range bs {
				b.WriteString(s)
			}
		}
		for i := range n {
			id := fmt.Sprintf("e%d", i)
			was := write(id, word.Draw(t, "was"), rapid.SampledFrom([]string{"", "remark"}).Draw(t, "remark"))
			now := write(id, word.Draw(t, "now")+"x", rapid.SampledFrom([]string{"", "other"}).Draw(t, "other"))
			switch rapid.SampledFrom([]string{"nobody", "they change", "I change", "they remove", "I remove", "they add", "I add"}).Draw(t, "edit") {
			case "nobody":
				all(was, &old, &theirs, &mine, &want, &mirror)
			case "they change":
				all(was, &old, &mine)
				all(now, &theirs, &want, &mirror)
			case "I change":
				all(was, &old, &theirs)
				all(now, &mine, &want, &mirror)
			case "they remove":
				all(was, &old, &mine)
			case "I remove":
				all(was, &old, &theirs)
			case "they add":
				all(now, &theirs, &want, &mirror)
			case "I add":
				all(now, &mine, &want, &mirror)
			}
		}
		sorted := func(b []byte) string {
			d, err := read(b)
			if err != nil {
				t.Fatal(err)
			}
			var es []string
			for _, e := range d.section("records").entries {
				es = append(es, e.whole())
			}
			slices.Sort(es)
			return strings.Join(es, "\n")
		}
		for _, way := range [][2]string{{theirs.String(), mine.String()}, {mine.String(), theirs.String()}} {
			r := Texts([]byte(old.String()), []byte(way[0]), []byte(way[1]))
			if r.Text == nil {
				t.Fatalf("conflicts %v", r.Conflicts)
			}
			if got := sorted(r.Text); got != sorted([]byte(want.String())) {
				t.Fatalf("base:\n%s\ntheirs:\n%s\nmine:\n%s\ngot:\n%s", old.String(), way[0], way[1], r.Text)
			}
		}
	})
}

// FuzzTexts: whatever the texts, a merge that is offered says of each entry what the one who changed it said.
func FuzzTexts(f *testing.F) {
	lab := string(examples.Lab)
	f.Add(base, base, base)
	f.Add(lab, strings.Replace(lab, "2036-03-31", "2037-03-31", 1), strings.Replace(lab, "model: alpha", "model: beta", 1))
	f.Add("a:\n- id: x\n  t: |\n    - id: y\n", "a:\n- id: x\n  t: |\n    - id: z\n", "a:\n- id: x\n  t: |\n    - id: y\n# c\n")
	f.Add("a: \"x\n b: 1\"\n", "a: 1\n", "a: 2\nb: {}\n")
	f.Fuzz(func(t *testing.T, b, th, m string) {
		if len(b)+len(th)+len(m) > 1<<16 {
			return
		}
		r := Texts([]byte(b), []byte(th), []byte(m))
		if r.Text == nil {
			if len(r.Conflicts) == 0 {
				t.Error("neither text nor conflict")
			}
			return
		}
		if _, err := read(r.Text); err != nil {
			t.Errorf("the merged text cannot be read: %v\n%s", err, r.Text)
		}
		if bytes.Equal([]byte(b), []byte(th)) {
			if cs, err := Changes([]byte(m), r.Text); err == nil && len(cs) > 0 {
				t.Errorf("they changed nothing, yet %v", cs)
			}
		}
	})
}

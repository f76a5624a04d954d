package difference_test

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/policy/difference"
	"github.com/sekisho/sekisho/controlplane/policy/internal/drawn"
	"github.com/sekisho/sekisho/controlplane/policy/reading"
	"github.com/sekisho/sekisho/controlplane/policy/space"
)

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, errs := config.Parse([]byte(text))
	if errs != nil {
		t.Fatal(errs)
	}
	return cfg
}

// all is everything that a configuration permits, as a set.
func all(c *config.Config) space.Set {
	d := reading.Of(c)
	var s space.Set
	for i := range d.Permits {
		s = s.Union(d.Boxes(&d.Permits[i]))
	}
	return s
}

// What the older permits, with what is newly permitted and without what is newly refused, is what the newer permits.
func TestDifferencesAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc, older := drawn.Config(t)
		newer := older
		switch rapid.IntRange(0, 2).Draw(t, "change") {
		case 0: // another town
			_, newer = drawn.Config(t)
		case 1: // some records fewer
			cut := drawn.Without(doc, func(int, string) bool { return rapid.IntRange(0, 3).Draw(t, "drop") == 0 })
			cfg, errs := config.Parse([]byte(cut))
			if errs != nil {
				t.Fatalf("%v\n%s", errs, cut)
			}
			newer = cfg
		}
		permitted, refused := difference.Sets(older, newer)
		was, is := all(older), all(newer)
		if !was.Union(permitted).Minus(refused).Same(is) || !permitted.Intersect(was).Empty() || !refused.Intersect(is).Empty() {
			t.Fatalf("newly permitted %v, newly refused %v\n%s", permitted, refused, doc)
		}
		if (len(permitted)+len(refused) == 0) != was.Same(is) {
			t.Fatalf("%d and %d parts, same %t", len(permitted), len(refused), was.Same(is))
		}
		if len(space.SetOf(permitted...)) > 0 && space.Set(permitted).Empty() {
			t.Fatal("a part holds no packet")
		}
		if d := difference.Of(older, newer); older == newer && !d.Empty() {
			t.Fatalf("a configuration differs from itself: %+v", d)
		}
	})
}

var lab = string(examples.Lab)

// edited is the lab after some replacements, each of which has a place.
func edited(t *testing.T, pairs ...string) *config.Config {
	t.Helper()
	text := lab
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("%q is not in the lab", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return parse(t, text)
}

// What people read, in both languages. UPDATE=1 writes the golden files anew.
func TestTexts(t *testing.T) {
	record := "communications:\n"
	cases := []struct {
		name string
		cfg  *config.Config
	}{
		{"nothing", parse(t, lab)},
		{"one record", edited(t, record, `windows:
  - {id: office, days: [mon, tue, wed, thu, fri], from: "08:30", to: "17:15"}
communications:
  - {id: asp-desks, from: {stations: [mn-pc2]}, to: {services: [eltax]}, ports: [], purpose: x, owner: x, since: 2027-04-01, window: office}
`)},
		{"a record ends earlier", edited(t, "    owner: 税務課\n    until: 2036-03-31", "    owner: 税務課\n    until: 2027-03-31")},
		{"a record is suspended", edited(t, "  - id: web-use\n", "  - id: web-use\n    state: suspended\n")},
		{"another MAC and class", edited(t, "02:53:4b:10:00:11", "02:53:4b:10:00:99", "class: general\n    purpose: 帳票の出力", "class: backup\n    purpose: 帳票の出力")},
		{"a station moves", edited(t, "addresses: [198.18.20.12, \"2001:db8:20::12\"]", "addresses: [198.18.20.13, \"2001:db8:20::12\"]")},
		{"a service opens ports, nights", edited(t, "ports: [tcp/80, tcp/443], name: {ja: 外部ウェブ", "ports: [tcp/80, tcp/443, tcp/8000-8010, icmp/echo], name: {ja: 外部ウェブ", record, `windows:
  - {id: nights, days: [sat, sun], from: "22:00", to: "06:00"}
communications:
  - {id: backup-night, from: {segments: [in-office]}, to: {prefixes: [203.0.113.128/25]}, ports: [udp/53], purpose: x, owner: x, window: nights, until: "2027-03-31 17:15"}
`)},
		{"another rate of a class and a second administrator, which packets do not show", edited(t, "version: 1\n", "version: 1\nfour-eyes: true\n", "line: line1, guarantee: 15Mbit", "line: line1, guarantee: 10Mbit")},
		{"layout and comments", edited(t, "communications:\n", "# 見直し中\ncommunications:\n")},
		{"a name moved into a group changes nothing", edited(t, "from: {stations: [mn-pc1]}\n    to: {services: [eltax]}", "from: {groups: [tax-desks]}\n    to: {services: [eltax]}")},
	}
	var got strings.Builder
	for _, c := range cases {
		for _, lang := range []string{"ja", "en"} {
			got.WriteString("== " + c.name + " (" + lang + ")\n")
			if err := difference.Of(parse(t, lab), c.cfg).Print(&got, lang); err != nil {
				t.Fatal(err)
			}
		}
	}
	const golden = "testdata/texts.golden"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != got.String() {
		t.Errorf("texts differ from %s (%v); got:\n%s", golden, err, got.String())
	}
}

// Every section of the document can change, and no change of one is silent, whether packets show it or not.
func TestNoSectionIsSilent(t *testing.T) {
	older, newer := reflect.ValueOf(parse(t, lab)).Elem(), reflect.ValueOf(parse(t, lab)).Elem()
	sections := 0
	for i := range older.NumField() {
		f := older.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		sections++
		was := reflect.New(f.Type).Elem() // another value than the lab's
		was.Set(newer.Field(i))
		switch v := newer.Field(i); {
		case v.Kind() == reflect.Slice && v.Len() > 0:
			v.Set(v.Slice(0, v.Len()-1))
		case v.Kind() == reflect.Slice:
			v.Set(reflect.MakeSlice(f.Type, 1, 1))
		case v.Kind() == reflect.Bool:
			v.SetBool(!v.Bool())
		case v.CanInt():
			v.SetInt(v.Int() + 1)
		case v.CanUint():
			v.SetUint(v.Uint() + 1)
		case v.Kind() == reflect.String:
			v.SetString(v.String() + "x")
		case f.Type == reflect.TypeFor[config.Text]():
			v.Set(reflect.ValueOf(config.Text{JA: "別の町"}))
		default:
			t.Fatalf("no other value of %s", f.Name)
		}
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if got := difference.Sections(older.Addr().Interface().(*config.Config), newer.Addr().Interface().(*config.Config)); !slices.Equal(got, []string{name}) {
			t.Errorf("%s: got %q", name, got)
		}
		newer.Field(i).Set(was)
	}
	if sections < 15 {
		t.Errorf("only %d sections", sections)
	}
	if d := difference.Of(parse(t, lab), edited(t, "version: 1\n", "version: 1\nfour-eyes: true\n")); d.Empty() || !slices.Equal(d.Sections, []string{"four-eyes"}) {
		t.Errorf("four eyes: got %+v", d)
	}
}

// A change of one record is one part, and both texts exist for everything.
func TestOneRecordIsOnePart(t *testing.T) {
	d := difference.Of(parse(t, lab), edited(t, "communications:\n", `communications:
  - {id: new, from: {stations: [mn-pc2]}, to: {services: [eltax]}, ports: [], purpose: x, owner: x}
`))
	if len(d.Permitted.First) != 1 || len(d.Refused.First) != 0 || !slices.Equal(d.Permitted.First[0].Records, []string{"new"}) {
		t.Errorf("got %+v", d)
	}
	if b, err := json.Marshal(d); err != nil || !strings.Contains(string(b), `"ports":["tcp/443"]`) {
		t.Errorf("as JSON: %s, %v", b, err)
	}
}

func TestCatalogue(t *testing.T) {
	verb := regexp.MustCompile(`%\[\d\][sd]`)
	if len(difference.Texts.Codes()) == 0 {
		t.Fatal("the catalogue cannot be read")
	}
	for _, c := range difference.Texts.Codes() {
		ja, en := difference.Texts.Sentence(c, "ja"), difference.Texts.Sentence(c, "en")
		a, b := verb.FindAllString(ja, -1), verb.FindAllString(en, -1)
		slices.Sort(a)
		slices.Sort(b)
		if ja == "" || en == "" || !slices.Equal(a, b) {
			t.Errorf("%s: %q and %q", c, ja, en)
		}
	}
}

// Long lists are cut, and what is left out is counted.
func TestLongListsAreCut(t *testing.T) {
	var b strings.Builder
	b.WriteString("communications:\n")
	for i := range 60 {
		b.WriteString(strings.ReplaceAll("  - {id: rN, from: {stations: [mn-pc2]}, to: {services: [eltax]}, ports: [], purpose: x, owner: x, since: \"2027-04-01 00:NN\"}\n",
			"rN", "r"+string(rune('a'+i/10))+string(rune('0'+i%10))))
	}
	text := b.String()
	for i := range 60 { // each begins a minute later, on another port
		text = strings.Replace(text, "ports: [], purpose: x, owner: x, since: \"2027-04-01 00:NN\"", "ports: [tcp/"+string(rune('1'+i/10))+string(rune('0'+i%10))+"], purpose: x, owner: x", 1)
	}
	text = strings.ReplaceAll(text, "to: {services: [eltax]}", "to: {prefixes: [198.18.21.0/25]}")
	d := difference.Of(parse(t, lab), edited(t, "communications:\n", text))
	if len(d.Permitted.First) != difference.Most || d.Permitted.More != 10 || d.Permitted.Size != 10*127 || d.Records.More != 10 {
		t.Errorf("got %d parts, %d more with %g pairs, %d records more", len(d.Permitted.First), d.Permitted.More, d.Permitted.Size, d.Records.More)
	}
}

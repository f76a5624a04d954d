package markup

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// pieces writes the document again, with a sign where an empty element other than c ends; short elements in one step if short says so.
func pieces(in string, short bool) (out string, shorts int, err error) {
	x, err := New([]byte(in), nil)
	if err != nil {
		return "", 0, err
	}
	var b strings.Builder
	var t Token
	empty := false
	for {
		if s, ok := oneStep(x, short); ok {
			b.Write(s.Raw)
			shorts++
			continue
		}
		if err := x.Next(&t); err != nil {
			return "", shorts, err
		}
		switch t.Kind {
		case EOF:
			return b.String(), shorts, nil
		case Text:
			b.Write(t.Text)
		case Start:
			b.WriteString("<" + string(t.Name))
			for _, a := range t.Attrs {
				b.WriteString(" " + string(a.Name) + `="` + string(a.Value) + `"`)
			}
			if empty = t.Empty; empty {
				b.WriteString("/")
			}
			b.WriteString(">")
		case End:
			switch {
			case !empty:
				b.WriteString("</" + string(t.Name) + ">")
			case t.Local != "c":
				b.WriteString("|")
			}
			empty = false
		}
	}
}

func oneStep(x *Reader, short bool) (Short, bool) {
	if !short {
		return Short{}, false
	}
	return x.Short("c", "v", "rst")
}

// TestShortElementsReadAsOthers: in one step or piece by piece, the same is read and the same is refused.
func TestShortElementsReadAsOthers(t *testing.T) {
	parts := []string{"<c", "<c", "<c", ">", ">", "/>", "</c>", "</c>", "<v>", "<v>", "</v>", "</v>", "12", "字", "]]>", "]", "&amp;", "&x;", "&", ` r="A1"`, ` s="2"`, ` t="s"`,
		` t='s'`, ` t="a&lt;b"`, ` r="<"`, ` r="A1`, ` q="1"`, ` xmlns="u"`, " ", "\n", "<v/>", "<v ", "<f>", "</f>", "<!-- -->", "<cc", "</cc>", "</c >", "<", "="}
	whole := []string{"<c/>", `<c r="A1"/>`, `<c r="A1" s="1"></c>`, `<c r="A1" t="s"><v>7</v></c>`, `<c r="A1"><v></v></c>`, `<c r="A1" r="A2"/>`, `<c><v>1</v><v>2</v></c>`, `<c r="A1"><v>a&amp;b</v></c>`,
		`<c r="A1"><v>a]]>b</v></c>`, `<c r="A1"><v>a>b</v></c>`, `<c r="a>b"/>`, `<c r="A1" ><v>7</v></c>`, `<c r="A1"><v>7</v> </c>`, `<c:c r="A1"/>`, `<c r="a&b"/>`, `<c><v>&x;</v></c>`, `<c><v>a&b</v></c>`, `<d/>`, `<d/><c/>`, `<c r="1"s="2"/>`}
	dice := rand.New(rand.NewPCG(5, 6))
	inShort, refused := 0, 0
	for i := range 60_000 {
		var b strings.Builder
		for range 1 + dice.IntN(9) {
			if dice.IntN(4) == 0 {
				b.WriteString(whole[dice.IntN(len(whole))])
			} else {
				b.WriteString(parts[dice.IntN(len(parts))])
			}
		}
		if i < len(whole) {
			b.Reset()
			b.WriteString(whole[i])
		}
		in := "<row>" + b.String() + "</row>"
		want, _, wrong := pieces(in, false)
		got, n, err := pieces(in, true)
		if got != want || (err == nil) != (wrong == nil) {
			t.Fatalf("%s: in one step %q, %v; piece by piece %q, %v", in, got, err, want, wrong)
		}
		if inShort += n; err != nil {
			refused++
		}
	}
	if inShort < 10_000 || refused < 10_000 || refused > 55_000 {
		t.Errorf("%d elements in one step, %d of 60,000 refused", inShort, refused)
	}
}

// TestNamesMeanWhatTheirScopeSays: the same name, written again inside and behind another declaration, and when a reader that looked
// ahead has stopped there.
func TestNamesMeanWhatTheirScopeSays(t *testing.T) {
	const in = `<a xmlns="1" xmlns:p="2"><b/><p:b/><c xmlns="3" xmlns:p="4"><b/><p:b/></c><b/><p:b/><b xmlns="5"/><b/></a>`
	want := []string{"one", "one", "two", "three", "three", "four", "one", "two", "five", "one"}
	for _, ahead := range []bool{false, true} {
		x, err := New([]byte(in), map[string]string{"1": "one", "2": "two", "3": "three", "4": "four", "5": "five"})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for tok := (Token{}); tok.Kind != EOF; {
			if err := x.Next(&tok); err != nil {
				t.Fatal(err)
			}
			if tok.Kind == Start {
				got = append(got, tok.NS)
			}
			if ahead && tok.Kind == Start && tok.Local == "a" {
				f, next := x.Fork(), Token{}
				for range 6 {
					if err := f.Next(&next); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("looking ahead %v: got %v, want %v", ahead, got, want)
		}
	}
}

// TestLookingAheadCostsLittle: from each of many elements, with many declarations in force.
func TestLookingAheadCostsLittle(t *testing.T) {
	var in strings.Builder
	for i := range 10 {
		in.WriteString("<a")
		for k := range 390 {
			fmt.Fprintf(&in, ` xmlns:p%d="u"`, i*390+k)
		}
		in.WriteString(">")
	}
	in.WriteString(strings.Repeat("<b/>", 20_000) + strings.Repeat("</a>", 10))
	x, err := New([]byte(in.String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for tok := (Token{}); tok.Kind != EOF; {
		if err := x.Next(&tok); err != nil {
			t.Fatal(err)
		}
		if tok.Kind == Start && tok.Local == "b" {
			if err := x.Fork().Skip(nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
		t.Errorf("took %d MiB of memory", took>>20)
	}
}

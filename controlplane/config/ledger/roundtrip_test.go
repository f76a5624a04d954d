package ledger

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
)

func parsed(t testing.TB, doc []byte) *config.Config {
	t.Helper()
	cfg, errs := config.Parse(doc)
	if errs != nil {
		t.Fatalf("%v\n%s", errs, doc)
	}
	return cfg
}

// imported reads a ledger and sets it into doc.
func imported(t testing.TB, doc []byte, name string, data []byte, o Options) ([]byte, *Report) {
	t.Helper()
	book, err := Read(name, data)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Guess(book, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	out, report, err := Import(doc, book, m, o)
	if err != nil {
		t.Fatal(err)
	}
	return out, report
}

func printed(r *Report, lang string) string {
	var b strings.Builder
	r.Print(&b, lang)
	return b.String()
}

var formats = map[string]Format{"l.xlsx": {}, "l.csv": {CSV: true}, "sjis.csv": {CSV: true, Encoding: ShiftJIS}}

// TestExportComesBack: an exported ledger changes nothing in the document that it came from.
func TestExportComesBack(t *testing.T) {
	read := func(name string) []byte {
		b, err := os.ReadFile("../examples/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for example, doc := range map[string][]byte{"lab": examples.Lab, "town": read("town.yaml"), "city": read("city.yaml"), "lines": examples.Lines} {
		if example == "city" && testing.Short() {
			continue
		}
		for name, f := range formats {
			t.Run(example+" "+name, func(t *testing.T) {
				var b bytes.Buffer
				cfg := parsed(t, doc)
				if err := Export(&b, cfg, f); err != nil {
					t.Fatal(err)
				}
				out, r := imported(t, doc, name, b.Bytes(), Options{})
				if out == nil || r.Totals[Unchanged] < len(cfg.Communications) || r.Totals[Changed]+r.Totals[Added]+r.Totals[Refused] > 0 || len(r.New) > 0 {
					text := printed(r, "en")
					t.Fatalf("got\n%s", text[:min(len(text), 6000)])
				}
				if !bytes.Equal(out, doc) {
					t.Error("the text of the document is not what it was")
				}
			})
		}
	}
}

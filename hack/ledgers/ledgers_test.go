package ledgers

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/config/ledger"
)

// TestTheLedgerIsTaken: as workbook and as Shift_JIS text, every row becomes a record of the lab's document that is proven (the
// import proves it); both files mean the same, and a second time nothing changes.
func TestTheLedgerIsTaken(t *testing.T) {
	cfg, errs := config.Parse(examples.Lab)
	if errs != nil {
		t.Fatal(errs)
	}
	var docs [][]byte
	for _, ext := range []string{".xlsx", ".csv"} {
		path := filepath.Join(t.TempDir(), "台帳"+ext)
		if err := Write(path, cfg, 200); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		take := func(doc []byte) ([]byte, *ledger.Report) {
			book, err := ledger.Read(path, data)
			if err != nil {
				t.Fatal(err)
			}
			m, err := ledger.Guess(book, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			out, r, err := ledger.Import(doc, book, m, ledger.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if out == nil {
				var b strings.Builder
				r.Print(&b, "ja")
				t.Fatalf("%s is refused:\n%s", ext, b.String()[:min(b.Len(), 8000)])
			}
			return out, r
		}
		out, r := take(examples.Lab)
		if r.Totals[ledger.Added] != 200 {
			t.Errorf("%s: %v, want 200 rows added", ext, r.Totals)
		}
		again, r := take(out)
		if !bytes.Equal(again, out) || r.Totals[ledger.Unchanged] != 200 {
			t.Errorf("%s: a second time %v, want 200 rows unchanged", ext, r.Totals)
		}
		docs = append(docs, out)
	}
	if !bytes.Equal(docs[0], docs[1]) {
		t.Error("workbook and text do not mean the same")
	}
}

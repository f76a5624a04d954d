package ledger

import (
	"bytes"
	"hash/crc32"
	"io"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
)

// spent is the CPU time of this process: other work on the machine does not count.
func spent(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bounded runs f within bounds of time and of memory taken.
func bounded(t *testing.T, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := spent(t)
	f()
	took := spent(t) - start
	runtime.ReadMemStats(&after)
	if took > 10*time.Second {
		t.Fatalf("took %v", took)
	}
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 2<<30 {
		t.Fatalf("took %d MB", taken>>20)
	}
}

// taken does what an import does with a file: no panic, an end, and every row below the heading gets a fate. Compiling and
// proving takes most of the time of an import and is fuzzed elsewhere: it is done for some files only.
func taken(t *testing.T, name string, data []byte) {
	book, err := Read(name, bytes.Clone(data))
	if err != nil {
		if _, ok := err.(*Fault); !ok {
			t.Fatalf("the error %v is no *Fault", err)
		}
		return
	}
	m, err := Guess(book, "", nil)
	if err != nil {
		return
	}
	if _, faults := ParseMap([]byte(m.String())); faults != nil {
		t.Fatalf("the mapping that was guessed is not read: %s\n%s", faults[0].Say("en"), m)
	}
	if crc32.ChecksumIEEE(data)%16 != 0 {
		im := &importer{cfg: lab(), brought: map[ref]*entry{}}
		im.dir = newDirectory(im.cfg)
		records, said := table(book.sheet(m.Sheet), m)
		rows := 0
		for _, r := range records {
			rows += len(r.list)
			if _, ok := im.decode(r); !ok {
				im.undo(r)
			}
		}
		for _, row := range said {
			if row.Fate == Skipped {
				rows++
			}
		}
		if rows != len(said) {
			t.Fatalf("%d rows of records or skipped, %d rows", rows, len(said))
		}
		return
	}
	out, r, err := Import(examples.Lab, book, m, Options{Partial: true})
	if err != nil {
		t.Fatal(err)
	}
	rows, total := 0, 0
	for _, row := range book.sheet(m.Sheet).Rows {
		if row.Number > m.Header[len(m.Header)-1] {
			rows++
		}
	}
	for _, n := range r.Totals {
		total += n
	}
	if rows != total || len(r.Rows) != rows {
		t.Fatalf("%d rows, %d fates", rows, total)
	}
	for _, row := range r.Rows {
		if row.Fate == Refused && len(row.Faults) == 0 || row.Fate == Skipped && len(row.Notes) == 0 {
			t.Fatalf("row %d is %s without a reason", row.Row, row.Fate)
		}
	}
	r.Print(io.Discard, "ja")
	if out == nil {
		return
	}
	if _, errs := config.Parse(out); errs != nil {
		t.Fatalf("the new document is at fault: %v", errs)
	}
}

// lab is the lab's configuration.
var lab = sync.OnceValue(func() *config.Config {
	cfg, _ := config.Parse(examples.Lab)
	return cfg
})

func FuzzCSV(f *testing.F) {
	f.Add([]byte(plainHead + "1,名,,lg-pc1,,,,eltax,,,,TCP/443,,目的,,総務課,,,,,\n〃,〃,,lg-pc2,,,,〃,,,,〃,,〃,,〃,,,,,\n"))
	f.Add(sjis(f, strings.ReplaceAll(plainHead, ",", "\t")+"1\t\"名\n前\"\t停止\tmn-pc1\r\n"))
	f.Add([]byte("\xff\xfea\x00,\x00"))
	f.Add([]byte("\xef\xbb\xbf\"a\"\"b\",'=c\r\r\n,,,"))
	f.Add([]byte("管理番号,送信元,,宛先,,\n,名称,IP,名称,IP,ポート\n1,x,198.18.20.11-99,y,198.18.21.0/24,TCP/1-9"))
	for i, x := range faultyRows {
		if i%3 == 0 {
			f.Add([]byte(plainHead + x.row + "\n"))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) { bounded(t, func() { taken(t, "l.csv", data) }) })
}

// FuzzWorkbook changes the bytes of a workbook, and FuzzSheet the XML of its sheet.
func FuzzWorkbook(f *testing.F) {
	f.Add(workbook(f, "一覧", townSheet, townMerges...))
	f.Add(zipped(f, map[string]string{"xl/workbook.xml": "<a/>", "xl/_rels/workbook.xml.rels": "<a/>"}))
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"))
	f.Fuzz(func(t *testing.T, data []byte) { bounded(t, func() { taken(t, "l.xlsx", data) }) })
}

func FuzzSheet(f *testing.F) {
	cell := func(ref, text string) string {
		return `<c r="` + ref + `" t="inlineStr"><is><t>` + text + `</t></is></c>`
	}
	head := `<sheetData><row r="1">` + cell("A1", "管理番号") + cell("B1", "送信元端末") + cell("C1", "宛先") + cell("D1", "ポート番号") + cell("E1", "目的") + cell("F1", "所管課") + `</row>`
	f.Add(head + `<row r="2" hidden="1">` + cell("A2", "1") + cell("B2", "lg-pc1") + cell("C2", "eltax") + `<c r="D2" s="99999"><f>1+</f><v>443</v></c></row></sheetData><mergeCells><mergeCell ref="A2:A9"/><mergeCell ref="E2:F3"/></mergeCells>`)
	f.Add(head + `<row><c><v>1</v></c><c t="e"><v>#REF!</v></c></row><row r="99999999999"/></sheetData>`)
	f.Add(head + `<row r="20000">` + cell("GR20000", "x") + `</row></sheetData><mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>`)
	f.Add(`<sheetData><row r="1"><c r="A1" t="s"><v>-1</v></c><c r="B1" t="s"><v>99</v></c><c r="C1" t="b"><v>1</v></c><c r="D1" t="d"><v>2026-04-01</v></c></row></sheetData>`)
	f.Fuzz(func(t *testing.T, sheet string) {
		if len(sheet) > 1<<20 {
			return
		}
		bounded(t, func() { taken(t, "l.xlsx", sheetOf(t, sheet)) })
	})
}

// FuzzCells: no text of a cell brings a decoder down, and what it reads means the same when it is written and read again.
func FuzzCells(f *testing.F) {
	for _, s := range []string{"令和8年4月1日 17時15分", "46113.5", "TCP/443、UDP/1024～2048", "HTTPS（443）", "既定（TCP/80）", "198.18.10.11～20・2001:db8::1/128", "02-53-4B-10-00-11", "月～金 8:30-17:15", "特-001", "u7279", "mn-pc1（課税 窓口1）、税務課窓口", "グループ:tax-desks"} {
		f.Add(s)
	}
	d := newDirectory(lab())
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > MaxCell {
			return
		}
		c := Cell{Text: s, Raw: s}
		bounded(t, func() {
			if m, ok, fault := epoch1900.moment(c); fault == nil && ok {
				if again, _, fault := epoch1900.moment(Cell{Raw: m.String()}); fault != nil || again != m {
					t.Fatalf("%q is %s, which is read as %s (%v)", s, m, again, fault)
				}
			}
			if specs, _, fault := portsOf(Cell{}, c); fault == nil {
				if again, _, fault := portsOf(Cell{}, typed(portList(specs))); fault != nil || portList(again) != portList(specs) {
					t.Fatalf("%q is %s, which is read as %s (%v)", s, portList(specs), portList(again), fault)
				}
			}
			_, _, _ = portsOf(c, c)
			_, _ = addressesOf(c)
			_, _ = macsOf(c)
			_, _ = prefixesOf(c)
			_, _ = windowText(s)
			_ = d.split(s, toSide.kinds, 0)
			if id := identifier(s); idForm.MatchString(id) && identifier(number(id)) != id {
				t.Fatalf("%q is %s, which is written %s and read as %s", s, id, number(id), identifier(number(id)))
			}
			if unescape(escape(s)) != s {
				t.Fatalf("%q is written %q and read %q", s, escape(s), unescape(escape(s)))
			}
		})
	})
}

func FuzzMap(f *testing.F) {
	f.Add([]byte("sheet: x\nheader: [4, 5]\ncolumns: {A: id, 通信名称: name}\ndefaults: {owner: 課}\n"))
	f.Add([]byte(`{"columns": {"A": "id", "B": ["from"]}, "header": -1}`))
	f.Add([]byte("columns: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		bounded(t, func() {
			m, faults := ParseMap(doc)
			if m == nil && len(faults) == 0 {
				t.Fatal("neither a mapping nor a fault")
			}
			for _, n := range faults {
				_ = n.Say("ja")
			}
		})
	})
}

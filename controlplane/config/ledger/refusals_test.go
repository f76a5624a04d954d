package ledger

import (
	"bytes"
	"cmp"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
)

// plainHead is the heading of a ledger in one row.
const plainHead = "管理番号,通信名称,状態,送信元,送信元セグメント,送信元IP,送信元MAC,宛先,宛先IP,宛先MAC,プロトコル,ポート,帯域クラス,目的,根拠,所管課,承認者,承認日,開始日,終了日,時間帯\n"

// faultyRows are rows that must be refused: what is wrong with the row, the cell and the code that say so, and the row.
var faultyRows = []struct{ name, cell, code, row string }{
	{"no number", "A2", "id.missing", ",名,,mn-pc1,,,,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"a number that is no id", "A2", "id.form", "-1-,名,,mn-pc1,,,,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"no source", "D2", "side.empty", "1,名,,,,,,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"no destination", "H2", "side.empty", "1,名,,mn-pc1,,,,,,,,TCP/443,,目的,,税務課,,,,,"},
	{"an unknown station", "D2", "name.unknown", "1,名,,mn-pc9,,,,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"an unknown service", "H2", "name.unknown", "1,名,,mn-pc1,,,,住基ネット,,,,TCP/443,,目的,,税務課,,,,,"},
	{"an address that is none", "F2", "address.form", "1,名,,,,198.18.10.300,,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"host bits in a network", "I2", "address.bits", "1,名,,lg-pc1,,,,,198.18.21.9/24,,,TCP/443,,目的,,税務課,,,,,"},
	{"an address of nobody's segment", "F2", "address.nowhere", "1,名,,,,10.0.0.1,02:53:4b:10:00:99,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"a network as source", "F2", "prefix.from", "1,名,,,,198.18.10.0/28,,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"an address of another station", "F2", "address.other", "1,名,,mn-pc1,,198.18.10.12,,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"stations of which one has no address listed", "F2", "address.missing", "1,名,,mn-pc1、mn-pc2,,198.18.10.12,,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"another MAC than the document's", "G2", "mac.differs", "1,名,,,,198.18.10.11,02:53:4b:10:00:99,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"a MAC of another station", "G2", "mac.other", "1,名,,mn-pc1,,,02:53:4b:10:00:12,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"a MAC that is none", "G2", "mac.form", "1,名,,,,198.18.10.99,02:53:4b:10:00,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"a MAC that another station has", "F2", "check.document", "1,名,,,,198.18.10.99,02:53:4b:10:00:12,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"a new station without MAC in a strict segment", "G2", "mac.missing", "1,名,,,,198.18.10.99,,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"a MAC that the document does not register", "J2", "mac.unregistered", "1,名,,mn-pc1,,,,,198.18.21.11,02:00:00:00:00:01,,TCP/443,,目的,,税務課,,,,,"},
	{"three addresses and two MACs", "F2", "address.pairs", "1,名,,,,198.18.20.51・198.18.20.52・198.18.20.53,02:53:4b:10:00:51・02:53:4b:10:00:52,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"a station outside of the segment", "E2", "segment.other", "1,名,,mn-pc1,lg-office,,,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"an unknown segment alone", "E2", "name.unknown", "1,名,,,会計課,,,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"ports that the service does not offer", "L2", "service.ports", "1,名,,mn-pc1,,,,eltax,,,,TCP/8443,,目的,,税務課,,,,,"},
	{"no ports towards a station", "L2", "port.missing", "1,名,,in-pc1,,,,lg-pc1,,,,,,目的,,税務課,,,,,"},
	{"all ports", "L2", "port.all", "1,名,,mn-pc1,,,,eltax,,,TCP,すべて,,目的,,税務課,,,,,"},
	{"ports without protocol", "L2", "port.noprotocol", "1,名,,mn-pc1,,,,eltax,,,,443,,目的,,税務課,,,,,"},
	{"other ports than the services' own", "L2", "port.own", "1,名,,mn-pc1,,,,eltax,,,,既定（TCP/80）,,目的,,税務課,,,,,"},
	{"an unknown class", "M2", "class.unknown", "1,名,,mn-pc1,,,,eltax,,,,TCP/443,最優先,目的,,税務課,,,,,"},
	{"no purpose", "N2", "field.missing", "1,名,,mn-pc1,,,,eltax,,,,TCP/443,,,,税務課,,,,,"},
	{"no owner", "P2", "field.missing", "1,名,,mn-pc1,,,,eltax,,,,TCP/443,,目的,,,,,,,"},
	{"an approver without date", "R2", "approved.half", "1,名,,mn-pc1,,,,eltax,,,,TCP/443,,目的,,税務課,課長,,,,"},
	{"a day that never was", "T2", "date.era", "1,名,,mn-pc1,,,,eltax,,,,TCP/443,,目的,,税務課,,,,平成32年3月31日,"},
	{"an end before the beginning", "T2", "check.document", "1,名,,mn-pc1,,,,eltax,,,,TCP/443,,目的,,税務課,,,2026/4/1,2026/3/31,"},
	{"a state that is none", "C2", "state.form", "1,名,検討中,mn-pc1,,,,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"a window that is none", "U2", "window.form", "1,名,,mn-pc1,,,,eltax,,,,TCP/443,,目的,,税務課,,,,,17:15～8:30"},
	{"a ditto sign in the first row", "P2", "ditto.top", "1,名,,mn-pc1,,,,eltax,,,,TCP/443,,目的,,〃,,,,,"},
	{"a text beyond measure", "N2", "text.long", "1,名,,mn-pc1,,,,eltax,,,,TCP/443,," + strings.Repeat("長", 400) + ",,税務課,,,,,"},
	{"a control character", "N2", "text.control", "1,名,,mn-pc1,,,,eltax,,,,TCP/443,,目\u202e的,,税務課,,,,,"},
	{"the same host on both sides", "H2", "check.document", "1,名,,mn-pc1,,,,mn-pc1,,,,TCP/443,,目的,,税務課,,,,,"},
	{"My Number to the internet", "H2", "check.proof", "1,名,,mn-pc1,,,,web,,,,TCP/443,,目的,,税務課,,,,,"},
	{"a whole segment from My Number to LGWAN", "H2", "check.proof", "1,名,,,mn-office,,,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
	{"a failed formula", "F2", "cell.failed", "1,名,,mn-pc1,,#REF!,,eltax,,,,TCP/443,,目的,,税務課,,,,,"},
}

// TestRefusedRows: each is refused with its cell and a remedy, nothing is written, and with Partial the document stays as it is.
func TestRefusedRows(t *testing.T) {
	for _, x := range faultyRows {
		t.Run(x.name, func(t *testing.T) {
			data := []byte(plainHead + x.row + "\n")
			out, r := imported(t, examples.Lab, "台帳.csv", data, Options{})
			if out != nil || r.Totals[Refused] != 1 || r.Written {
				t.Fatalf("not refused\n%s", printed(r, "en"))
			}
			found := false
			for _, f := range r.Rows[0].Faults {
				found = found || f.Code == x.code && f.Cell == "台帳!"+x.cell
			}
			if !found {
				t.Errorf("want %s at %s, got\n%s", x.code, x.cell, printed(r, "en"))
			}
			out, _ = imported(t, examples.Lab, "台帳.csv", data, Options{Partial: true})
			if !bytes.Equal(out, examples.Lab) {
				t.Error("the document is not what it was")
			}
		})
	}
}

// TestAllFaultsAtOnce: the good row is taken with Partial only, and every fault of every other row is told in one run.
func TestAllFaultsAtOnce(t *testing.T) {
	var b strings.Builder
	b.WriteString(plainHead)
	for i, x := range faultyRows {
		if x.code != "ditto.top" && x.code != "id.missing" { // the one needs the first row, the other could go on with the row above
			b.WriteString(strings.Replace(x.row, "1,", "n"+string(rune('a'+i/26))+string(rune('a'+i%26))+",", 1) + "\n")
		}
	}
	b.WriteString("good,名,,lg-pc1,,,,eltax,,,,,,目的,,総務課,,,,,\n")
	out, r := imported(t, examples.Lab, "台帳.csv", []byte(b.String()), Options{})
	if out != nil || r.Totals[Added] != 1 || r.Totals[Refused] != len(faultyRows)-2 {
		t.Errorf("got %v\n%s", r.Totals, printed(r, "en"))
	}
	golden(t, "faults.ja.txt", printed(r, "ja"))
	golden(t, "faults.en.txt", printed(r, "en"))
	out, _ = imported(t, examples.Lab, "台帳.csv", []byte(b.String()), Options{Partial: true})
	before, after := parsed(t, examples.Lab), parsed(t, out)
	if len(after.Communications) != len(before.Communications)+1 || len(after.Stations) != len(before.Stations) || len(after.Services) != len(before.Services) {
		t.Errorf("want the good row alone, got %s", out)
	}
}

// TestNothingIsWidened: rows of one number permit what they say and no other pair.
func TestNothingIsWidened(t *testing.T) {
	data := plainHead + "1,名,,lg-pc1,,,,eltax,,,,TCP/443,,目的,,総務課,,,,,\n,,,lg-pc2,,,,web,,,,TCP/80,,,,,,,,,\n"
	out, r := imported(t, examples.Lab, "l.csv", []byte(data), Options{})
	if out == nil {
		t.Fatal(printed(r, "en"))
	}
	cfg := parsed(t, out)
	var got []string
	for _, c := range cfg.Communications[len(cfg.Communications)-2:] {
		got = append(got, c.ID+" "+strings.Join(c.From.Stations, " ")+" > "+strings.Join(c.To.Services, " ")+" "+portList(c.Ports))
	}
	if want := "1 lg-pc1 > eltax tcp/443|1.2 lg-pc2 > web tcp/80"; strings.Join(got, "|") != want {
		t.Errorf("got %s, want %s", strings.Join(got, "|"), want)
	}
	for _, twin := range []string{"A/1", "A 1", "A-1", "A・1"} {
		rows := "A_1,名,,lg-pc1,,,,eltax,,,,TCP/443,,目的,,総務課,,,,,\n" + twin + ",,,lg-pc2,,,,eltax,,,,TCP/443,,,,,,,,,\n"
		out, r := imported(t, examples.Lab, "l.csv", []byte(plainHead+rows), Options{})
		if out != nil || r.Totals[Refused] != 2 || len(r.Rows[1].Faults) != 1 || r.Rows[1].Faults[0].Code != "id.twins" {
			t.Errorf("A_1 and %s fell together\n%s", twin, printed(r, "en"))
		}
	}
	for name, rows := range map[string]string{
		"other widths": "Ａ-１,名,,lg-pc1,,,,eltax,,,,TCP/443,,目的,,総務課,,,,,\na-1,,,lg-pc2,,,,eltax,,,,TCP/443,,,,,,,,,\n",
		"a product":    "1,名,,lg-pc1,,,,eltax,,,,TCP/443,,目的,,総務課,,,,,\n,,,lg-pc2,,,,,,,,,,,,,,,,,\n",
		"one cell":     "1,名,,\"lg-pc1\nlg-pc2\",,,,eltax,,,,TCP/443,,目的,,総務課,,,,,\n",
		"more rows":    "1,名,,lg-pc1,,,,eltax,,,,TCP/443,,目的,,総務課,,,,,\n1,,,lg-pc2,,,,eltax,,,,443/tcp,,,,,,,,,\n",
		"ditto signs":  "1,名,,lg-pc1,,,,eltax,,,,TCP/443,,目的,,総務課,,,,,\n〃,〃,,lg-pc2,,,,〃,,,,〃,,〃,,〃,,,,,\n",
	} {
		out, r := imported(t, examples.Lab, "l.csv", []byte(plainHead+rows), Options{})
		if out == nil {
			t.Fatal(printed(r, "en"))
		}
		cfg := parsed(t, out)
		c := cfg.Communications[len(cfg.Communications)-1]
		if want := map[string]string{"other widths": "a-1"}[name]; c.ID != cmp.Or(want, "1") || strings.Join(c.From.Stations, " ") != "lg-pc1 lg-pc2" {
			t.Errorf("%s: got %+v", name, c)
		}
	}
	_, r = imported(t, examples.Lab, "l.csv", []byte(plainHead+"1,名,,lg-pc1,,,,eltax,,,,TCP/443,,目的,,総務課,,,,,\n,別の名,,lg-pc2,,,,eltax,,,,TCP/443,,別の目的,,総務課,,,,,\n"), Options{})
	if r.Totals[Refused] != 1 || r.Rows[1].Faults[0].Code != "id.missing" {
		t.Errorf("a new row without number was taken for the one above\n%s", printed(r, "en"))
	}
}

// TestTheDocumentMustBeValid: a ledger is not set into a document that is at fault itself.
func TestTheDocumentMustBeValid(t *testing.T) {
	book, err := Read("l.csv", []byte(plainHead+"1,名,,lg-pc1,,,,eltax,,,,TCP/443,,目的,,総務課,,,,,\n"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Guess(book, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Import(bytes.Replace(examples.Lab, []byte("zone: lgwan"), []byte("zone: lgwam"), 1), book, m, Options{}); err == nil {
		t.Error("no error")
	}
	// A document whose zones are joined by a record of its own: told as the document's fault, not as a row's.
	joined := bytes.Replace(examples.Lab, []byte("to: {services: [eltax]}"), []byte("to: {services: [web]}"), 1)
	if _, errs := config.Parse(joined); errs != nil {
		t.Fatal(errs)
	}
	out, r, err := Import(joined, book, m, Options{Partial: true})
	if err != nil || out != nil || len(r.Faults) == 0 || r.Totals[Refused] != 0 {
		t.Errorf("got %v\n%s", err, printed(r, "en"))
	}
}

package ledger

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
)

// Words that a text of the document may begin with or be: formula signs, ditto signs, YAML's own words, kanji of Shift_JIS.
var drawnTexts = []string{"住民異動、証明書の発行", "=1+2", "+81-3", "-", "@cmd", "'〃", "〃", "同上", "true", "null", "12", "1e3", "2026-04-01", "a: b", "a #b", "[x]", `"引用"`, "税務課（収納）", "x\\y", "高橋・髙橋", "A,B;C", "'=x", "なし", "＝全角", "#N", "以上", "既定", "~", "名、称", "_x0041_", "有効", "0", "https://example.jp/?a=b&c"}
var drawnNames = []string{"", "", "住民記録 基幹", "同上", "a/b", "名・称", "x（y）", "税務課"}

// drawn is a small document whose communications use every field.
func drawn(t *rapid.T) []byte {
	var b strings.Builder
	b.WriteString(strings.SplitN(string(examples.Lab), "\ngroups:", 2)[0])
	b.WriteString(`
  - {id: mail, segment: lg-asp-net, addresses: [198.18.21.31], ports: [tcp/25], name: {ja: メール}}
  - {id: mail-web, segment: lg-asp-net, addresses: [198.18.21.31], ports: [tcp/443], name: {ja: メール}}
  - {id: both, segment: lg-asp-net, addresses: [198.18.21.32], ports: [tcp/1000-2000, udp/53, icmp/echo], name: {ja: "a/b"}}
groups:
  - {id: tax-desks, stations: [mn-pc1], name: {ja: 税務課窓口, en: Tax desks}}
  - {id: both, stations: [lg-pc1, lg-pc2], name: {ja: 同上}}
  - {id: asps, services: [eltax, mail], name: {ja: LGWAN}}
  - {id: mn-pc1, stations: [mn-pc1, mn-pc2]}
windows:
  - {id: office, name: {ja: 開庁時間}, days: [mon, tue, wed, thu, fri], from: "08:30", to: "17:15"}
  - {id: nights, days: [sat, sun], from: "22:00", to: "05:00"}
communications:
`)
	pick := func(label string, list ...string) string { return rapid.SampledFrom(list).Draw(t, label) }
	some := func(label string, list ...string) string {
		n := rapid.IntRange(1, len(list)).Draw(t, label)
		return "[" + strings.Join(rapid.Permutation(list).Draw(t, label)[:n], ", ") + "]"
	}
	text := func(label string) string {
		s := pick(label, drawnTexts...)
		if rapid.IntRange(0, 4).Draw(t, label) == 0 {
			s = rapid.StringMatching(`[ -~ぁ-んァ-ヶ亜-煕０-９Ａ-Ｚ]{1,12}`).Draw(t, label)
		}
		if strings.TrimSpace(s) == "" {
			s = "目的"
		}
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
	for i := range rapid.IntRange(1, 6).Draw(t, "records") {
		id := pick("id", "r%d", "12%d", "r-%d.x", "u7279-%d", "u4f8b%d", "1e%d")
		fmt.Fprintf(&b, "  - id: \"%s\"\n", fmt.Sprintf(id, i))
		if n := pick("name", drawnNames...); n != "" {
			en := pick("en", "", ", en: \"=Name\"", ", en: Tax desks")
			fmt.Fprintf(&b, "    name: {ja: \"%s\"%s}\n", n, en)
		}
		if s := pick("state", "", "", "active", "draft", "suspended", "expired"); s != "" {
			fmt.Fprintf(&b, "    state: %s\n", s)
		}
		ports := false
		switch rapid.IntRange(0, 3).Draw(t, "where") {
		case 0: // My Number: one station, one service
			fmt.Fprintf(&b, "    from: {stations: [%s]}\n    to: {services: [%s]}\n", pick("from", "mn-pc1", "mn-pc2"), pick("to", "eltax", "mail", "mail-web"))
		case 1:
			fmt.Fprintf(&b, "    from: {%s}\n    to: {services: %s}\n", pick("from", "stations: [mn-pc2, mn-pc1]", "groups: [mn-pc1]", "segments: [mn-office]"), some("to", "resident", "resident-standby"))
		case 2:
			fmt.Fprintf(&b, "    from: {%s}\n", pick("from", "stations: [lg-pc2, lg-pc1]", "stations: [lg-pc1]", "groups: [both]", "segments: [lg-office]"))
			switch rapid.IntRange(0, 2).Draw(t, "to") {
			case 0:
				fmt.Fprintf(&b, "    to: {services: %s}\n", some("services", "eltax", "mail", "mail-web", "both"))
			case 1:
				fmt.Fprintf(&b, "    to: {groups: [asps]}\n")
			default:
				fmt.Fprintf(&b, "    to: {prefixes: %s}\n", some("prefixes", "198.18.21.64/26", "198.18.21.31/32", "\"2001:db8:21::40/124\""))
				ports = true
			}
		default:
			fmt.Fprintf(&b, "    from: {segments: [in-net]}\n    to: {%s}\n", pick("to", "stations: [in-pc1]"))
			ports = true
		}
		if ports {
			fmt.Fprintf(&b, "    ports: %s\n", some("ports", "tcp/443", "tcp/1000-2000", "udp/53", "udp/5000-5010", "icmp/echo", "sctp/3868", "esp", "gre", "ah"))
		} else if rapid.Bool().Draw(t, "empty") {
			b.WriteString("    ports: []\n")
		}
		if rapid.Bool().Draw(t, "class") {
			fmt.Fprintf(&b, "    class: %s\n", pick("class", "core", "general", "backup"))
		}
		fmt.Fprintf(&b, "    purpose: %s\n    owner: %s\n", text("purpose"), text("owner"))
		if rapid.Bool().Draw(t, "basis") {
			fmt.Fprintf(&b, "    basis: %s\n", text("basis"))
		}
		if rapid.Bool().Draw(t, "approved") {
			fmt.Fprintf(&b, "    approved: {by: %s, on: %s}\n", text("by"), pick("on", "2026-03-25", "\"2026-03-25 09:00\""))
		}
		if rapid.Bool().Draw(t, "times") {
			fmt.Fprintf(&b, "    since: %s\n    until: %s\n    review: %s\n", pick("since", "2026-04-01", "\"2026-04-01 00:00\""), pick("until", "2027-03-31", "\"2027-03-31 17:15\"", "\"2027-04-01 00:00\""), pick("review", "2027-01-31"))
		}
		if rapid.Bool().Draw(t, "window") {
			fmt.Fprintf(&b, "    window: %s\n", pick("window", "office", "nights"))
		}
	}
	b.WriteString("\nlines:" + strings.SplitN(string(examples.Lab), "\nlines:", 2)[1])
	return []byte(b.String())
}

// TestAnyDocumentComesBack: whatever the document, its exported ledger changes nothing in it; and set into the document without
// its communications, it makes records that mean the same.
func TestAnyDocumentComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := drawn(t)
		cfg, errs := config.Parse(doc)
		if errs != nil {
			t.Skip("not a valid document") // two ways in one, and the like
		}
		name := rapid.SampledFrom([]string{"l.xlsx", "l.csv", "sjis.csv"}).Draw(t, "format")
		var b bytes.Buffer
		if err := Export(&b, cfg, formats[name]); err != nil {
			t.Skip(err.Error()) // a character that Shift_JIS cannot hold
		}
		take := func(doc []byte) ([]byte, *Report) {
			book, err := Read(name, b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			m, err := Guess(book, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			out, r, err := Import(doc, book, m, Options{})
			if err != nil {
				t.Fatal(err)
			}
			return out, r
		}
		if out, r := take(doc); !bytes.Equal(out, doc) {
			t.Fatalf("the document is not what it was\n%s\n%s", printed(r, "en"), doc)
		}
		head, rest, _ := strings.Cut(string(doc), "communications:\n")
		_, tail, _ := strings.Cut(rest, "\nlines:")
		empty := []byte(head + "communications: []\n\nlines:" + tail)
		out, r := take(empty)
		if out == nil {
			t.Fatalf("refused\n%s\n%s", printed(r, "en"), doc)
		}
		next, errs := config.Parse(out)
		if errs != nil {
			t.Fatal(errs)
		}
		im := &importer{dir: newDirectory(cfg)}
		if len(next.Communications) != len(cfg.Communications) {
			t.Fatalf("%d records, want %d\n%s", len(next.Communications), len(cfg.Communications), out)
		}
		for i := range cfg.Communications {
			a, b := cfg.Communications[i], next.Communications[i]
			if !slices.Equal(im.openers(&a), im.openers(&b)) || !slices.Equal(im.opened(&a), im.opened(&b)) {
				t.Fatalf("record %s opens something else\n%+v\n%+v", a.ID, a, b)
			}
			a.From, a.To, a.Ports, b.From, b.To, b.Ports = config.From{}, config.To{}, nil, config.From{}, config.To{}, nil
			if a.Active() {
				a.State, b.State = "", b.State[:0]
			}
			for _, s := range []*string{&a.Purpose, &a.Basis, &a.Owner, &a.Approved.By, &a.Name.JA, &a.Name.EN} {
				*s = strings.TrimSpace(*s)
			}
			if x, y := fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b); x != y {
				t.Fatalf("got\n%s, want\n%s", y, x)
			}
		}
	})
}

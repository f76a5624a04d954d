package honest

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
)

const flatHead = `<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"` +
	` xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" xmlns:xlink="http://www.w3.org/1999/xlink"` +
	` xmlns:of="urn:oasis:names:tc:opendocument:xmlns:of:1.2" xmlns:presentation="urn:oasis:names:tc:opendocument:xmlns:presentation:1.0" xmlns:number="urn:oasis:names:tc:opendocument:xmlns:datastyle:1.0" office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.%s">`

const styles = `<office:automatic-styles><style:style style:name="B" style:family="text"><style:text-properties fo:font-weight="bold" fo:color="#a02020"/></style:style>` +
	`<style:style style:name="R" style:family="ruby"><style:ruby-properties style:ruby-align="center" style:ruby-position="above"/></style:style>` +
	`<style:style style:name="V" style:family="paragraph"><style:paragraph-properties style:writing-mode="tb-rl"/></style:style>` +
	`<style:style style:name="N" style:family="table-column"><style:table-column-properties style:column-width="0.5cm"/></style:style>` +
	`<style:style style:name="G" style:family="graphic"><style:graphic-properties style:wrap="none"/></style:style>` +
	`<style:page-layout style:name="P"><style:page-layout-properties fo:page-width="21cm" fo:page-height="29.7cm" fo:margin="2cm"/></style:page-layout></office:automatic-styles>`

func escaped(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}

func frame(picture []byte, w, h float64) string {
	return fmt.Sprintf(`<draw:frame draw:style-name="G" text:anchor-type="as-char" svg:width="%.1fcm" svg:height="%.1fcm"><draw:image><office:binary-data>%s</office:binary-data></draw:image></draw:frame>`, w, h, base64.StdEncoding.EncodeToString(picture))
}

// shape of a document: how much of what.
type shape struct {
	name       string
	ja         bool
	paragraphs int
	rows       int
	photos     int // each about 300 kB
}

// letter is a text document: headings, paragraphs, ruby, vertical text, a table with joined cells, a footnote, a list, pictures.
func letter(s shape) []byte {
	d := dice(s.name)
	var b strings.Builder
	fmt.Fprintf(&b, flatHead, "text")
	b.WriteString(styles + `<office:body><office:text>`)
	fmt.Fprintf(&b, `<text:h text:outline-level="1">%s</text:h>`, escaped(title(s.name, s.ja)))
	for i := range s.paragraphs {
		p := escaped(paragraph(d, s.ja))
		switch i % 7 {
		case 1:
			fmt.Fprintf(&b, `<text:h text:outline-level="2">%s</text:h>`, escaped(sentence(d, s.ja)))
		case 2:
			p += `<text:span text:style-name="B">` + escaped(sentence(d, s.ja)) + `</text:span>`
		case 3:
			p += fmt.Sprintf(`<text:note text:id="n%d" text:note-class="footnote"><text:note-citation>%d</text:note-citation><text:note-body><text:p>%s</text:p></text:note-body></text:note>`, i, i, escaped(sentence(d, s.ja)))
		case 4:
			if s.ja {
				p += `<text:ruby text:style-name="R"><text:ruby-base>関所町</text:ruby-base><text:ruby-text>せきしょまち</text:ruby-text></text:ruby>` + gaiji
			}
		case 5:
			p += `<text:a xlink:type="simple" xlink:href="https://www.town.example/">www.town.example</text:a>`
		}
		style := ""
		if s.ja && i%11 == 6 {
			style = ` text:style-name="V"`
		}
		fmt.Fprintf(&b, `<text:p%s>%s</text:p>`, style, p)
	}
	if s.rows > 0 {
		b.WriteString(`<table:table table:name="T"><table:table-column table:number-columns-repeated="4"/>`)
		fmt.Fprintf(&b, `<table:table-row><table:table-cell table:number-columns-spanned="2"><text:p>%s</text:p></table:table-cell><table:covered-table-cell/><table:table-cell><text:p>%s</text:p></table:table-cell><table:table-cell><text:p>1</text:p></table:table-cell></table:table-row>`, escaped(sentence(d, s.ja)), escaped(sentence(d, s.ja)))
		for r := range s.rows {
			fmt.Fprintf(&b, `<table:table-row><table:table-cell><text:p>%d</text:p></table:table-cell><table:table-cell><text:p>%s</text:p></table:table-cell><table:table-cell><text:p>%d</text:p></table:table-cell><table:table-cell><text:p>%s</text:p></table:table-cell></table:table-row>`, r+1, escaped(word(d, s.ja)), d.IntN(1e6), escaped(word(d, s.ja)))
		}
		b.WriteString(`</table:table>`)
	}
	b.WriteString(`<text:list><text:list-item><text:p>` + escaped(sentence(d, s.ja)) + `</text:p></text:list-item><text:list-item><text:p>` + escaped(sentence(d, s.ja)) + `</text:p></text:list-item></text:list>`)
	for range s.photos {
		b.WriteString(`<text:p>` + frame(photo(d, 1100, 800), 12, 8.7) + `</text:p>`)
	}
	b.WriteString(`</office:text></office:body></office:document>`)
	return []byte(b.String())
}

func word(d *rand.Rand, ja bool) string {
	if ja {
		return words[d.IntN(len(words))]
	}
	return english[d.IntN(len(english))]
}

// grid is a spreadsheet: numbers, dates, formulas, text, narrow columns as forms on squared paper have them, joined cells.
func grid(s shape) []byte {
	d := dice(s.name)
	var b strings.Builder
	fmt.Fprintf(&b, flatHead, "spreadsheet")
	b.WriteString(styles + `<office:body><office:spreadsheet>`)
	name := "Sheet"
	if s.ja {
		name = "集計表"
	}
	fmt.Fprintf(&b, `<table:table table:name="%s"><table:table-column table:number-columns-repeated="8"/>`, name)
	for r := range s.rows {
		b.WriteString(`<table:table-row>`)
		fmt.Fprintf(&b, `<table:table-cell office:value-type="float" office:value="%d"><text:p>%d</text:p></table:table-cell>`, r+1, r+1)
		fmt.Fprintf(&b, `<table:table-cell office:value-type="string"><text:p>%s</text:p></table:table-cell>`, escaped(word(d, s.ja)))
		for range 3 {
			v := d.IntN(1e6)
			fmt.Fprintf(&b, `<table:table-cell office:value-type="float" office:value="%d"><text:p>%d</text:p></table:table-cell>`, v, v)
		}
		fmt.Fprintf(&b, `<table:table-cell table:formula="of:=SUM([.C%d:.E%d])" office:value-type="float" office:value="0"/>`, r+1, r+1)
		fmt.Fprintf(&b, `<table:table-cell office:value-type="date" office:date-value="2026-%02d-%02d"/>`, 1+d.IntN(12), 1+d.IntN(28))
		fmt.Fprintf(&b, `<table:table-cell office:value-type="string"><text:p>%s</text:p></table:table-cell></table:table-row>`, escaped(sentence(d, s.ja)))
	}
	b.WriteString(`</table:table><table:table table:name="F"><table:table-column table:style-name="N" table:number-columns-repeated="40"/>`)
	for r := range 20 { // a form on squared paper
		b.WriteString(`<table:table-row>`)
		for c := 0; c < 40; c += 5 {
			text := ""
			if (r+c)%3 == 0 {
				text = word(d, s.ja)
				if s.ja && r == 3 {
					text = gaiji
				}
			}
			fmt.Fprintf(&b, `<table:table-cell office:value-type="string" table:number-columns-spanned="5"><text:p>%s</text:p></table:table-cell><table:covered-table-cell table:number-columns-repeated="4"/>`, escaped(text))
		}
		b.WriteString(`</table:table-row>`)
	}
	b.WriteString(`</table:table></office:spreadsheet></office:body></office:document>`)
	return []byte(b.String())
}

// slides is a presentation: text boxes, shapes, a table of words, pictures.
func slides(s shape) []byte {
	d := dice(s.name)
	var b strings.Builder
	fmt.Fprintf(&b, flatHead, "presentation")
	b.WriteString(styles + `<office:master-styles><style:master-page style:name="M" style:page-layout-name="P"/></office:master-styles><office:body><office:presentation>`)
	for i := range s.paragraphs {
		fmt.Fprintf(&b, `<draw:page draw:name="p%d" draw:master-page-name="M"><draw:frame svg:x="1cm" svg:y="1cm" svg:width="17cm" svg:height="2cm"><draw:text-box><text:p>%s</text:p></draw:text-box></draw:frame>`, i+1, escaped(title(word(d, s.ja), s.ja)))
		fmt.Fprintf(&b, `<draw:frame svg:x="1cm" svg:y="4cm" svg:width="17cm" svg:height="6cm"><draw:text-box><text:list><text:list-item><text:p>%s</text:p></text:list-item><text:list-item><text:p>%s</text:p></text:list-item></text:list></draw:text-box></draw:frame>`, escaped(sentence(d, s.ja)), escaped(sentence(d, s.ja)))
		fmt.Fprintf(&b, `<draw:rect svg:x="2cm" svg:y="12cm" svg:width="5cm" svg:height="2cm"><text:p>%s</text:p></draw:rect><draw:ellipse svg:x="9cm" svg:y="12cm" svg:width="5cm" svg:height="2cm"/>`, escaped(word(d, s.ja)))
		if i < s.photos {
			b.WriteString(strings.Replace(frame(photo(d, 1100, 800), 12, 8.7), `text:anchor-type="as-char"`, `svg:x="2cm" svg:y="15cm"`, 1))
		}
		b.WriteString(`</draw:page>`)
	}
	b.WriteString(`</office:presentation></office:body></office:document>`)
	return []byte(b.String())
}

package charset

import (
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"
)

// EUCJP walks EUC-JP as Unix machines in Japan write it (eucJP-ms): JIS X 0208 with NEC's row 13, half-width katakana behind 8E, JIS X
// 0212 behind 8F, and the user-defined rows F5-FE of both, which are U+E000-E757 as in CP932.
var EUCJP = Set{"EUC-JP", nextEUC}

func nextEUC(b []byte) (rune, int) {
	if len(b) == 0 {
		return 0, 0
	}
	c := b[0]
	switch {
	case c < 0x80:
		return rune(c), 1
	case c == 0x8E:
		if len(b) < 2 || b[1] < 0xA1 || b[1] > 0xDF {
			return 0, 0
		}
		return rune(b[1]) + 0xFF61 - 0xA1, 2
	case c == 0x8F:
		if len(b) < 3 {
			return 0, 0
		}
		if r := eucRune(eucTables().jis0212, b[1], b[2], 0xE3AC); r != 0 {
			return r, 3
		}
		return 0, 0
	case c < 0xA1 || len(b) < 2:
		return 0, 0
	}
	if r := eucRune(eucTables().jis0208, c, b[1], 0xE000); r != 0 {
		return r, 2
	}
	return 0, 0
}

// eucRune looks a pair up, 0 when there is none. Rows F5-FE are user-defined, from the first on.
func eucRune(table *[94 * 94]uint16, lead, trail byte, first rune) rune {
	if lead < 0xA1 || lead == 0xFF || trail < 0xA1 || trail == 0xFF {
		return 0
	}
	row, cell := int(lead-0xA1), int(trail-0xA1)
	if row >= 84 {
		return first + rune((row-84)*94+cell)
	}
	return rune(table[row*94+cell])
}

// ibmRest are the IBM extensions that JIS X 0212 lacks; eucJP-ms has them at 8FF3F3-8FF4FE, in this order.
const ibmRest = "ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩ＇＂㈱№℡炻仼僴凬匇匤﨎咊坙﨏塚增寬峵嵓﨑德悅愠敎昻晥晴朗栁﨓﨔橫櫢淸淲瀨凞猪甁皂皞益礰礼神祥福竧靖精綠緖羽荢﨟薰蘒﨡蠇諸譿賴赶﨣﨤逸郞都鄕﨧﨨閒隆﨩霻靍靑飯飼館馞髙魲鶴黑"

type eucPair struct{ jis0208, jis0212 *[94 * 94]uint16 }

var eucTables = sync.OnceValue(func() eucPair {
	t := eucPair{new([94 * 94]uint16), new([94 * 94]uint16)}
	d := japanese.EUCJP.NewDecoder()
	fill := func(to *[94 * 94]uint16, before ...byte) {
		for row := range 84 {
			for cell := range 94 {
				s, err := d.Bytes(append(before, 0xA1+byte(row), 0xA1+byte(cell)))
				if r, n := utf8.DecodeRune(s); err == nil && r != utf8.RuneError && n == len(s) {
					to[row*94+cell] = uint16(r)
				}
			}
		}
	}
	fill(t.jis0208)
	fill(t.jis0212, 0x8F)
	at := 82*94 + 0xF3 - 0xA1
	for _, r := range ibmRest {
		t.jis0212[at] = uint16(r)
		at++
	}
	return t
})

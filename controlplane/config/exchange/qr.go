package exchange

import (
	"bytes"
	"fmt"
	"strings"

	"rsc.io/qr"
)

// quiet is the margin around a code, in its pixels (ISO/IEC 18004 asks for four).
const quiet = 4

// Code is a QR code.
type Code struct{ code *qr.Code }

// QR makes the code of a document; its comments are left out.
func (k Keys) QR() (Code, error) {
	var lines []string
	for l := range strings.Lines(string(k.Text())) {
		if !strings.HasPrefix(l, "#") {
			lines = append(lines, l)
		}
	}
	c, err := qr.Encode(strings.Join(lines, ""), qr.M)
	if err != nil {
		return Code{}, fmt.Errorf("QR code of %d public keys: %w; give them as a file", len(k.Keys), err)
	}
	return Code{c}, nil
}

// black tells a pixel, with the margin counted in.
func (c Code) black(x, y int) bool { return c.code.Black(x-quiet, y-quiet) }

func (c Code) size() int { return c.code.Size + 2*quiet }

// Terminal draws the code in half blocks, dark on light whatever the terminal's colours are.
func (c Code) Terminal() string {
	var b strings.Builder
	for y := 0; y < c.size(); y += 2 {
		b.WriteString("\x1b[30;107m")
		for x := range c.size() {
			switch top, low := c.black(x, y), c.black(x, y+1); {
			case top && low:
				b.WriteString("█")
			case top:
				b.WriteString("▀")
			case low:
				b.WriteString("▄")
			default:
				b.WriteString(" ")
			}
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String()
}

// PNG is the code as a picture, eight pixels wide for one of its own.
func (c Code) PNG() []byte { return c.code.PNG() }

// SVG is the code as a drawing that can be scaled.
func (c Code) SVG() []byte {
	var b bytes.Buffer
	n := c.size()
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path d="`, n, n, n, n)
	for y := range n {
		for x := 0; x < n; x++ {
			from := x
			for x < n && c.black(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&b, "M%d %dh%dv1H%dz", from, y, x-from, from)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.Bytes()
}

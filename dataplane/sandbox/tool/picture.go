package tool

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strconv"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool/pam"
)

// picture reads what a decoder wrote, Netpbm's formats or PNG, as one byte a sample.
func picture(b []byte) (pam.Frame, error) {
	switch {
	case bytes.HasPrefix(b, []byte("\x89PNG")):
		return fromPNG(b)
	case bytes.HasPrefix(b, []byte("P7")):
		return fromPAM(b)
	case len(b) > 2 && b[0] == 'P' && b[1] >= '4' && b[1] <= '6':
		return fromPNM(b)
	}
	return pam.Frame{}, fmt.Errorf("not a picture: %.8q", b)
}

// fromPAM takes samples of one or two bytes.
func fromPAM(b []byte) (pam.Frame, error) {
	head, pix, ok := bytes.Cut(b, []byte("ENDHDR\n"))
	if !ok {
		return pam.Frame{}, pam.ErrForm
	}
	v := map[string]int{}
	for line := range bytes.Lines(head) {
		if f := bytes.Fields(line); len(f) == 2 {
			if n, err := strconv.Atoi(string(f[1])); err == nil {
				v[string(f[0])] = n
			}
		}
	}
	return reduced(v["WIDTH"], v["HEIGHT"], v["DEPTH"], v["MAXVAL"], pix)
}

func fromPNM(b []byte) (pam.Frame, error) {
	n := map[byte]int{'4': 2, '5': 3, '6': 3}[b[1]]
	var v [3]int
	rest := b[2:]
	for i := range n {
		rest = bytes.TrimLeft(rest, " \t\r\n")
		for bytes.HasPrefix(rest, []byte("#")) {
			_, after, _ := bytes.Cut(rest, []byte("\n"))
			rest = bytes.TrimLeft(after, " \t\r\n")
		}
		end := bytes.IndexAny(rest, " \t\r\n")
		if end < 0 {
			return pam.Frame{}, pam.ErrForm
		}
		var err error
		if v[i], err = strconv.Atoi(string(rest[:end])); err != nil {
			return pam.Frame{}, pam.ErrForm
		}
		rest = rest[end:]
	}
	rest = rest[1:]
	switch b[1] {
	case '4':
		return fromBits(v[0], v[1], rest)
	case '5':
		return reduced(v[0], v[1], 1, v[2], rest)
	}
	return reduced(v[0], v[1], 3, v[2], rest)
}

// reduced brings samples from 0 to most down to a byte each.
func reduced(width, height, depth, most int, pix []byte) (pam.Frame, error) {
	if width < 1 || height < 1 || width > pam.MaxEdge || height > pam.MaxEdge || depth < 1 || depth > 4 || most < 1 || most > 65535 {
		return pam.Frame{}, pam.ErrForm
	}
	size, wide := int64(width)*int64(height)*int64(depth), int64(1)
	if most > 255 {
		wide = 2
	}
	if int64(len(pix)) != size*wide {
		return pam.Frame{}, fmt.Errorf("%d bytes of pixels for %d: %w", len(pix), size*wide, pam.ErrForm)
	}
	f := pam.Frame{Width: width, Height: height, Depth: depth, Pix: pix}
	if most == 255 {
		return f, nil
	}
	f.Pix = make([]byte, size)
	for i := range f.Pix {
		n := int(0)
		if wide == 2 {
			n = int(binary.BigEndian.Uint16(pix[2*i:]))
		} else {
			n = int(pix[i])
		}
		f.Pix[i] = byte((min(n, most)*255 + most/2) / most)
	}
	return f, nil
}

// fromBits: rows of bits, padded to bytes; 1 is black.
func fromBits(width, height int, b []byte) (pam.Frame, error) {
	row := (width + 7) / 8
	if width < 1 || height < 1 || width > pam.MaxEdge || height > pam.MaxEdge || int64(len(b)) != int64(row)*int64(height) {
		return pam.Frame{}, pam.ErrForm
	}
	if int64(width)*int64(height) > MaxAnswer {
		return pam.Frame{}, &failure{TooLarge, ""}
	}
	f := pam.Frame{Width: width, Height: height, Depth: 1, Pix: make([]byte, width*height)}
	for y := range height {
		for x := range width {
			if b[y*row+x/8]&(0x80>>(x%8)) == 0 {
				f.Pix[y*width+x] = 255
			}
		}
	}
	return f, nil
}

func fromPNG(b []byte) (pam.Frame, error) {
	c, err := png.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return pam.Frame{}, err
	}
	if int64(c.Width)*int64(c.Height)*4 > MaxAnswer {
		return pam.Frame{}, &failure{TooLarge, ""}
	}
	m, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		return pam.Frame{}, err
	}
	f := pam.Frame{Width: c.Width, Height: c.Height, Depth: 4, Pix: make([]byte, 0, c.Width*c.Height*4)}
	if n, ok := m.(*image.NRGBA); ok {
		for y := range c.Height {
			f.Pix = append(f.Pix, n.Pix[y*n.Stride:y*n.Stride+4*c.Width]...)
		}
		return f, nil
	}
	r := m.Bounds()
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			p := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
			f.Pix = append(f.Pix, p.R, p.G, p.B, p.A)
		}
	}
	return f, nil
}

package dct

import (
	"image/color"
	"math"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Preview shows the picture with no side over side pixels. Of large pictures only the lowest frequencies are transformed.
func (m *Image) Preview(side int) *verdict.Preview {
	longest := max(m.Width, m.Height)
	n := 8
	for n > 1 && longest*n/16 >= side {
		n /= 2
	}
	w, h := m.Width, m.Height
	if longest > side {
		w, h = max(1, w*side/longest), max(1, h*side/longest)
	}
	planes := make([][]byte, len(m.Comps))
	for i := range m.Comps {
		planes[i] = m.Comps[i].shrunk(n, w, h, ceil(m.Width*m.Comps[i].H*n, m.HMax*8), ceil(m.Height*m.Comps[i].V*n, m.VMax*8))
	}
	p := &verdict.Preview{Width: w, Height: h, RGBA: make([]byte, w*h*4)}
	for at := range w * h {
		r, g, b := m.rgb(planes, at)
		p.RGBA[4*at], p.RGBA[4*at+1], p.RGBA[4*at+2], p.RGBA[4*at+3] = r, g, b, 255
	}
	return p
}

func (m *Image) rgb(p [][]byte, at int) (r, g, b byte) {
	switch m.Color {
	case Gray:
		return p[0][at], p[0][at], p[0][at]
	case RGB:
		return p[0][at], p[1][at], p[2][at]
	case YCbCr:
		return color.YCbCrToRGB(p[0][at], p[1][at], p[2][at])
	case CMYK:
		return color.CMYKToRGB(p[0][at], p[1][at], p[2][at], p[3][at])
	case AdobeYCCK:
		r, g, b = color.YCbCrToRGB(p[0][at], p[1][at], p[2][at])
	default:
		r, g, b = p[0][at], p[1][at], p[2][at]
	}
	k := uint32(p[3][at]) // Adobe stores 255 minus the ink
	return byte(uint32(r) * k / 255), byte(uint32(g) * k / 255), byte(uint32(b) * k / 255)
}

// shrunk is the plane, pw x ph samples when each block has n x n, averaged to w x h.
func (c *Component) shrunk(n, w, h, pw, ph int) []byte {
	var cosines [8][8]float32 // of frequency and sample
	for u := range n {
		for x := range n {
			a := math.Sqrt2
			if u == 0 {
				a = 1
			}
			cosines[u][x] = float32(a * math.Cos(float64((2*x+1)*u)*math.Pi/float64(2*n)))
		}
	}
	stride := c.Wide * n
	plane := make([]byte, stride*c.High*n)
	for by := range c.High {
		for bx := range c.Wide {
			at := by*c.Stride + bx
			some := c.Some[at]
			var f, rows [8][8]float32
			for k, nat := range zigzag {
				if r, col := nat/8, nat%8; r < n && col < n && (k == 0 || some>>k&1 == 1) {
					f[r][col] = float32(c.Coef[at*64+k]) * float32(c.Quant[k])
				}
				if k > 0 && some>>k == 0 {
					break
				}
			}
			for v := range n {
				for x := range n {
					var s float32
					for u := range n {
						s += f[v][u] * cosines[u][x]
					}
					rows[v][x] = s
				}
			}
			for y := range n {
				for x := range n {
					var s float32
					for v := range n {
						s += rows[v][x] * cosines[v][y]
					}
					plane[(by*n+y)*stride+bx*n+x] = byte(min(255, max(0, s/8+128.5)))
				}
			}
		}
	}
	out := make([]byte, w*h)
	for y := range h {
		y0 := ph * y / h
		y1 := max(y0+1, ph*(y+1)/h)
		for x := range w {
			x0 := pw * x / w
			x1 := max(x0+1, pw*(x+1)/w)
			sum := 0
			for sy := y0; sy < y1; sy++ {
				for _, v := range plane[sy*stride+x0 : sy*stride+x1] {
					sum += int(v)
				}
			}
			out[y*w+x] = byte(sum / ((x1 - x0) * (y1 - y0)))
		}
	}
	return out
}

// Quality is the 1-100 of common encoders whose tables are about as fine, within 75 to 95.
func (m *Image) Quality() int {
	sum := 0
	for _, v := range m.Comps[0].Quant {
		sum += int(v)
	}
	// The luminance table of T.81, K.1 sums up to 3692; encoders scale it by 5000/q or 200-2q percent.
	percent := sum * 100 / 3692
	q := 100 - percent/2
	if percent > 100 {
		q = 5000 / percent
	}
	return min(95, max(75, q))
}

package dct

// A turn is made of a transposition and of mirrorings behind it.
type turn struct{ transpose, flipX, flipY bool }

// turns by orientation (Exif 2.32, tag 0x0112).
var turns = [9]turn{2: {flipX: true}, 3: {flipX: true, flipY: true}, 4: {flipY: true}, 5: {transpose: true}, 6: {transpose: true, flipX: true},
	7: {transpose: true, flipX: true, flipY: true}, 8: {transpose: true, flipY: true}}

// CanTurn tells whether a picture of the orientation can be turned upright without a loss: what is mirrored has to begin at an MCU,
// so the edge that comes to lie left or on top must end with one.
func (m *Image) CanTurn(orientation int) bool {
	t := turns[orientation]
	w, h, mw, mh := m.Width, m.Height, 8*m.HMax, 8*m.VMax
	if t.transpose {
		w, h, mw, mh = h, w, mh, mw
	}
	return (!t.flipX || w%mw == 0) && (!t.flipY || h%mh == 0)
}

// Turn turns the picture upright. CanTurn has to be true.
func (m *Image) Turn(orientation int) {
	t := turns[orientation]
	if t == (turn{}) {
		return
	}
	if t.transpose {
		m.Width, m.Height, m.HMax, m.VMax = m.Height, m.Width, m.VMax, m.HMax
		d := m.Density
		m.Density = [5]byte{d[0], d[3], d[4], d[1], d[2]}
	}
	for i := range m.Comps {
		m.Comps[i].turn(t, ceil(m.Width, 8*m.HMax), ceil(m.Height, 8*m.VMax))
	}
}

// zigzagOf inverts zigzag.
var zigzagOf = func() (inverse [64]int) {
	for k, n := range zigzag {
		inverse[n] = k
	}
	return inverse
}()

// turn makes the component lie in wide x high MCUs.
func (c *Component) turn(t turn, wide, high int) {
	var to [64]int // of a zigzag index
	var negative [64]bool
	for k, n := range zigzag {
		row, col := n/8, n%8
		if t.transpose {
			row, col = col, row
		}
		to[k] = zigzagOf[row*8+col]
		negative[k] = (t.flipX && col%2 == 1) != (t.flipY && row%2 == 1)
	}
	old := *c
	if t.transpose {
		c.H, c.V, c.Wide, c.High = c.V, c.H, c.High, c.Wide
		q := new([64]uint16)
		for k, v := range c.Quant {
			q[to[k]] = v
		}
		c.Quant = q
	}
	c.Stride = wide * c.H
	c.Coef, c.Some = make([]int16, c.Stride*high*c.V*64), make([]uint64, c.Stride*high*c.V)
	for y := range c.High {
		for x := range c.Wide {
			sx, sy := x, y
			if t.flipX {
				sx = c.Wide - 1 - x
			}
			if t.flipY {
				sy = c.High - 1 - y
			}
			if t.transpose {
				sx, sy = sy, sx
			}
			from, at := sy*old.Stride+sx, y*c.Stride+x
			in, out := (*[64]int16)(old.Coef[from*64:]), (*[64]int16)(c.Coef[at*64:])
			var some uint64
			for k, v := range in {
				if v == 0 || k > 0 && old.Some[from]>>k&1 == 0 {
					continue
				}
				if negative[k] {
					v = -v
				}
				out[to[k]] = v
				some |= 1 << to[k]
			}
			c.Some[at] = some
		}
	}
}

package dct

import (
	"bytes"
	"image/jpeg"
	"math/rand/v2"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sekisho/sekisho/dataplane/verify/picture"
)

var roomy = Limits{Size: func(int, int) error { return nil }, Bytes: 1 << 28, Scans: 100, Work: 1 << 30}

// random makes a picture of random coefficients; factors are H and V of each component.
func random(r *rand.Rand, w, h int, color Color, factors ...int) *Image {
	m := &Image{Width: w, Height: h, HMax: 1, VMax: 1, Color: color, Density: [5]byte{1, 0, 72, 0, 96}}
	names := "\x01\x02\x03\x04"
	if color == RGB {
		names = "RGB"
	}
	q := new([64]uint16)
	for k := range q {
		q[k] = uint16(1 + k)
	}
	for i := 0; i < len(factors); i += 2 {
		m.Comps = append(m.Comps, Component{ID: names[i/2], H: factors[i], V: factors[i+1], Quant: q})
		m.HMax, m.VMax = max(m.HMax, factors[i]), max(m.VMax, factors[i+1])
	}
	if err := m.coefficients(1 << 28); err != nil {
		panic(err)
	}
	for i := range m.Comps {
		c := &m.Comps[i]
		for y := range c.High {
			for x := range c.Wide {
				at := y*c.Stride + x
				for n := r.IntN(20); n > 0; n-- {
					k := r.IntN(64)
					if v := int16(r.IntN(2047) - 1023); v != 0 {
						c.Coef[at*64+k] = v
						c.Some[at] |= 1 << k
					}
				}
			}
		}
	}
	return m
}

// blank clears what only fills MCUs, so that pictures can be compared.
func blank(m *Image) *Image {
	for i := range m.Comps {
		c := &m.Comps[i]
		for at := range c.Some {
			if at%c.Stride >= c.Wide || at/c.Stride >= c.High {
				clear(c.Coef[at*64 : at*64+64])
				c.Some[at] = 0
			}
		}
	}
	return m
}

var kinds = []struct {
	name    string
	color   Color
	factors []int
}{
	{"gray", Gray, []int{1, 1}}, {"4:4:4", YCbCr, []int{1, 1, 1, 1, 1, 1}}, {"4:2:0", YCbCr, []int{2, 2, 1, 1, 1, 1}}, {"4:2:2", YCbCr, []int{2, 1, 1, 1, 1, 1}},
	{"4:4:0", YCbCr, []int{1, 2, 1, 1, 1, 1}}, {"4:1:1", YCbCr, []int{4, 1, 1, 1, 1, 1}}, {"RGB", RGB, []int{1, 1, 1, 1, 1, 1}}, {"CMYK", AdobeCMYK, []int{1, 1, 1, 1, 1, 1, 1, 1}},
	{"YCCK", AdobeYCCK, []int{2, 2, 1, 1, 1, 1, 2, 2}}, {"bare CMYK", CMYK, []int{1, 1, 1, 1, 1, 1, 1, 1}}, {"large MCUs", YCbCr, []int{4, 2, 2, 2, 1, 1}},
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range kinds {
		for _, size := range [][2]int{{1, 1}, {8, 8}, {33, 17}, {100, 75}} {
			want := random(r, size[0], size[1], k.color, k.factors...)
			b, err := want.Write(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got, beside, err := Read(t.Context(), b, roomy)
			if err != nil || beside.Cut || len(beside.Segments) > 0 {
				t.Fatalf("%s %v: %v, %+v", k.name, size, err, beside)
			}
			if k.color > YCbCr {
				want.Density = [5]byte{0, 0, 1, 0, 1}
			}
			if d := cmp.Diff(want, blank(got)); d != "" {
				t.Errorf("%s %v: differs (-want +got):\n%.400s", k.name, size, d)
			}
			if err := picture.JPEG(t.Context(), b, ""); err != nil {
				t.Errorf("%s %v: the checker says %v", k.name, size, err)
			}
			if _, err := jpeg.Decode(bytes.NewReader(b)); err != nil && k.color != CMYK && k.name != "large MCUs" {
				t.Errorf("%s %v: image/jpeg says %v", k.name, size, err)
			}
		}
	}
}

// Turning there and back is where it began, and a turn moves the blocks that it should.
func TestTurns(t *testing.T) {
	back := [9]int{2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
	r := rand.New(rand.NewPCG(3, 4))
	for _, k := range kinds {
		for o := 2; o <= 8; o++ {
			m, want := random(r, 64, 32, k.color, k.factors...), new(Image)
			b, err := m.Write(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if want, _, err = Read(t.Context(), b, roomy); err != nil {
				t.Fatal(err)
			}
			want.Density = m.Density
			m.Turn(o)
			if turned := m.Width < m.Height; turned != (o >= 5) {
				t.Errorf("%s, %d: %d x %d", k.name, o, m.Width, m.Height)
			}
			if cmp.Equal(m, want) {
				t.Errorf("%s: %d turns nothing", k.name, o)
			}
			m.Turn(back[o])
			if d := cmp.Diff(want, m); d != "" {
				t.Errorf("%s: %d and back differs:\n%.300s", k.name, o, d)
			}
		}
	}
	m := random(r, 20, 16, Gray, 1, 1)
	for o, want := range map[int]bool{1: true, 2: false, 3: false, 4: true, 5: true, 6: true, 7: false, 8: false} {
		if got := m.CanTurn(o); got != want {
			t.Errorf("20 x 16, orientation %d: got %v, want %v", o, got, want)
		}
	}
}

// What lies in blocks that nobody sees does not come along.
func TestBlocksThatShowNothingAreEmptied(t *testing.T) {
	m := random(rand.New(rand.NewPCG(5, 6)), 20, 20, YCbCr, 2, 2, 1, 1, 1, 1)
	want, err := m.Write(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := &m.Comps[0]
	c.Coef[(c.Stride-1)*64+5], c.Some[c.Stride-1] = 77, 1<<5
	if got, err := m.Write(t.Context()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("hidden coefficients change the file (%v)", err)
	}
}

// Progressive files, with and without restart markers, as libjpeg writes them.
func TestProgressive(t *testing.T) {
	path, err := exec.LookPath("jpegtran")
	if err != nil {
		t.Fatal("no jpegtran: run hack/bootstrap")
	}
	r := rand.New(rand.NewPCG(7, 8))
	for _, k := range kinds[:7] {
		m := random(r, 75, 50, k.color, k.factors...)
		b, err := m.Write(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"-progressive"}, {"-progressive", "-restart", "3B"}, {"-restart", "2B"}} {
			c := exec.Command(path, args...)
			c.Stdin = bytes.NewReader(b)
			in, err := c.Output()
			if err != nil {
				t.Fatalf("%s: %v", k.name, err)
			}
			got, beside, err := Read(t.Context(), in, roomy)
			if err != nil || beside.Cut {
				t.Fatalf("%s %v: %v, cut %v", k.name, args, err, beside.Cut)
			}
			if again, err := got.Write(t.Context()); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%s %v: another picture (%v)", k.name, args, err)
			}
		}
	}
}

func TestHuffmanCodesAreAtMost16BitsLong(t *testing.T) {
	c := &coder{}
	a, b := 1, 1
	for i := range 40 { // Fibonacci's numbers make the longest codes
		c.count[i] = a
		a, b = b, a+b
	}
	c.prepare()
	n, kraft := 0, 0
	for l, count := range c.counts {
		n += int(count)
		kraft += int(count) << (15 - l)
	}
	if n != 40 || len(c.symbols) != 40 || kraft >= 1<<16 {
		t.Errorf("%d codes of %d, %d of %d used", n, 40, kraft, 1<<16)
	}
}

func FuzzRead(f *testing.F) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, k := range kinds {
		b, err := random(r, 20, 12, k.color, k.factors...).Write(f.Context())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		if path, err := exec.LookPath("jpegtran"); err == nil {
			c := exec.Command(path, "-progressive", "-restart", "1")
			c.Stdin = bytes.NewReader(b)
			if p, err := c.Output(); err == nil {
				f.Add(p)
			}
		}
	}
	limits := Limits{Size: func(w, h int) error {
		if w*h == 0 || w*h > 1<<16 {
			return broken("size")
		}
		return nil
	}, Bytes: 1 << 24, Scans: 20, Work: 1 << 20}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, _, err := Read(t.Context(), in, limits)
		if err != nil {
			return
		}
		m.Preview(16)
		if m.CanTurn(6) {
			m.Turn(6)
		}
		b, err := m.Write(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := picture.JPEG(t.Context(), b, ""); err != nil {
			t.Fatalf("the checker refuses: %v", err)
		}
		again, beside, err := Read(t.Context(), b, limits)
		if err != nil || beside.Cut {
			t.Fatalf("not read back: %v", err)
		}
		if twice, err := again.Write(t.Context()); err != nil || !bytes.Equal(twice, b) {
			t.Fatalf("not settled: %v", err)
		}
	})
}

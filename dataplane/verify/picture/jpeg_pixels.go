package picture

import "bytes"

// The quantization tables of ITU-T T.81, K.1 and K.2, in the order of the zigzag: what common encoders scale to the quality that is
// asked for.
var (
	luminance = [64]int{
		16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51,
		56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
	}
	chrominance = [64]int{
		17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
	}
)

// encoded tells whether a picture can have been written by the encoder through which the pixels of a file go on a route that wants
// that: grey, or color with a quarter of the chrominance, and the tables of one quality. Files of cameras and of most programs have
// others; one whose program used the same encoder at the same quality cannot be told from one that was encoded again.
func (f *jpegFile) encoded() bool {
	for i, p := range f.planes {
		step := 1
		if i == 0 && len(f.planes) == 3 {
			step = 2
		}
		if p.h != step || p.v != step {
			return false
		}
	}
	if n := len(f.planes); n != 1 && n != 3 {
		return false
	}
	for quality := 1; quality <= 100; quality++ {
		same := true
		for i, p := range f.planes {
			table := &luminance
			if i > 0 {
				table = &chrominance
			}
			same = same && bytes.Equal(f.steps[p.q], scaled(table, quality))
		}
		if same {
			return true
		}
	}
	return false
}

// scaled is a table at a quality of 1 to 100, as the Independent JPEG Group's library defined it.
func scaled(table *[64]int, quality int) []byte {
	percent := 200 - 2*quality
	if quality < 50 {
		percent = 5000 / quality
	}
	out := make([]byte, len(table))
	for i, v := range table {
		out[i] = byte(min(255, max(1, (v*percent+50)/100)))
	}
	return out
}

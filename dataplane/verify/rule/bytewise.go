package rule

import "io"

// Bytewise gives single bytes, so that an inflater takes not one more than it needs.
type Bytewise struct {
	r   io.Reader
	buf [4096]byte
	at  int
	end int
}

// ByteByByte reads r.
func ByteByByte(r io.Reader) *Bytewise { return &Bytewise{r: r} }

func (c *Bytewise) ReadByte() (byte, error) {
	if c.at == c.end {
		n, err := c.r.Read(c.buf[:])
		for n == 0 && err == nil {
			n, err = c.r.Read(c.buf[:])
		}
		if n == 0 {
			return 0, err
		}
		c.at, c.end = 0, n
	}
	c.at++
	return c.buf[c.at-1], nil
}

func (c *Bytewise) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := c.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	n := copy(p[1:], c.buf[c.at:c.end])
	c.at += n
	return n + 1, nil
}

package pdf

import (
	"bytes"
	"context"
	"testing"
)

// What is written from anything that is read can be read again, and is then written the same.
func FuzzContent(f *testing.F) {
	for _, s := range []string{"BT /F1 12 Tf (a\\)) Tj ET", "q 1 0 0 1 0 0 cm [(a) -3.50 <62>] TJ Q", "/A << /MCID 3 /ActualText (x) >> BDC EMC", "1 .5 --3 rg /P 1 scn", "BI /W 1 ID x EI"} {
		f.Add([]byte(s))
	}
	again := func(in []byte) ([]byte, error) {
		said := newScript()
		c := &content{ctx: context.Background(), props: properties, heard: said.hear, image: func(dict, *lexer) ([]byte, error) { return nil, errGrammar }}
		err := c.run(in)
		r := &reading{w: &walk{}}
		r.read(said, dict{}, unmoved, 0)
		_ = lines(r.pieces)
		return c.end(), err
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		once, err := again(in)
		if err != nil {
			return
		}
		twice, err := again(once)
		if err != nil || string(once) != string(twice) {
			t.Errorf("%q becomes %q, then %q: %v", in, once, twice, err)
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"qpdf":[{"jsonversion":2},{"obj:1 0 R":{"value":{"/A":[1,-2.5,"u:x","b:00","/N","2 0 R",null,true]}},"obj:2 0 R":{"stream":{"data":"AA==","dict":{}}},"trailer":{"value":{"/Root":"1 0 R"}}}]}`))
	f.Fuzz(func(_ *testing.T, in []byte) { _, _ = read(context.Background(), in) })
}

func FuzzPrograms(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x00\x00\x01\x00\x10\x00\x00\x00\x00glyf\x00\x00\x00\x00\x00\x00\x00\x1c\x00\x00\x00\x04abcd"))
	f.Add([]byte("\x01\x00\x04\x01\x00\x01\x01\x01\x02A\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("%!PS-AdobeFont-1.0\neexec\nabc"))
	f.Add(compactOf())
	f.Add(trueTypeOf())
	f.Add(type1Of())
	f.Add(type1Hex())
	f.Add([]byte("1 begincodespacerange <00> <FF> endcodespacerange 1 beginbfchar <01> <0041> endbfchar"))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, p := range []func([]byte, dict) ([]byte, error){trueTypeProgram, compactProgram, type1Program} {
			once, err := p(in, dict{})
			if err != nil {
				continue
			}
			if twice, err := p(once, dict{}); err != nil || !bytes.Equal(once, twice) {
				t.Errorf("a font is not settled: %q, then %q, %v", once, twice, err)
			}
		}
		_, _ = profile(in)
		_, _ = calculator(in)
		if m, err := readCMap(in); err == nil {
			_ = m.meanings()
			_ = m.split()(text(in))
			once := m.write()
			again, err := readCMap(once)
			if err != nil || string(again.write()) != string(once) {
				t.Errorf("a CMap is not settled: %q, %v", once, err)
			}
		}
	})
}

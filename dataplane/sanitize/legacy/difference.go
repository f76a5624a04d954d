package legacy

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/sekisho/sekisho/dataplane/sanitize/compound"
	"github.com/sekisho/sekisho/dataplane/sanitize/container"
	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// characters counts those of a text that leave ink, each by itself: what a conversion has to keep, in whatever order.
type characters map[rune]int

func (c characters) add(r rune) {
	if unicode.IsGraphic(r) && !unicode.IsSpace(r) || unicode.Is(unicode.Co, r) {
		c[r]++
	}
}

func (c characters) addUTF16(u []uint16) {
	for _, r := range utf16.Decode(u) {
		c.add(r)
	}
}

// compare tells which characters of the old document the result has less often, and of a text which it has more often. They are
// characters of all kinds of places: a reader who knows them finds out whether they matter.
func compare(j *rebuild.Job, old, result []byte) error {
	if !bytes.HasPrefix(old, []byte(compound.Magic)) {
		return nil
	}
	f, err := compound.Open(old)
	if err != nil {
		return err
	}
	must, may := textOf(f)
	if must == nil {
		return nil
	}
	after, err := resultText(j.Ctx, result)
	if err != nil {
		return err
	}
	if n, examples := difference(must, after); n > 0 {
		j.Found.Counted("legacy.lost", "", verdict.Changed, examples, n)
	}
	if n, examples := difference(after, may); n > 0 && may != nil {
		j.Found.Counted("legacy.gained", "", verdict.Changed, examples, n)
	}
	return nil
}

// textElements hold what a reader of a result sees, or would without the change that took it away.
var textElements = map[string]bool{"t": true, "delText": true, "v": true}

// resultText counts the characters of a rebuilt package. Shared strings count as often as cells show them.
func resultText(ctx context.Context, body []byte) (characters, error) {
	z, err := container.Open(ctx, body)
	if err != nil {
		return nil, err
	}
	c, shared, used := characters{}, []characters{}, map[string]int{}
	for _, f := range z.Order {
		if !isXML(f.Name) {
			continue
		}
		b, err := z.Unpack(f)
		if err != nil {
			return nil, err
		}
		table := f.Name == "xl/sharedStrings.xml"
		x, err := markup.New(b, nil)
		if err != nil {
			return nil, err
		}
		var t markup.Token
		inside, cell, phonetic := "", "", false
		for {
			if err := x.Next(&t); err != nil {
				return nil, err
			}
			if t.Kind == markup.EOF {
				break
			}
			switch {
			case t.Kind == markup.Start && t.Local == "si" && table:
				shared = append(shared, characters{})
			case t.Local == "rPh":
				phonetic = t.Kind == markup.Start
			case t.Kind == markup.Start && t.Local == "sym":
				c.add('(') // what stands in the old text for a character of a font of symbols
			case t.Kind == markup.Start && t.Local == "c":
				cell = ""
				for _, a := range t.Attrs {
					if string(a.Name) == "t" {
						cell = string(a.Value)
					}
				}
			}
			switch {
			case t.Kind == markup.Start && textElements[t.Local]:
				inside = t.Local
			case t.Kind == markup.End:
				inside = ""
			case t.Kind == markup.Text && inside != "" && !phonetic:
				s := string(markup.Unescape(t.Text))
				if inside == "v" && cell == "s" {
					used[s]++
					continue
				}
				to := c
				if table && len(shared) > 0 {
					to = shared[len(shared)-1]
				}
				for _, r := range s {
					to.add(r)
				}
			}
		}
	}
	for i, s := range shared {
		for r, n := range s {
			c[r] += n * used[strconv.Itoa(i)]
		}
	}
	return c, nil
}

func isXML(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".xml") }

// maxExamples are shown of the characters that differ; digits never, since they may be somebody's number.
const maxExamples = 8

// difference says which characters one text has more often than the other: how many, and the most frequent of them.
func difference(more, less characters) (n int, examples string) {
	type many struct {
		r rune
		n int
	}
	var all []many
	for r, m := range more {
		if d := m - less[r]; d > 0 {
			n += d
			if !unicode.IsDigit(r) {
				all = append(all, many{r, d})
			}
		}
	}
	slices.SortFunc(all, func(a, b many) int {
		if a.n != b.n {
			return b.n - a.n
		}
		return int(a.r - b.r)
	})
	var out strings.Builder
	for _, m := range all[:min(len(all), maxExamples)] {
		out.WriteRune(m.r)
	}
	return n, out.String()
}

package pdf

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool/pam"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Pictures of pages: dots an inch, what of all pages may lie in memory at once, how many pages may become one.
const (
	flatDPI   = 150
	leastDPI  = 72
	maxDrawn  = 256 << 20 // bytes of pixels
	maxFlat   = 300
	maxRanges = 8
	flatQual  = 85
)

// flatten makes a picture of each page that shows something that nobody can vouch for, with its text, unseen, over it.
func (w *walk) flatten() error {
	pages := w.doubtful()
	if len(pages) == 0 {
		return nil
	}
	dpi := w.dots(pages)
	if len(pages) > maxFlat || w.key != nil || dpi < leastDPI {
		return rebuild.Refuse("pdf.broken", "", fmt.Sprintf("%d pages", len(pages)))
	}
	for _, r := range ranges(pages) {
		if err := w.flattened(r, dpi); err != nil {
			return err
		}
	}
	w.at = nil
	return nil
}

// flattened asks for one range of pages. What is asked for again and again is the whole file, so ranges are few, and pages in them
// that are fine are drawn in vain.
func (w *walk) flattened(pages []*made, dpi int) error {
	from, to := pages[0].page, pages[len(pages)-1].page
	first, last := strconv.Itoa(from), strconv.Itoa(to)
	drawn, err := w.Tools.Ask("render", map[string]string{"from": "pdf", "dpi": strconv.Itoa(dpi), "first": first, "last": last}, w.In)
	said, err2 := w.Tools.Ask("render", map[string]string{"from": "pdf", "text": "yes", "first": first, "last": last}, w.In)
	w.at = pages[0]
	if err := errors.Join(err, err2); errors.Is(err, rebuild.ErrAsked) {
		w.asked = true
		return nil
	} else if err != nil {
		return rebuild.Refuse("pdf.broken", w.place(), err.Error())
	}
	pictures, err := pam.Read(drawn, to-from+1)
	if err != nil {
		return err
	}
	words := strings.Split(string(said), "<page ")[1:]
	if len(pictures) != to-from+1 || len(words) != to-from+1 {
		return rebuild.Refuse("pdf.broken", w.place(), fmt.Sprintf("%d pictures and %d texts of %d pages", len(pictures), len(words), to-from+1))
	}
	for _, m := range pages {
		w.at = m
		if err := w.flat(m, pictures[m.page-from], words[m.page-from], float64(dpi)); err != nil {
			return err
		}
		w.changed("pdf.flattened", "")
	}
	return nil
}

// ranges are runs of pages, joined where they are closest until they are few.
func ranges(pages []*made) [][]*made {
	var cuts []int // between which pages, the widest gap first
	for i := 1; i < len(pages); i++ {
		if pages[i].page > pages[i-1].page+1 {
			cuts = append(cuts, i)
		}
	}
	gap := func(i int) int { return pages[i].page - pages[i-1].page }
	slices.SortStableFunc(cuts, func(a, b int) int { return gap(b) - gap(a) })
	cuts = cuts[:min(len(cuts), maxRanges-1)]
	slices.Sort(cuts)
	var out [][]*made
	from := 0
	for _, c := range append(cuts, len(pages)) {
		out = append(out, pages[from:c])
		from = c
	}
	return out
}

// dots an inch at which all ranges together fit the room for their pixels.
func (w *walk) dots(pages []*made) int {
	area := 0.0 // square inches
	for _, r := range ranges(pages) {
		for _, m := range w.pages[r[0].page-1 : r[len(r)-1].page] {
			box, ok := w.box(m.dict()["MediaBox"])
			if !ok {
				box = [4]float64{0, 0, 612, 792}
			}
			area += (box[2] - box[0]) / 72 * (box[3] - box[1]) / 72
		}
	}
	return min(flatDPI, int(math.Sqrt(maxDrawn/3/max(area, 1))))
}

// doubtful are the pages from which a broken object is reached, other pages apart.
func (w *walk) doubtful() []*made {
	from := make([][]int32, len(w.out))
	var edges func(i int, v value)
	edges = func(i int, v value) {
		switch v := v.(type) {
		case ref:
			from[v-1] = append(from[v-1], int32(i))
		case dict:
			for _, e := range v {
				edges(i, e)
			}
		case array:
			for _, e := range v {
				edges(i, e)
			}
		case list:
			for _, e := range v {
				edges(i, e)
			}
		}
	}
	var todo []int
	for i, m := range w.out {
		if m.broken != nil {
			todo = append(todo, i)
		}
	}
	if len(todo) == 0 {
		return nil
	}
	for i, m := range w.out {
		edges(i, m.v)
	}
	seen := make([]bool, len(w.out))
	var pages []*made
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[i] {
			continue
		}
		seen[i] = true
		if w.out[i].kind == "Page" {
			pages = append(pages, w.out[i])
			continue
		}
		for _, f := range from[i] {
			todo = append(todo, int(f))
		}
	}
	slices.SortFunc(pages, func(a, b *made) int { return a.page - b.page })
	return pages
}

// flat replaces what a page shows.
func (w *walk) flat(m *made, p pam.Frame, words string, dpi float64) error {
	if p.Width*p.Height > maxPixels || p.Depth == 2 {
		return rebuild.Refuse("limit.pixels", w.place(), fmt.Sprintf("%d x %d", p.Width, p.Height))
	}
	img := image.NewRGBA(image.Rect(0, 0, p.Width, p.Height))
	for i := range p.Width * p.Height {
		s := p.Pix[i*p.Depth:]
		c := color.RGBA{s[0], s[0], s[0], 255}
		if p.Depth >= 3 {
			c = color.RGBA{s[0], s[1], s[2], 255}
		}
		copy(img.Pix[i*4:], []byte{c.R, c.G, c.B, c.A})
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: flatQual}); err != nil {
		return err
	}
	res, err := w.Nested(w.place(), "page.jpg", b.Bytes(), true)
	if err != nil {
		return err
	}
	x := w.add("Image")
	x.stream, x.data = true, res.Body
	x.v = dict{"Type": name("XObject"), "Subtype": name("Image"), "Width": whole(p.Width), "Height": whole(p.Height), "ColorSpace": name("DeviceRGB"), "BitsPerComponent": number("8"), "Filter": name("DCTDecode")}
	shown := ref(len(w.out))
	width, height := float64(p.Width)*72/dpi, float64(p.Height)*72/dpi
	layer, fonts := w.unseen(words, height)
	c := w.add("Contents")
	c.stream, c.v = true, dict{}
	content := ref(len(w.out))
	w.at = c
	c.data = w.rewrite(fmt.Appendf(nil, "q %s 0 0 %s 0 0 cm /Page Do Q %s", decimal(cut(width)), decimal(cut(height)), layer), nil)
	w.at = m
	resources := dict{"XObject": dict{"Page": shown}}
	if len(fonts) > 0 {
		resources["Font"] = fonts
	}
	old := m.dict()
	m.v, m.broken = dict{
		"Type": name("Page"), "Parent": old["Parent"], "MediaBox": array{number("0"), number("0"), decimal(cut(width)), decimal(cut(height))}, "Resources": resources, "Contents": content,
	}, c.broken
	m.says = c.says
	return w.tell(m)
}

func cut(f float64) float64 { return math.Round(f*100) / 100 }

var aWord = regexp.MustCompile(`<word xMin="(-?[0-9.]+)" yMin="(-?[0-9.]+)" xMax="(-?[0-9.]+)" yMax="(-?[0-9.]+)">([^<]*)</word>`)

var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&apos;", "'", "&#39;", "'", "&amp;", "&")

// unseen is the content that has words stand, in text that is not painted, where the page shows them, and the fonts for it: they have
// a width for each character, its meaning, and nothing to paint.
func (w *walk) unseen(words string, height float64) (string, dict) {
	const perFont = 200
	code := map[rune]int{}
	var order []rune
	var b strings.Builder
	b.WriteString("BT 3 Tr\n")
	for _, m := range aWord.FindAllStringSubmatch(words, 20_000) {
		var at [4]float64
		for i := range at {
			at[i], _ = strconv.ParseFloat(m[1+i], 64)
		}
		word := []rune(rebuild.Printable(entities.Replace(m[5]), 500))
		size, length := at[3]-at[1], at[2]-at[0]
		if len(word) == 0 || !(size > 0.5 && size < 5000) || !(length > 0) {
			continue
		}
		fmt.Fprintf(&b, "%s Tz 1 0 0 1 %s %s Tm\n", decimal(cut(100*length/(float64(len(word))*size/2))), decimal(cut(at[0])), decimal(cut(height-at[3]+size/5)))
		font := -1
		for _, r := range word {
			n, ok := code[r]
			if !ok {
				n = len(order)
				code[r], order = n, append(order, r)
			}
			if n/perFont != font {
				font = n / perFont
				fmt.Fprintf(&b, "/T%d %s Tf\n", font, decimal(cut(size)))
			}
			fmt.Fprintf(&b, "<%02X> Tj\n", n%perFont)
		}
	}
	b.WriteString("ET")
	if len(order) == 0 {
		return "", nil
	}
	fonts := dict{}
	for i := 0; i*perFont < len(order); i++ {
		fonts[name(fmt.Sprintf("T%d", i))] = w.unseenFont(order[i*perFont : min(len(order), (i+1)*perFont)])
	}
	return b.String(), fonts
}

func (w *walk) unseenFont(runes []rune) ref {
	glyph := w.add("Glyph")
	glyph.stream, glyph.v, glyph.data = true, dict{}, []byte("500 0 d0\n")
	procs := dict{"g": ref(len(w.out))}
	m := cmap{sections: []section{{"codespacerange", []value{text("\x00"), text("\xFF")}}, {"bfchar", nil}}}
	differences, widths := array{number("0")}, array{}
	for i, r := range runes {
		differences, widths = append(differences, name("g")), append(widths, number("500"))
		m.sections[1].v = append(m.sections[1].v, text([]byte{byte(i)}), unicodeText(string(r))[2:])
	}
	u := w.add("ToUnicode")
	u.stream, u.v, u.data = true, dict{}, m.write()
	meaning := ref(len(w.out))
	f := w.add("Font")
	f.v = dict{
		"Type": name("Font"), "Subtype": name("Type3"), "FontBBox": array{number("0"), number("0"), number("1000"), number("1000")},
		"FontMatrix": array{number("0.001"), number("0"), number("0"), number("0.001"), number("0"), number("0")}, "CharProcs": procs,
		"Encoding": dict{"Type": name("Encoding"), "Differences": differences}, "FirstChar": number("0"), "LastChar": whole(len(runes) - 1), "Widths": widths, "ToUnicode": meaning,
	}
	return ref(len(w.out))
}

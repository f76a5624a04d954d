package files

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"path"
	"strings"

	"github.com/sekisho/sekisho/dataplane/likeness"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Looks counts what files look like before and after: every page is drawn, up to mostPages, and compared tile by tile.
type Looks struct {
	Files, SameFiles int // that were drawn; in which no pixel differs
	Pages, SamePages int
	Tiles, SameTiles int
	Least            float64        // of all tiles, 1 at most
	Worst            string         // the page with that tile
	Told             map[string]int // pages that differ, by the findings that say why
	Untold           []string       // pages that differ, and nothing in the report says why
	Undrawn          []string       // originals that nothing here draws
}

// mostPages of a document are drawn.
const mostPages = 10

// shows are findings by which a page may look another way. None of the others may: who took out properties or a macro has changed
// nothing that a reader sees.
var shows = map[string]bool{
	"legacy.converted": true, // the whole document, in another program's hands
	"image.converted":  true, "image.replaced": true, "image.encoded": true, "image.orientation": true, "image.profile": true,
	"ooxml.activex": true, "ooxml.external": true, "ooxml.font": true, "ooxml.hidden-gone": true, "ooxml.import": true, "ooxml.ink": true, "ooxml.media": true, "ooxml.ole": true, "ooxml.template": true,
	"odf.external": true, "odf.font": true, "odf.hidden-gone": true, "odf.media": true, "odf.object": true,
	"pdf.annotation": true, "pdf.attachment": true, "pdf.comment": true, "pdf.flattened": true, "pdf.form": true, "pdf.layer": true, "pdf.media": true, "pdf.picture": true, "pdf.xfa": true,
}

// tells names the findings that explain why a file looks another way; "" when there is none.
func tells(r verdict.Report) string {
	var codes []string
	seen := map[string]bool{}
	for _, f := range r.Findings {
		if (f.Action == verdict.Removed || f.Action == verdict.Changed) && shows[f.Code] && !seen[f.Code] {
			seen[f.Code] = true
			codes = append(codes, f.Code)
		}
	}
	return strings.Join(codes, ", ")
}

// passed is a file with what became of it.
type passed struct {
	name string
	in   []byte
	o    Outcome
}

// look draws files before and after. Documents are printed many at a time.
func (l *Looks) look(ctx context.Context, all []passed) error {
	const some = 40
	for len(all) > 0 {
		now := all[:min(some, len(all))]
		all = all[len(now):]
		var before, after []document
		for _, p := range now {
			before = append(before, document{p.name, p.in})
			after = append(after, document{p.o.Report.OutName, p.o.Body})
		}
		was, err := papers(ctx, before, mostPages)
		if err != nil {
			return err
		}
		is, err := papers(ctx, after, mostPages)
		if err != nil {
			return err
		}
		for i, p := range now {
			a, err := drawn(ctx, before[i], was[i])
			if err != nil {
				l.Undrawn = append(l.Undrawn, fmt.Sprintf("%s: %v", p.name, err))
				continue
			}
			b, err := drawn(ctx, after[i], is[i])
			if err != nil {
				l.add(p.name, a, nil, p.o.Report) // that is what it looks like
				continue
			}
			l.add(p.name, a, b, p.o.Report)
		}
	}
	return nil
}

// drawn gives the pages of a document: of its print when there is one.
func drawn(ctx context.Context, d document, print []byte) ([]image.Image, error) {
	switch {
	case print != nil:
		return Pages(ctx, "print.pdf", print, mostPages)
	case printers[strings.ToLower(path.Ext(d.name))] != "":
		return nil, fmt.Errorf("LibreOffice prints nothing of it")
	}
	return Pages(ctx, d.name, d.body, mostPages)
}

// looked tells whether files of this name are drawn.
func looked(name string) bool {
	ext := strings.ToLower(path.Ext(name))
	return printers[ext] != "" || decoders[ext] != nil || ext == ".pdf"
}

// add compares the pages of one file. A page that is missing, is new or has another size is one that differs in all its tiles.
func (l *Looks) add(name string, before, after []image.Image, r verdict.Report) {
	if len(before) == 0 {
		l.Undrawn = append(l.Undrawn, name+": no page")
		return
	}
	why := tells(r)
	l.Files++
	same := true
	for i := range max(len(before), len(after)) {
		l.Pages++
		least, all, equal := 0.0, 1, 0
		if i < len(before) && i < len(after) {
			least, all, equal = tiles(before[i], after[i])
		}
		l.Tiles, l.SameTiles = l.Tiles+all, l.SameTiles+equal
		page := fmt.Sprintf("%s, page %d", name, i+1)
		if l.Worst == "" || least < l.Least {
			l.Least, l.Worst = least, page
		}
		if equal == all {
			l.SamePages++
			continue
		}
		same = false
		if why == "" || len(after) == 0 { // nothing tells of a result that cannot be drawn
			l.Untold = append(l.Untold, fmt.Sprintf("%s: %d of %d tiles differ, the worst %.3f; of %d pages before, %d after", page, all-equal, all, least, len(before), len(after)))
			continue
		}
		if l.Told == nil {
			l.Told = map[string]int{}
		}
		l.Told[why]++
	}
	if same {
		l.SameFiles++
	}
}

// tiles compares two pages: the likeness of their worst tile, how many tiles there are, and in how many no pixel differs.
func tiles(a, b image.Image) (least float64, all, equal int) {
	if a.Bounds().Size() != b.Bounds().Size() {
		return 0, 1, 0
	}
	x, y := flat(a), flat(b)
	least = 1
	const side = likeness.Tile
	for ty := 0; ty < x.Rect.Dy(); ty += side {
		for tx := 0; tx < x.Rect.Dx(); tx += side {
			all++
			r := image.Rect(tx, ty, tx+side, ty+side).Intersect(x.Rect)
			if samePixels(x, y, r) {
				equal++
				continue
			}
			least = min(least, likeness.Least([]image.Image{x.SubImage(r)}, []image.Image{y.SubImage(r)}))
		}
	}
	return least, all, equal
}

func samePixels(a, b *image.NRGBA, r image.Rectangle) bool {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		if !bytes.Equal(a.Pix[a.PixOffset(r.Min.X, y):a.PixOffset(r.Max.X, y)], b.Pix[b.PixOffset(r.Min.X, y):b.PixOffset(r.Max.X, y)]) {
			return false
		}
	}
	return true
}

// flat is a picture whose corner is at 0, in one form of pixels.
func flat(img image.Image) *image.NRGBA {
	if m, ok := img.(*image.NRGBA); ok && m.Rect.Min == (image.Point{}) {
		return m
	}
	m := image.NewNRGBA(image.Rectangle{Max: img.Bounds().Size()})
	for y := range m.Rect.Dy() {
		for x := range m.Rect.Dx() {
			m.Set(x, y, img.At(img.Bounds().Min.X+x, img.Bounds().Min.Y+y))
		}
	}
	return m
}

// Look passes one file and compares what it looks like, for tests.
func Look(ctx context.Context, name string, in []byte) (Looks, error) {
	var l Looks
	o, err := Pass(ctx, name, in, sanitize.Options{})
	if err != nil || !o.Clean() {
		return l, fmt.Errorf("%s does not pass: %+v %w", name, o.Report.Findings, err)
	}
	return l, l.look(ctx, []passed{{name, in, o}})
}

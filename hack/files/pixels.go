package files

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/hack/files/honest"
)

// Pixels is one kind of files on both roads: ours, and that by page images.
type Pixels struct {
	Files                    int
	Ours, Theirs             time.Duration
	In, OursOut, TheirsOut   int64 // bytes
	OursFailed, TheirsFailed int
}

// roads are the kinds that are compared, by extension. A scan is made of a letter by the pixel way itself.
var roads = map[string]string{".docx": "office", ".xlsx": "office", ".pptx": "office", ".odt": "office", ".ods": "office", ".odp": "office",
	".pdf": "pdf", ".doc": "legacy", ".xls": "legacy", ".ppt": "legacy", ".rtf": "legacy", ".jpg": "photos", ".scan": "scans"}

// each is how many files of an extension are compared: those at even distances among all, ordered by size.
const each = 3

// MeasurePixels sends some honest files of each kind both ways, one after the other.
func (f *Figures) MeasurePixels(ctx context.Context, all []honest.File) error {
	f.Pixels = map[string]*Pixels{}
	byExt := map[string][]honest.File{}
	for _, h := range all {
		if ext := strings.ToLower(path.Ext(h.Name)); roads[ext] != "" && len(h.Body) < 3<<20 {
			byExt[ext] = append(byExt[ext], h)
		}
	}
	for ext, of := range byExt {
		slices.SortFunc(of, func(a, b honest.File) int { return len(a.Body) - len(b.Body) })
		for i := range min(each, len(of)) {
			h := of[(2*i+1)*len(of)/(2*min(each, len(of)))]
			scan, err := f.bothWays(ctx, roads[ext], h.Name, h.Body)
			if err != nil {
				return fmt.Errorf("%s: %w", h.Name, err)
			}
			if ext == ".docx" && scan != nil {
				if _, err := f.bothWays(ctx, "scans", "scan.pdf", scan); err != nil {
					return fmt.Errorf("scan of %s: %w", h.Name, err)
				}
			}
		}
	}
	return nil
}

// bothWays answers what the pixel way made.
func (f *Figures) bothWays(ctx context.Context, road, name string, in []byte) ([]byte, error) {
	p := f.Pixels[road]
	if p == nil {
		p = &Pixels{}
		f.Pixels[road] = p
	}
	began := time.Now()
	o, err := Pass(ctx, name, in, sanitize.Options{})
	if err != nil {
		return nil, err
	}
	ours := time.Since(began)
	theirs, out, err := byPixels(ctx, name, in)
	switch {
	case !o.Clean():
		p.OursFailed++
	case err != nil:
		p.TheirsFailed++
	default:
		p.Files++
		p.Ours, p.Theirs = p.Ours+ours, p.Theirs+theirs
		p.In, p.OursOut, p.TheirsOut = p.In+int64(len(in)), p.OursOut+int64(len(o.Body)), p.TheirsOut+int64(len(out))
	}
	return out, nil
}

// dots an inch of page images, and quality of their JPEGs: what tools of this way take when nobody says otherwise.
const (
	dots    = 150
	quality = 75
)

// byPixels has LibreOffice make a PDF, poppler make pictures of its pages, and makes a PDF of those. A LibreOffice that was started
// before is not counted, as ours is not.
func byPixels(ctx context.Context, name string, in []byte) (time.Duration, []byte, error) {
	ext := strings.ToLower(path.Ext(name))
	if ext == ".jpg" {
		return photoByPixels(in)
	}
	var took time.Duration
	if ext != ".pdf" {
		dir, err := os.MkdirTemp("", "sekisho-pixels-")
		if err != nil {
			return 0, nil, err
		}
		defer os.RemoveAll(dir)
		convert := tool.Ready(ctx, dir)
		began := time.Now()
		a := convert(verdict.Need{Kind: "convert", Options: map[string]string{"from": ext[1:], "to": "pdf"}, Body: in})
		took = time.Since(began)
		if a.Failed != "" {
			return 0, nil, fmt.Errorf("%s %s", a.Failed, a.Detail)
		}
		in = a.Body
	}
	began := time.Now()
	_, pages, err := inTreeFor(ctx, map[string][]byte{"in.pdf": in}, "page*.jpg", "pdftoppm", "-r", fmt.Sprint(dots), "-jpeg", "-jpegopt", fmt.Sprintf("quality=%d", quality), "in.pdf", "page")
	if err != nil {
		return 0, nil, err
	}
	out, err := bound(pages)
	return took + time.Since(began), out, err
}

func photoByPixels(in []byte) (time.Duration, []byte, error) {
	began := time.Now()
	img, err := jpeg.Decode(bytes.NewReader(in))
	if err != nil {
		return 0, nil, err
	}
	var page bytes.Buffer
	if err := jpeg.Encode(&page, img, &jpeg.Options{Quality: quality}); err != nil {
		return 0, nil, err
	}
	out, err := bound([][]byte{page.Bytes()})
	return time.Since(began), out, err
}

// bound makes a PDF of JPEG pages (ISO 32000-1, 7.5 and 8.9.5).
func bound(pages [][]byte) ([]byte, error) {
	var out bytes.Buffer
	var at []int
	object := func(format string, args ...any) {
		at = append(at, out.Len())
		fmt.Fprintf(&out, "%d 0 obj\n", len(at))
		fmt.Fprintf(&out, format, args...)
		out.WriteString("\nendobj\n")
	}
	out.WriteString("%PDF-1.4\n")
	object("<</Type/Catalog/Pages 2 0 R>>")
	var kids strings.Builder
	for i := range pages {
		fmt.Fprintf(&kids, "%d 0 R ", 3+3*i)
	}
	object("<</Type/Pages/Kids[%s]/Count %d>>", kids.String(), len(pages))
	for i, page := range pages {
		c, _, err := image.DecodeConfig(bytes.NewReader(page))
		if err != nil {
			return nil, err
		}
		w, h := float64(c.Width)*72/dots, float64(c.Height)*72/dots
		paint := fmt.Sprintf("%.2f 0 0 %.2f 0 0 cm /I Do", w, h)
		object("<</Type/Page/Parent 2 0 R/MediaBox[0 0 %.2f %.2f]/Resources<</XObject<</I %d 0 R>>>>/Contents %d 0 R>>", w, h, 5+3*i, 4+3*i)
		object("<</Length %d>>stream\n%s\nendstream", len(paint), paint)
		object("<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/DCTDecode/Length %d>>stream\n%s\nendstream", c.Width, c.Height, len(page), page)
	}
	xref := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, n := range at {
		fmt.Fprintf(&out, "%010d 00000 n \n", n)
	}
	fmt.Fprintf(&out, "trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, xref)
	return out.Bytes(), nil
}

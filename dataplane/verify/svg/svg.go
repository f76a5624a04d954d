// Package svg checks rebuilt drawings.
//
// Problem: a drawing that slipped through runs in the browser that shows it. Mechanism: the XML of our writer's one form (verify/xml),
// elements and attributes by name, addresses and styles by pattern, pictures by their own family, and a count of what all uses together
// draw. Life cycle: one call of Check for a file. Invariant: nil means that every element and every attribute was named here.
package svg

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
	"github.com/sekisho/sekisho/dataplane/verify/web"
	"github.com/sekisho/sekisho/dataplane/verify/xml"
)

const code = "verify.svg"

// maxShapes bounds what is drawn when every use is followed.
const maxShapes = 4_000_000

var (
	elements = regexp.MustCompile(`^(svg|g|defs|symbol|use|title|desc|path|rect|circle|ellipse|line|poly(line|gon)|text|tspan|textPath|image|(linear|radial)Gradient|stop|pattern|clipPath|mask|marker|switch|a|style|filter|` +
		`fe(GaussianBlur|Offset|Blend|ColorMatrix|ComponentTransfer|Composite|ConvolveMatrix|DiffuseLighting|DisplacementMap|DistantLight|DropShadow|Flood|Func[ABGR]|Merge|MergeNode|Morphology|PointLight|SpecularLighting|SpotLight|Tile|Turbulence))$`)
	paint = regexp.MustCompile(`^((fill|stroke|stop|flood|lighting)(-[a-z]+)?|clip-(rule|path)|mask|filter|marker(-start|-mid|-end)?|color(-[a-z]+)*|opacity|display|visibility|overflow|paint-order|vector-effect|` +
		`(shape|text|image)-rendering|text-(anchor|decoration)|(dominant|alignment)-baseline|baseline-shift|font(-[a-z]+)*|(letter|word)-spacing|writing-mode|direction|enable-background|mix-blend-mode|isolation)$`)
	shape = regexp.MustCompile(`^(id|class|lang|version|baseProfile|viewBox|preserveAspectRatio|width|height|[xyzdrk]|[xyk][1-4]|c[xy]|r[xy]|f[xyr]|d[xy]|k[1-4]|points|pathLength|transform|(gradient|pattern)Transform|` +
		`[a-zA-Z]+Units|marker(Width|Height)|ref[XY]|orient|spreadMethod|offset|rotate|textLength|lengthAdjust|startOffset|method|spacing|side|zoomAndPan|contentStyleType|in2?|result|stdDeviation|mode|type|values|tableValues|` +
		`slope|intercept|amplitude|exponent|operator|order|kernelMatrix|divisor|bias|target[XY]|edgeMode|kernelUnitLength|preserveAlpha|surfaceScale|(diffuse|specular)Constant|specularExponent|scale|[xy]ChannelSelector|` +
		`azimuth|elevation|pointsAt[XYZ]|limitingConeAngle|radius|baseFrequency|numOctaves|seed|stitchTiles|requiredFeatures|systemLanguage|text-align|media|role|glyph-orientation-(vertical|horizontal)|kerning|title|xml:space|xml:lang)$`)
	plain  = regexp.MustCompile(`^[-+.,()%_:/#\n\t' a-zA-Z0-9\x{80}-\x{10FFFF}]*$`)
	busy   = regexp.MustCompile(`(?i)u\s*r\s*l\s*\(|s\s*c\s*r\s*i\s*p\s*t\s*:`)
	here   = regexp.MustCompile(`^#[-+.,()%_:/#' a-zA-Z0-9\x{80}-\x{10FFFF}]*$`)
	inside = regexp.MustCompile(`^data:image/(png|jpeg|gif|bmp|webp);base64,`)
	taken  = regexp.MustCompile(`url\(#([^)]*)\)`)
)

// part is an element: what it holds itself, and what it takes from others.
type part struct {
	id       string
	children []*part
	uses     []string
	times    int
}

// Check reads a rebuilt drawing.
func Check(f *rule.File) error {
	images := 0
	root := &part{}
	path := []*part{root}
	ids := map[string]*part{}
	style := false
	err := xml.Walk(f.Ctx, f.In, xml.Visitor{
		Start: func(n string, attrs []xml.Attr) error {
			no := func(format string, args ...any) error {
				return rule.Refuse(code, n, format, args...)
			}
			first := len(path) == 1
			if !elements.MatchString(n) || first != (n == "svg" && first) || style {
				return no("an element that is not written here")
			}
			p := &part{times: 1}
			if first {
				if len(attrs) < 2 || attrs[0] != (xml.Attr{Name: "xmlns", Value: "http://www.w3.org/2000/svg"}) || attrs[1] != (xml.Attr{Name: "xmlns:xlink", Value: "http://www.w3.org/1999/xlink"}) {
					return no("other namespaces")
				}
				attrs = attrs[2:]
			}
			for _, a := range attrs {
				ok := false
				switch {
				case a.Name == "xlink:href" && n == "a":
					ok = web.MayStay(f.Policy, a.Value)
				case a.Name == "xlink:href" && n == "image":
					m := inside.FindString(a.Value)
					b, err := base64.StdEncoding.Strict().DecodeString(a.Value[len(m):])
					if m == "" || err != nil {
						return no("a picture from elsewhere")
					}
					images++
					media, _, _ := strings.Cut(strings.TrimPrefix(m, "data:image/"), ";")
					if err := f.Nested(fmt.Sprintf("image%d", images), "image."+media, b); err != nil {
						return err
					}
					ok = true
				case a.Name == "xlink:href":
					ok = here.MatchString(a.Value) && !busy.MatchString(a.Value)
					p.uses = append(p.uses, a.Value[1:])
				case a.Name == "style":
					ok = web.Declarations(a.Value, web.Look{Drawing: true})
				case paint.MatchString(a.Name):
					ok = web.Paint(a.Name, a.Value, true)
				case shape.MatchString(a.Name):
					ok = plain.MatchString(a.Value) && !busy.MatchString(a.Value)
				}
				if !ok {
					return no("attribute %s", a.Name)
				}
				for _, m := range taken.FindAllStringSubmatch(a.Value, -1) {
					p.uses = append(p.uses, m[1])
				}
				switch {
				case a.Name == "id" && ids[a.Value] == nil:
					p.id, ids[a.Value] = a.Value, p
				case a.Name == "d" || a.Name == "points":
					p.times += len(a.Value) / 4
				}
			}
			if !strings.Contains(fmt.Sprint(attrs), "marker") {
				p.times = 1
			}
			if n == "a" {
				p.uses = nil
			}
			over := path[len(path)-1]
			over.children = append(over.children, p)
			path = append(path, p)
			style = n == "style"
			return nil
		},
		Text: func(s string) error {
			if style && (!strings.HasPrefix(s, "\n") || !web.Sheet(s[1:], web.Look{Drawing: true})) {
				return rule.Refuse(code, "style", "a style sheet that is not written here")
			}
			return nil
		},
		End: func(string) error {
			path, style = path[:len(path)-1], false
			return nil
		},
	})
	if err != nil {
		return err
	}
	return bounded(root, ids)
}

// bounded counts what is drawn, each element once.
func bounded(root *part, ids map[string]*part) error {
	done, open := map[*part]int{}, map[*part]bool{}
	var count func(p *part, depth int) (int, bool)
	count = func(p *part, depth int) (int, bool) {
		if c, ok := done[p]; ok {
			return c, true
		}
		if open[p] || depth > 3000 {
			return 0, false
		}
		open[p] = true
		sum := 1
		for _, c := range p.children {
			n, ok := count(c, depth+1)
			if sum += n; !ok || sum > maxShapes {
				return 0, false
			}
		}
		for _, id := range p.uses {
			if m := ids[id]; m != nil {
				n, ok := count(m, depth+1)
				if sum += n * p.times; !ok || sum > maxShapes {
					return 0, false
				}
			}
		}
		delete(open, p)
		done[p] = sum
		return sum, true
	}
	if _, ok := count(root, 0); !ok {
		return rule.Refuse(code, "", "the drawing uses itself, or draws more than %d shapes", maxShapes)
	}
	return nil
}

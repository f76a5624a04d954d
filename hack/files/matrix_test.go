package files

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/hack/files/honest"
	"github.com/sekisho/sekisho/hack/files/hostile"
)

// familyOf is the family that a name promises before it is rebuilt.
func familyOf(name string) string {
	if f := verdict.FamilyOf(name); f != "" {
		return f
	}
	return strings.TrimPrefix(strings.ToLower(path.Ext(name)), ".")
}

// broken makes of an honest file one that no program could read to its end: most are cut off, text is no text any more.
func broken(family string, body []byte) []byte {
	switch family {
	case "text", "csv", "md", "html", "svg", "xml", "json", "eml", "mht", "rtf", "fodt", "fods", "fodp":
		return []byte("\x81\x00\xFF\x00\x81 \xFD\xFE")
	case "jpeg", "gif", "bmp", "tiff": // a picture that is cut off shows what is there
		return body[:24]
	case "tar": // whose last thousand bytes are zeros
		return body[:520]
	}
	return body[:len(body)*2/3]
}

// TestEveryFamilyIsTriedInThreeWays: no family of the rebuilder's table comes without an honest file that passes, hostile ones (which
// TestNothingHostileSurvives judges), and a broken one that is refused with a sentence.
func TestEveryFamilyIsTriedInThreeWays(t *testing.T) {
	first := map[string]honest.File{}
	all, err := honest.Make(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if first[familyOf(f.Name)].Body == nil {
			first[familyOf(f.Name)] = f
		}
	}
	attacks := hostile.All()
	for _, family := range sanitize.Families() {
		if !slices.ContainsFunc(attacks, func(f hostile.File) bool {
			return f.Nesting == "bare" && familyOf(f.Name) == family && (f.Technique != "program" || strings.Contains(f.Name, ".exe."))
		}) {
			t.Errorf("%s: no hostile file but programs under its name", family)
		}
		f, ok := first[family]
		if !ok {
			t.Errorf("%s: no honest file", family)
			continue
		}
		if o, err := Pass(t.Context(), f.Name, f.Body, sanitize.Options{}); err != nil || !o.Clean() {
			no, side := o.Refusal()
			t.Errorf("%s: the honest file does not pass: %s %+v %v", family, side, no, err)
		}
		o, err := Pass(t.Context(), f.Name, broken(family, f.Body), sanitize.Options{})
		no, side := o.Refusal()
		if err != nil || o.Clean() || side != "sanitizer" || strings.HasPrefix(no.Code, "internal") || sanitize.Sentence(no.Code, "ja") == no.Code {
			t.Errorf("%s: a broken file: clean %v, %s says %+v, %v", family, o.Clean(), side, no, err)
		}
	}
}

// Package archive is the second opinion on archives that were written anew.
//
// Problem: what one program unpacks from an archive, another does not see; a reader that is lenient anywhere agrees with neither.
// Mechanism: one layout of ZIP, of tar and of gzip is accepted, the one that the rebuilder writes, byte by byte, and every member goes to
// the checker of the family that its name promises. Life cycle: one call of Check. Invariant: nil means that every byte of the archive
// is a header that this package expects, or belongs to a member that was checked.
package archive

import (
	_ "embed"
	"path"
	"strings"
	"unicode"

	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// Codes are what this package's refusals are called, with the sentences that a clerk reads (verdict.Catalogue).
//
//go:embed codes.json
var Codes []byte

const (
	codeLayout   = "verify.archive"  // structure
	codeMember   = "verify.member"   // name or place of a member
	codePassword = "verify.password" // encrypted under none of the passwords that are known
	codeLimit    = "verify.limit"
)

// Bounds of an archive, whatever a route allows.
const (
	maxMembers  = 10_000
	maxUnpacked = 2 << 30 // bytes
	maxPath     = 1100    // bytes
)

// Check reads an archive of the family that its name promises: zip, tar or gz.
func Check(f *rule.File) error {
	switch f.Family {
	case "zip":
		return checkZip(f)
	case "tar":
		return checkTar(f)
	case "gz":
		return checkGzip(f)
	}
	return rule.Refuse(codeLayout, "", "family %q", f.Family)
}

// tree holds members to one place each, in one folder of Windows.
type tree struct{ files, folders map[string]bool }

func newTree() *tree { return &tree{map[string]bool{}, map[string]bool{}} }

// add takes a path in visible form; its last element is also held to what a file may be called by the caller's Nested.
func (t *tree) add(p string) error {
	name, folder := strings.CutSuffix(p, "/")
	if name == "" || len(p) > maxPath {
		return rule.Refuse(codeMember, p, "path of %d bytes", len(p))
	}
	elements := strings.Split(name, "/")
	for i, e := range elements {
		if err := checkElement(e); err != nil {
			return rule.Within(p, err)
		}
		key := upper(strings.Join(elements[:i+1], "/"))
		last := i == len(elements)-1
		if t.files[key] || last && !folder && t.folders[key] {
			return rule.Refuse(codeMember, p, "a place that is taken")
		}
		if last && !folder {
			t.files[key] = true
		} else {
			t.folders[key] = true
		}
	}
	return nil
}

func upper(s string) string {
	return strings.Map(func(r rune) rune { return unicode.ToUpper(unicode.ToLower(r)) }, s)
}

// checkElement holds one element to names that Windows can hold and that do what they say.
func checkElement(e string) error {
	if e == "" || len(e) > 255 || strings.HasSuffix(e, ".") || strings.HasSuffix(e, " ") {
		return rule.Refuse(codeMember, "", "element %q", e)
	}
	for _, r := range e {
		if r < 0x20 || r == 0x7F || r == unicode.ReplacementChar || strings.ContainsRune(`<>:"|?*\`, r) || unicode.Is(unicode.Cf, r) && r != 0x200C && r != 0x200D && r != 0xAD || unicode.Is(unicode.Cc, r) {
			return rule.Refuse(codeMember, "", "character %U", r)
		}
	}
	stem := strings.TrimRight(strings.ToUpper(strings.SplitN(e, ".", 2)[0]), " ")
	if devices[stem] || len(stem) > 3 && ports[stem[:3]] && strings.Contains(" 0 1 2 3 4 5 6 7 8 9 ¹ ² ³ ", " "+stem[3:]+" ") {
		return rule.Refuse(codeMember, "", "device %q", e)
	}
	return nil
}

var (
	devices = map[string]bool{"CON": true, "PRN": true, "AUX": true, "NUL": true, "CLOCK$": true, "CONIN$": true, "CONOUT$": true}
	ports   = map[string]bool{"COM": true, "LPT": true}
)

// nested has a member checked.
func nested(f *rule.File, place string, body []byte) error {
	if err := f.Ctx.Err(); err != nil {
		return err
	}
	if len(body) == 0 && verdict.FamilyOf(place) != "" {
		return f.Admits(place, place)
	}
	return f.Member(place, path.Base(place), body)
}

package archive

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Bounds of a path.
const (
	maxPath    = 1000 // bytes
	maxElement = 255  // bytes
	maxFolders = 50
)

// plant gives each member its place in one tree, "" for one that is left out, before any of them is opened. An archive that holds
// two members at one place is refused: which one a program keeps is its own choice.
func plant(j *rebuild.Job, members []member) ([]string, error) {
	if len(members) > j.Budget.Files {
		return nil, rebuild.Refuse("limit.members", "", fmt.Sprintf("%d, %d left", len(members), j.Budget.Files))
	}
	places := make([]string, len(members))
	files, folders := map[string]bool{}, map[string]bool{}
	for i, m := range members {
		place, err := placeOf(m.path)
		if err == nil && m.odd != "" {
			err = rebuild.Refuse(m.odd, "", "")
		}
		switch {
		case err != nil && leaves(j, err):
			leftOut(j, rebuild.Printable(m.path, 100), err)
			continue
		case err != nil:
			return nil, rebuild.At(err, rebuild.Printable(m.path, 100))
		case place == "" && m.dir: // the folder itself
			continue
		case place == "":
			return nil, rebuild.Refuse("archive.name", rebuild.Printable(m.path, 100), "no name")
		case litter(place):
			j.Found.Add("archive.litter", "", verdict.Removed, path.Base(place))
			continue
		}
		key := fold(place)
		if files[key] || folders[key] && !m.dir {
			return nil, rebuild.Refuse("archive.twice", place, "")
		}
		for up := path.Dir(key); up != "."; up = path.Dir(up) {
			if files[up] {
				return nil, rebuild.Refuse("archive.twice", place, up)
			}
			folders[up] = true
		}
		if m.dir {
			folders[key] = true
		} else {
			files[key] = true
		}
		if rewritten(m.path, place) {
			j.Found.Add("name.changed", place, verdict.Changed, "")
		}
		places[i] = place
	}
	return places, nil
}

// rewritten tells whether a place differs from the path by more than the kind of its slashes.
func rewritten(from, place string) bool {
	return strings.Trim(strings.TrimPrefix(strings.ReplaceAll(from, `\`, "/"), "./"), "/") != place
}

// placeOf makes a path that means the same thing everywhere: relative, downward, of names that Windows can hold.
func placeOf(p string) (string, error) {
	p = strings.ReplaceAll(p, `\`, "/")
	if strings.HasPrefix(p, "/") || len(p) > 1 && p[1] == ':' && (p[0]|0x20 >= 'a' && p[0]|0x20 <= 'z') {
		return "", rebuild.Refuse("archive.path", "", "absolute")
	}
	var elements []string
	for e := range strings.SplitSeq(p, "/") {
		switch {
		case e == "" || e == ".":
			continue
		case e == "..":
			return "", rebuild.Refuse("archive.path", "", "..")
		case strings.TrimRight(e, ". ") != e:
			return "", rebuild.Refuse("archive.name", "", "ends with a dot or a space")
		}
		e = visible(e)
		if e == "" || rebuild.Device(e) || len(e) > maxElement || strings.TrimRight(e, ". ") != e {
			return "", rebuild.Refuse("archive.name", "", e)
		}
		elements = append(elements, e)
	}
	place := strings.Join(elements, "/")
	if len(place) > maxPath || len(elements) > maxFolders {
		return "", rebuild.Refuse("archive.name", "", fmt.Sprintf("%d bytes, %d folders", len(place), len(elements)))
	}
	return place, nil
}

// visible drops characters that hide or redirect, and puts _ for those that Windows gives a meaning.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, charset.Hidden(r), unicode.IsControl(r):
			return -1
		case strings.ContainsRune(`<>:"|?*`, r):
			return '_'
		}
		return r
	}, s)
}

// fold is the same for two names that one Windows folder cannot hold side by side.
func fold(p string) string { return strings.ToUpper(strings.ToLower(p)) }

// litter is what desktops leave in archives for themselves. No person put it there, and nobody misses it.
func litter(place string) bool {
	base := path.Base(place)
	switch strings.ToLower(base) {
	case ".ds_store", "thumbs.db", "desktop.ini":
		return true
	}
	return strings.HasPrefix(place, "__MACOSX/") || place == "__MACOSX" || strings.HasPrefix(base, "._")
}

package office

import (
	"net/url"
	"path"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/container"
	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// archive is a package with its content types.
type archive struct {
	*container.Archive
	types contentTypes
}

// contentTypes of a package: by part, else by extension; keys and values in lower case.
type contentTypes struct{ parts, extensions map[string]string }

func (a *archive) typeOf(key string) string {
	if t, ok := a.types.parts[key]; ok {
		return t
	}
	return a.types.extensions[strings.TrimPrefix(path.Ext(key), ".")]
}

const typesName = "[Content_Types].xml"

func (a *archive) readTypes() error {
	a.types = contentTypes{map[string]string{}, map[string]string{}}
	f := a.Members[container.Key(typesName)]
	if f == nil {
		return brokenPart("no " + typesName)
	}
	b, err := a.Unpack(f)
	if err != nil {
		return err
	}
	return eachElement(b, typesName, func(x *markup.Reader, t *markup.Token) error {
		switch (element{t.NS, t.Local}) {
		case element{"ct", "Default"}:
			a.types.extensions[strings.ToLower(attr(t, "Extension"))] = mediaType(attr(t, "ContentType"))
		case element{"ct", "Override"}:
			a.types.parts[container.Key(attr(t, "PartName"))] = mediaType(attr(t, "ContentType"))
		}
		return nil
	})
}

func mediaType(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return strings.ToLower(strings.TrimSpace(s))
}

// brokenPart refuses a package that is not what the standard asks for.
func brokenPart(detail string) error { return rebuild.Refuse("ooxml.broken", "", detail) }

// eachElement calls f with every start tag of a small part.
func eachElement(b []byte, place string, f func(*markup.Reader, *markup.Token) error) error {
	x, err := markup.New(b, spaces)
	if err != nil {
		return rebuild.At(err, place)
	}
	var t markup.Token
	for {
		if err := x.Next(&t); err != nil {
			return rebuild.At(err, place)
		}
		switch t.Kind {
		case markup.EOF:
			return nil
		case markup.Start:
			if err := f(x, &t); err != nil {
				return rebuild.At(err, place)
			}
		}
	}
}

// attr is the value of an attribute without prefix, empty when it is missing.
func attr(t *markup.Token, name string) string {
	for _, a := range t.Attrs {
		if string(a.Name) == name {
			return string(markup.Unescape(a.Value))
		}
	}
	return ""
}

// rel is one relationship as the package has it.
type rel struct {
	id, typ, target string
	external        bool
}

// relsOf reads the relationships of a part; of the package for an empty name.
func (a *archive) relsOf(name string) ([]rel, error) {
	relsName := path.Join(path.Dir(name), "_rels", path.Base(name)+".rels")
	if name == "" {
		relsName = "_rels/.rels"
	}
	f := a.Members[container.Key(relsName)]
	if f == nil {
		return nil, nil
	}
	b, err := a.Unpack(f)
	if err != nil {
		return nil, err
	}
	var rels []rel
	seen := map[string]bool{}
	err = eachElement(b, relsName, func(x *markup.Reader, t *markup.Token) error {
		if t.NS != "rel" || t.Local != "Relationship" {
			return nil
		}
		r := rel{attr(t, "Id"), attr(t, "Type"), strings.TrimSpace(attr(t, "Target")), strings.EqualFold(attr(t, "TargetMode"), "External")}
		if r.id == "" || seen[r.id] || len(rels) >= container.MaxMembers*2 {
			return brokenPart("relationship " + rebuild.Printable(r.id, 40))
		}
		seen[r.id] = true
		rels = append(rels, r)
		return nil
	})
	return rels, err
}

// resolve answers the key of the part that a relationship of the named part leads to, empty when it is not in the package.
func (a *archive) resolve(from, target string) string {
	target = strings.ReplaceAll(target, `\`, "/")
	target, _, _ = strings.Cut(target, "#")
	for _, t := range []string{target, unescaped(target)} {
		key := path.Join(path.Dir("/"+from), t)
		if strings.HasPrefix(t, "/") {
			key = path.Clean(t)
		}
		if key = container.Key(key); a.Members[key] != nil {
			return key
		}
	}
	return ""
}

func unescaped(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

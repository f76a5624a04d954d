package office

import (
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// attributes answers those that may pass, until the next call. gone says that the element needs a relationship that is gone.
func (f *partFilter) attributes(t *markup.Token) (kept []markup.Attr, gone bool, err error) {
	kept = f.kept[:0]
	defer func() { f.kept = kept[:0] }()
	e := element{t.NS, t.Local}
	vml := vmlSpaces[e.ns]
	if e.ns == "a" && strings.HasPrefix(e.local, "hlink") && !harmlessAction(attr(t, "action")) {
		f.note("ooxml.macro-call", attr(t, "action"))
		return kept, true, nil
	}
	for _, a := range t.Attrs {
		if isDeclaration(a.Name) {
			kept = append(kept, a)
			continue
		}
		ns, local, err := f.x.AttrName(a)
		if err != nil {
			return kept, false, err
		}
		if ns == "" {
			if !vml && !judged[string(local)] || f.plainAttribute(e, string(local), &a) {
				kept = append(kept, a)
			}
			continue
		}
		name := string(local)
		switch {
		case ns == "r" || ns == "o" && name == "relid":
			l := f.part.byID[string(markup.Unescape(a.Value))]
			switch {
			case len(a.Value) == 0:
			case !l.kept():
				if name == "id" && !keptWithoutRelation[e] {
					return kept, true, nil
				}
				continue
			case l.keepTarget && (name != "id" || !followed[e.local]): // it would be fetched
				f.note("ooxml.external", l.target)
				if name == "id" {
					return kept, true, nil
				}
				continue
			case name == "link":
				if f.embeds(t) || !l.blank {
					continue
				}
				prefix, _ := markup.Cut(a.Name)
				a.Name = append(append([]byte{}, prefix...), ":embed"...)
			}
		case ns == "mc":
			a.Value = f.declared(name, a.Value)
			if len(a.Value) == 0 {
				continue
			}
		case ns == "xml":
			if name == "base" {
				continue
			}
		case ns == "o" && (name == "href" || name == "althref" || name == "src"):
			if v := string(markup.Unescape(a.Value)); name != "href" || !rebuild.SafeURL(v) || f.noLink(v) || vmlFetches[e.local] {
				if v != "" {
					f.note("ooxml.link", v)
				}
				continue
			}
		case ns == "w" && name == "url", ns == "o" && name == "oleid":
			continue
		case strings.HasPrefix(ns, markup.Unknown):
			continue
		}
		kept = append(kept, a)
	}
	return kept, false, nil
}

// embeds tells whether the element has its picture in the package.
func (f *partFilter) embeds(t *markup.Token) bool {
	for _, a := range t.Attrs {
		if ns, local, err := f.x.AttrName(a); err == nil && ns == "r" && string(local) == "embed" && len(a.Value) > 0 {
			return true
		}
	}
	return false
}

// judged are attributes without prefix that plainAttribute looks at, besides all those of VML.
var judged = set("macro fmlaMacro macroName val formula textlink invalidUrl style userId")

// plainAttribute judges an attribute without prefix; false takes it out.
func (f *partFilter) plainAttribute(e element, name string, a *markup.Attr) bool {
	value := string(markup.Unescape(a.Value))
	if vmlSpaces[e.ns] {
		switch lower := strings.ToLower(name); {
		case lower == "href" && (!rebuild.SafeURL(value) || f.noLink(value) || vmlFetches[e.local]), lower == "src", lower == "althref":
			if value != "" {
				f.note("ooxml.external", value)
			}
			return false
		case strings.HasPrefix(lower, "on") && len(lower) > 4 && lower != "oned":
			f.note("ooxml.macro-call", name)
			return false
		}
	}
	switch name {
	case "macro", "fmlaMacro", "macroName":
		if value != "" {
			f.note("ooxml.macro-call", value)
			a.Value = nil
		}
	case "val":
		if e.local == "cfvo" && dangerous(value, nil) { // a threshold may be a formula
			f.note("ooxml.formula", "")
			a.Value = []byte("0")
		}
	case "formula":
		if (e.local == "cacheField" || e.local == "calculatedItem") && dangerous(value, nil) {
			f.note("ooxml.formula", "")
			return false
		}
	case "textlink":
		if dangerous(value, nil) {
			f.note("ooxml.formula", "")
			return false
		}
	case "invalidUrl":
		return false
	case "style":
		if lower := strings.ToLower(value); strings.Contains(lower, "url(") || strings.Contains(lower, "expression(") {
			return false
		}
	case "userId":
		return !strings.Contains(e.ns, "threadedcomments")
	}
	return true
}

// harmlessCommand tells timing commands that play what is on the slide; a verb would wake an object.
func harmlessCommand(kind, cmd string) bool {
	if rest, ok := strings.CutPrefix(cmd, "playFrom("); ok {
		return kind != "verb" && strings.Trim(rest, "0123456789.") == ")"
	}
	switch cmd {
	case "play", "pause", "resume", "stop", "togglePause":
		return kind != "verb"
	}
	return false
}

// harmlessAction tells what a click in a presentation may do by itself: move inside the show.
func harmlessAction(action string) bool {
	if action == "" {
		return true
	}
	verb, arg, _ := strings.Cut(action, "?")
	switch verb {
	case "ppaction://hlinksldjump", "ppaction://noaction":
		return arg == ""
	case "ppaction://hlinkshowjump":
		return arg == "" || wordAfter(arg, "jump=", "abcdefghijklmnopqrstuvwxyz")
	case "ppaction://customshow":
		arg = strings.TrimSuffix(strings.TrimSuffix(arg, "&return=true"), "&return=false")
		return arg == "" || wordAfter(arg, "id=", "0123456789")
	}
	return false
}

func wordAfter(s, key, alphabet string) bool {
	v, ok := strings.CutPrefix(s, key)
	return ok && v != "" && strings.Trim(v, alphabet) == ""
}

// declared keeps of a list of prefixes (mc:Ignorable and its kin) those that are declared here.
func (f *partFilter) declared(name string, value []byte) []byte {
	if name == "Requires" {
		return value
	}
	var keep []string
	for _, w := range strings.Fields(string(value)) {
		prefix, _, _ := strings.Cut(w, ":")
		ns, ok := f.x.Lookup([]byte(prefix))
		if !ok || name == "MustUnderstand" && strings.HasPrefix(ns, markup.Unknown) {
			continue
		}
		keep = append(keep, w)
	}
	return []byte(strings.Join(keep, " "))
}

// Package xml rebuilds XML that is data: what offices exchange by form and by interface.
//
// Problem: XML names other files (DTDs, entities, style sheets, XInclude), carries pages and drawings with scripts, and an instruction
// at its head makes Word or Excel open it as a document. Mechanism: the head is read here, the elements by package markup, which
// knows no DTD; names, attributes and text are written anew in one form. Life cycle: one call of Rebuild for a file; Prolog and
// Writer serve the family svg as well. Invariant: the result has a declaration, elements, attributes and text in UTF-8, with the
// structure and the text of the original, and nothing that leads out of it.
package xml

import (
	"bytes"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/sanitize/text"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// active are beginnings of namespaces whose elements do something where they are shown; a file with one is no data.
var active = []struct{ begin, what string }{
	{"http://www.w3.org/1999/xhtml", "page"},
	{"http://www.w3.org/2000/svg", "drawing"},
	{"http://www.w3.org/2001/XInclude", "include"},
	{"http://www.w3.org/2003/XInclude", "include"},
	{"http://www.w3.org/1999/XSL/", "transformation"},
	{"http://www.w3.org/TR/WD-xsl", "transformation"},
	{"http://www.w3.org/2001/xml-events", "events"},
	{"http://www.w3.org/2002/xforms", "form"},
	{"http://www.w3.org/ns/xbl", "script"},
	{"http://www.mozilla.org/", "program"},
	{"urn:schemas-microsoft-com:vml", "drawing"},
	{"urn:schemas-microsoft-com:xslt", "script"},
	{"urn:schemas-microsoft-com:office", office2003},
	{"http://schemas.microsoft.com/office", office2003},
	{"http://schemas.microsoft.com/visio", office2003},
	{"http://schemas.microsoft.com/winfx", "program"},
	{"urn:oasis:names:tc:opendocument:", "document"}, // a flat one, which LibreOffice opens under .xml, macros and all
	{"http://openoffice.org/", "document"},
	{"urn:openoffice:", "document"},
	{"http://schemas.openxmlformats.org/", "document"},
	{"http://purl.oclc.org/ooxml/", "document"},
	{"http://www.w3.org/1998/Math/", "page"},
	{"http://ns.adobe.com/xdp/", "form"},
	{"http://www.xfa.org/", "form"},
}

const office2003 = "Office 2003"

// acts tells what a namespace does, "" for data.
func acts(ns string) string {
	for _, a := range active {
		if len(ns) >= len(a.begin) && strings.EqualFold(ns[:len(a.begin)], a.begin) {
			return a.what
		}
	}
	return ""
}

// Rebuild rebuilds generic XML.
func Rebuild(j *rebuild.Job) (rebuild.Result, error) {
	b, err := Prolog(j)
	if err != nil {
		return rebuild.Result{}, err
	}
	x, err := markup.New(b, nil)
	if err != nil {
		return rebuild.Result{}, err
	}
	w := NewWriter(j)
	var t markup.Token
	for pieces := 0; ; pieces++ {
		if pieces&0xFFF == 0 && j.Ctx.Err() != nil {
			return rebuild.Result{}, j.Ctx.Err()
		}
		if err := x.Next(&t); err != nil {
			return rebuild.Result{}, err
		}
		switch t.Kind {
		case markup.EOF:
			return rebuild.Result{Body: w.Done(), Original: rebuild.PreviewOf(string(b)), Result: rebuild.PreviewOf(w.out.String())}, w.err
		case markup.Start:
			switch what := acts(strings.TrimPrefix(t.NS, markup.Unknown)); what {
			case "":
			case office2003:
				return rebuild.Result{}, rebuild.Refuse("xml.office", "", "")
			default:
				return rebuild.Result{}, rebuild.Refuse("xml.active", "", what)
			}
			w.Open(string(t.Name))
			for _, a := range t.Attrs {
				ns, local, err := x.AttrName(a)
				switch {
				case bytes.Equal(a.Name, []byte("xmlns")), bytes.HasPrefix(a.Name, []byte("xmlns:")):
					if acts(Value(a.Value)) != "" { // no element is in it: they are refused
						j.Found.First("xml.instruction", "", verdict.Removed, string(a.Name))
						continue
					}
				case err != nil:
					return rebuild.Result{}, err
				case acts(strings.TrimPrefix(ns, markup.Unknown)) != "":
					return rebuild.Result{}, rebuild.Refuse("xml.active", "", string(local))
				}
				w.Attr(string(a.Name), Value(a.Value))
			}
			w.Close(t.Empty)
			if t.Empty { // its end has no bytes of its own
				if err := x.Next(&t); err != nil {
					return rebuild.Result{}, err
				}
			}
		case markup.End:
			w.End(string(t.Name))
		case markup.Text:
			w.Text(string(markup.Unescape(t.Text)))
		}
		if w.err != nil {
			return rebuild.Result{}, w.err
		}
	}
}

// Value is what an attribute, escaped as in the source, stands for: white space as it stands is a space, by number it is itself.
func Value(raw []byte) string {
	return string(markup.Unescape(bytes.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		return r
	}, raw)))
}

// Prolog decodes the job's file and answers it from its document element on, with line ends as XML knows them. A document type
// without declarations goes; one with declarations is refused, since what they say is in the text. Instructions and comments go.
func Prolog(j *rebuild.Job) ([]byte, error) {
	t, err := text.Read(j.In, declared(j.In))
	if err != nil {
		return nil, err
	}
	if t.Name() != "UTF-8" {
		j.Found.Add("xml.charset", "", verdict.Changed, t.Name()+" -> UTF-8")
	}
	b := []byte(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(t.Unicode()))
	if bytes.Contains(b, []byte("<?mso-application")) {
		return nil, rebuild.Refuse("xml.office", "", "")
	}
	first := true
	for {
		b = bytes.TrimLeft(b, " \t\n")
		switch {
		case bytes.HasPrefix(b, []byte("<?")):
			end := bytes.Index(b, []byte("?>"))
			if end < 0 {
				return nil, rebuild.Refuse("xml.broken", "", "instruction without end")
			}
			if name, _, _ := strings.Cut(string(b[2:end]), " "); name != "xml" || !first {
				j.Found.Add("xml.instruction", "", verdict.Removed, name)
			}
			b = b[end+2:]
		case bytes.HasPrefix(b, []byte("<!--")):
			end := bytes.Index(b[4:], []byte("-->"))
			if end < 0 {
				return nil, rebuild.Refuse("xml.broken", "", "comment without end")
			}
			j.Found.First("xml.comment", "", verdict.Removed, "")
			b = b[4+end+3:]
		case bytes.HasPrefix(b, []byte("<!DOCTYPE")):
			end, err := doctype(b)
			if err != nil {
				return nil, err
			}
			j.Found.Add("xml.doctype", "", verdict.Removed, "")
			b = b[end:]
		default:
			if bytes.Contains(b, []byte("<!--")) {
				j.Found.First("xml.comment", "", verdict.Removed, "")
			}
			if bytes.Contains(b, []byte("<?")) {
				j.Found.Add("xml.instruction", "", verdict.Removed, "")
			}
			return b, nil
		}
		first = false
	}
}

// declared is the encoding of the XML declaration, or "".
func declared(in []byte) string {
	head := string(in[:min(len(in), 256)])
	if !strings.HasPrefix(strings.TrimPrefix(head, string(charset.MarkUTF8)), "<?xml") {
		return ""
	}
	head, _, _ = strings.Cut(head, "?>")
	_, after, ok := strings.Cut(head, "encoding")
	after = strings.TrimLeft(after, " \t\r\n=")
	if !ok || len(after) < 2 {
		return ""
	}
	name, _, _ := strings.Cut(after[1:], after[:1])
	return name
}

// doctype is the length of the document type at the start of b.
func doctype(b []byte) (int, error) {
	var quote byte
	for i, c := range b {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"', c == '\'':
			quote = c
		case c == '[':
			return 0, rebuild.Refuse("xml.dtd", "", "")
		case c == '>':
			return i + 1, nil
		}
	}
	return 0, rebuild.Refuse("xml.broken", "", "document type without end")
}

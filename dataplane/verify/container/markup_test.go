package container

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

var testSpaces = map[string]string{"http://www.w3.org/XML/1998/namespace": "xml", "urn:a": "a", "urn:a2": "a", "urn:b": "b", "urn:mc": "mc"}

// told is what a visitor is told of a part.
func told(t testing.TB, part string) (string, error) {
	t.Helper()
	var b strings.Builder
	err := Walk(context.Background(), "p.xml", []byte(part), testSpaces, Visitor{
		Start: func(n Node, path []string) error {
			fmt.Fprintf(&b, "<%d %s", len(path), n.Name)
			for _, a := range n.Attrs {
				fmt.Fprintf(&b, " %s=%q", a.Name, a.Value)
			}
			b.WriteString(">")
			return nil
		},
		Text: func(in, s string) error { fmt.Fprintf(&b, "%s:%q", in, s); return nil },
		End:  func(name string) error { fmt.Fprintf(&b, "</%s>", name); return nil },
	})
	return b.String(), err
}

func TestWalk(t *testing.T) {
	for _, c := range []struct{ name, part, want string }{
		{"names and text", `<a:r xmlns:a="urn:a"><a:t>x &amp; &#x9AD9;&#10;&lt;</a:t></a:r>`, `<1 a:r><2 a:t>a:t:"x & 髙\n<"</a:t></a:r>`},
		{"default namespace, not of attributes", `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\r\n" + `<r xmlns="urn:a" v="1" xml:space="preserve"/>`, `<1 a:r v="1" xml:space="preserve"></a:r>`},
		{"another prefix inside", `<a:r xmlns:a="urn:a"><a:t xmlns:a="urn:b"><a:u/></a:t><a:t/></a:r>`, `<1 a:r><2 b:t><3 b:u></b:u></b:t><2 a:t></a:t></a:r>`},
		{"an unknown namespace that nothing uses", `<a:r xmlns:a="urn:a" xmlns:z="urn:z" xmlns:mc="urn:mc" mc:Ignorable="z"/>`, `<1 a:r mc:Ignorable="z"></a:r>`},
		{"no namespace", `<xml xmlns:a="urn:a"><a:t/></xml>`, `<1 none:xml><2 a:t></a:t></none:xml>`},
		{"no namespace, again", `<r xmlns="urn:a"><xml xmlns=""/></r>`, `<1 a:r><2 none:xml></none:xml></a:r>`},
		{"names beyond ASCII", `<a:件名 xmlns:a="urn:a"/>`, `<1 a:件名></a:件名>`},
	} {
		if got, err := told(t, c.part); err != nil || got != c.want {
			t.Errorf("%s: %v\n got %s\nwant %s", c.name, err, got, c.want)
		}
	}
}

// What another reader may see otherwise is refused.
func TestWalkRefuses(t *testing.T) {
	wide := func(n int, attr string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, attr, i)
		}
		return b.String()
	}
	for name, part := range map[string]string{
		"nothing":                        ``,
		"text only":                      `x`,
		"cut off":                        `<a:r xmlns:a="urn:a"><a:t>`,
		"cut off in a tag":               `<a:r xmlns:a="urn:a"`,
		"cut off in a value":             `<a:r xmlns:a="urn:a`,
		"a second root":                  `<a:r xmlns:a="urn:a"/><a:r xmlns:a="urn:a"/>`,
		"text behind the root":           `<a:r xmlns:a="urn:a"/>x`,
		"tags that do not match":         `<a:r xmlns:a="urn:a"><a:t></a:r></a:t>`,
		"an end tag that goes on":        `<a:r xmlns:a="urn:a"></a:rs>`,
		"the same name, another prefix":  `<a:r xmlns:a="urn:a" xmlns:b="urn:a"></b:r>`,
		"a comment":                      `<a:r xmlns:a="urn:a"><!-- x --></a:r>`,
		"a DTD":                          `<!DOCTYPE r><a:r xmlns:a="urn:a"/>`,
		"CDATA":                          `<a:r xmlns:a="urn:a"><![CDATA[x]]></a:r>`,
		"an instruction":                 `<a:r xmlns:a="urn:a"><?x y?></a:r>`,
		"another encoding":               `<?xml version="1.0" encoding="UTF-7"?><a:r xmlns:a="urn:a"/>`,
		"XML 1.1":                        `<?xml version="1.1" encoding="UTF-8"?><a:r xmlns:a="urn:a"/>`,
		"UTF-16":                         "\xFF\xFE<\x00r\x00/\x00>\x00",
		"a mark in front":                "\xEF\xBB\xBF" + `<a:r xmlns:a="urn:a"/>`,
		"no UTF-8":                       `<a:r xmlns:a="urn:a">` + "\xC0\x80" + `</a:r>`,
		"a control character":            `<a:r xmlns:a="urn:a">` + "\x01" + `</a:r>`,
		"a control character by number":  `<a:r xmlns:a="urn:a">&#1;</a:r>`,
		"no character":                   `<a:r xmlns:a="urn:a">` + "\uFFFE" + `</a:r>`,
		"half of a pair":                 `<a:r xmlns:a="urn:a">&#xD800;</a:r>`,
		"an unknown entity":              `<a:r xmlns:a="urn:a">&x;</a:r>`,
		"an open reference":              `<a:r xmlns:a="urn:a">a & b</a:r>`,
		"an entity in capitals":          `<a:r xmlns:a="urn:a">&LT;</a:r>`,
		"the end of CDATA":               `<a:r xmlns:a="urn:a">]]></a:r>`,
		"< in a value":                   `<a:r xmlns:a="urn:a" v="<"/>`,
		"single quotes":                  `<a:r xmlns:a='urn:a'/>`,
		"space in a tag":                 `<a:r xmlns:a="urn:a" ></a:r>`,
		"two spaces":                     `<a:r  xmlns:a="urn:a"/>`,
		"a line in a tag":                "<a:r\nxmlns:a=\"urn:a\"/>",
		"space around =":                 `<a:r xmlns:a ="urn:a"/>`,
		"no space between":               `<a:r xmlns:a="urn:a"v="1"/>`,
		"space in an end tag":            `<a:r xmlns:a="urn:a"></a:r >`,
		"an attribute twice":             `<a:r xmlns:a="urn:a" v="1" v="2"/>`,
		"twice by two prefixes":          `<a:r xmlns:a="urn:a" xmlns:b="urn:a" a:v="1" b:v="2"/>`,
		"twice by two namespaces of one": `<a:r xmlns:a="urn:a" xmlns:b="urn:a2" a:v="1" b:v="2"/>`,
		"twice among many":               `<a:r xmlns:a="urn:a"` + wide(40, ` v%d=""`) + ` v7=""/>`,
		"too many attributes":            `<a:r xmlns:a="urn:a"` + wide(1000, ` v%d=""`) + `/>`,
		"a prefix twice":                 `<a:r xmlns:a="urn:a" xmlns:a="urn:b"/>`,
		"an unknown prefix":              `<z:r xmlns:a="urn:a"/>`,
		"an unknown namespace":           `<z:r xmlns:z="urn:z"/>`,
		"an attribute of an unknown one": `<a:r xmlns:a="urn:a" xmlns:z="urn:z" z:v="1"/>`,
		"a prefix taken back":            `<a:r xmlns:a="urn:a"><a:t xmlns:a=""/></a:r>`,
		"xml as something else":          `<a:r xmlns:a="urn:a" xmlns:xml="urn:b"/>`,
		"something else as xml":          `<a:r xmlns:a="urn:a" xmlns:b="http://www.w3.org/XML/1998/namespace"/>`,
		"the prefix xmlns":               `<a:r xmlns:a="urn:a" xmlns:xmlns="urn:b"/>`,
		"two colons":                     `<a:r:s xmlns:a="urn:a"/>`,
		"a colon at the end":             `<a: xmlns:a="urn:a"/>`,
		"a name from a number":           `<a:1 xmlns:a="urn:a"/>`,
		"ignorable, not declared":        `<a:r xmlns:a="urn:a" xmlns:mc="urn:mc" mc:Ignorable="z"/>`,
		"required, not declared":         `<a:r xmlns:a="urn:a" xmlns:mc="urn:mc"><mc:Choice Requires="z"/></a:r>`,
		"too deep":                       strings.Repeat(`<r>`, 401) + strings.Repeat(`</r>`, 401),
	} {
		if got, err := told(t, part); err == nil {
			t.Errorf("%s passes: %s", name, got)
		}
	}
}

func TestWalkStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Walk(ctx, "p.xml", []byte(`<r/>`), nil, Visitor{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// FuzzWalk: what passes is read alike by the reader of the standard library.
func FuzzWalk(f *testing.F) {
	for _, s := range []string{`<a:r xmlns:a="urn:a"><a:t v="1" a:v="&quot;">x &amp;&#13; y</a:t></a:r>`, `<?xml version="1.0" encoding="UTF-8"?><r xmlns="urn:a"><r xmlns="urn:b"/>` + "\r\n" + `</r>`, `<a xml:space="preserve">]</a>`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, part string) {
		got, err := told(t, part)
		if err != nil {
			return
		}
		var b strings.Builder
		var path []string
		name := func(n xml.Name) string {
			if n.Space == "" {
				return "none:" + n.Local
			}
			if n.Space == "xml" {
				return "xml:" + n.Local
			}
			return testSpaces[n.Space] + ":" + n.Local
		}
		d := xml.NewDecoder(bytes.NewReader([]byte(part)))
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%q passes, but %v", part, err)
			}
			switch k := token.(type) {
			case xml.StartElement:
				path = append(path, name(k.Name))
				fmt.Fprintf(&b, "<%d %s", len(path), name(k.Name))
				for _, a := range k.Attr {
					if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
						continue
					}
					n := a.Name.Local
					if a.Name.Space != "" {
						n = name(a.Name)
					}
					fmt.Fprintf(&b, " %s=%q", n, a.Value)
				}
				b.WriteString(">")
			case xml.EndElement:
				fmt.Fprintf(&b, "</%s>", name(k.Name))
				path = path[:len(path)-1]
			case xml.CharData:
				if len(path) > 0 {
					fmt.Fprintf(&b, "%s:%q", path[len(path)-1], k)
				}
			case xml.ProcInst:
				if k.Target != "xml" {
					t.Fatalf("%q passes with an instruction", part)
				}
			default:
				t.Fatalf("%q passes with %T", part, token)
			}
		}
		// The standard library takes line ends together; ours hands them out as they stand.
		if want := b.String(); got != want && !strings.Contains(part, "\r") {
			t.Errorf("%q\n got %s\nwant %s", part, got, want)
		}
	})
}

package markup

import (
	"errors"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// echo writes the tokens again.
func echo(in string) (string, error) {
	x, err := New([]byte(in), nil)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	var t Token
	empty := false
	for {
		if err := x.Next(&t); err != nil {
			return "", err
		}
		switch t.Kind {
		case EOF:
			return out.String(), nil
		case Text:
			out.Write(t.Text)
		case Start:
			out.WriteString("<" + string(t.Name))
			for _, a := range t.Attrs {
				out.WriteString(" " + string(a.Name) + `="` + string(a.Value) + `"`)
			}
			if empty = t.Empty; empty {
				out.WriteString("/")
			}
			out.WriteString(">")
		case End:
			if !empty {
				out.WriteString("</" + string(t.Name) + ">")
			}
			empty = false
		}
	}
}

func TestTokensAreAsWritten(t *testing.T) {
	for in, want := range map[string]string{
		`<?xml version="1.0" encoding="UTF-8"?>` + "\r\n" + `<w:a xmlns:w="u" w:b="1 &lt; 2"><w:c/>x &#x3042; &amp;</w:a>`: `<w:a xmlns:w="u" w:b="1 &lt; 2"><w:c/>x &#x3042; &amp;</w:a>`,
		`<a b='say "x"'><!-- c --><?pi x?>t</a >`:             `<a b="say &quot;x&quot;">t</a>`,
		`<a><![CDATA[1 < 2 & 3]]></a>`:                        `<a>1 &lt; 2 &amp; 3</a>`,
		"\xEF\xBB\xBF<a>]]&gt;</a>":                           `<a>]]&gt;</a>`,
		"\xFF\xFE<\x00a\x00>\x00\x42\x30<\x00/\x00a\x00>\x00": "<a>\u3042</a>",
	} {
		got, err := echo(in)
		if err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestMalformedXMLIsRefused(t *testing.T) {
	for in, code := range map[string]string{
		`<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`: "xml.dtd",
		`<a>&x;</a>`:                 "xml.dtd",
		`<a>&#0;</a>`:                "xml.dtd",
		`<a>&#xD800;</a>`:            "xml.dtd",
		`<a>& b</a>`:                 "xml.broken",
		`<a><b></a></b>`:             "xml.broken",
		`<a>`:                        "xml.broken",
		``:                           "xml.broken",
		`x<a/>`:                      "xml.broken",
		`<a/><b/>`:                   "xml.broken",
		`<a b="1" b="2"/>`:           "xml.broken",
		`<a b="<"/>`:                 "xml.broken",
		`<a b=1/>`:                   "xml.broken",
		`<a b="1"c="2"/>`:            "xml.broken",
		`<w:a/>`:                     "xml.broken",
		`<w:a xmlns:w=""/>`:          "xml.broken",
		`<a:b:c xmlns:a="x"/>`:       "xml.broken",
		"<a>\x01</a>":                "xml.broken",
		"<a>\xFF</a>":                "xml.encoding",
		"<a><!-- -- --></a>":         "xml.broken",
		"<a><?xml version='1'?></a>": "xml.broken",
		"<?xml version='1.0' encoding='Shift_JIS'?><a>あ</a>": "xml.encoding",
		strings.Repeat("<a>", MaxDepth+1):                    "limit.depth",
	} {
		_, err := echo(in)
		var r *rebuild.Refusal
		if !errors.As(err, &r) || r.Code != code {
			t.Errorf("%.60q: got %v, want %s", in, err, code)
		}
	}
}

func FuzzXML(f *testing.F) {
	f.Add(`<?xml version="1.0"?><w:a xmlns:w="u" mc:x='"'><![CDATA[<]]>&amp;<b/></w:a>`)
	f.Add(`<a xmlns="x"><b xmlns:c="d" c:e="&#x10FFFF;">]]&gt;</b></a>`)
	f.Fuzz(func(t *testing.T, in string) {
		once, err := echo(in)
		if err != nil {
			return
		}
		twice, err := echo(once)
		if err != nil || once != twice {
			t.Fatalf("%q became %q, then %q, %v", in, once, twice, err)
		}
	})
}

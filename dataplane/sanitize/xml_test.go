package sanitize

import (
	"errors"
	"strings"
	"testing"
)

// echo writes the tokens again.
func echo(in string) (string, error) {
	x, err := newXML([]byte(in))
	if err != nil {
		return "", err
	}
	var out strings.Builder
	var t xmlToken
	empty := false
	for {
		if err := x.next(&t); err != nil {
			return "", err
		}
		switch t.kind {
		case xmlEOF:
			return out.String(), nil
		case xmlText:
			out.Write(t.text)
		case xmlStart:
			out.WriteString("<" + string(t.name))
			for _, a := range t.attrs {
				out.WriteString(" " + string(a.name) + `="` + string(a.value) + `"`)
			}
			if empty = t.empty; empty {
				out.WriteString("/")
			}
			out.WriteString(">")
		case xmlEnd:
			if !empty {
				out.WriteString("</" + string(t.name) + ">")
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
		`<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`: "ooxml.dtd",
		`<a>&x;</a>`:                 "ooxml.dtd",
		`<a>&#0;</a>`:                "ooxml.dtd",
		`<a>&#xD800;</a>`:            "ooxml.dtd",
		`<a>& b</a>`:                 "ooxml.broken",
		`<a><b></a></b>`:             "ooxml.broken",
		`<a>`:                        "ooxml.broken",
		``:                           "ooxml.broken",
		`x<a/>`:                      "ooxml.broken",
		`<a/><b/>`:                   "ooxml.broken",
		`<a b="1" b="2"/>`:           "ooxml.broken",
		`<a b="<"/>`:                 "ooxml.broken",
		`<a b=1/>`:                   "ooxml.broken",
		`<a b="1"c="2"/>`:            "ooxml.broken",
		`<w:a/>`:                     "ooxml.broken",
		`<w:a xmlns:w=""/>`:          "ooxml.broken",
		`<a:b:c xmlns:a="x"/>`:       "ooxml.broken",
		"<a>\x01</a>":                "ooxml.broken",
		"<a>\xFF</a>":                "ooxml.encoding",
		"<a><!-- -- --></a>":         "ooxml.broken",
		"<a><?xml version='1'?></a>": "ooxml.broken",
		"<?xml version='1.0' encoding='Shift_JIS'?><a>あ</a>": "ooxml.encoding",
		strings.Repeat("<a>", maxDepth+1):                    "limit.depth",
	} {
		_, err := echo(in)
		var r *refusal
		if !errors.As(err, &r) || r.code != code {
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

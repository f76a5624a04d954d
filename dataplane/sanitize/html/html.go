// Package html rebuilds web pages and the HTML bodies of mails.
//
// Problem: a page runs scripts, sends forms, loads what tells a stranger who reads it, hides text, and is read by each browser in its
// own way where it is written badly. Mechanism: the parser of golang.org/x/net makes of any bytes the tree that browsers make of them;
// a walk over that tree writes the elements, attributes, addresses and properties of our lists anew, and the result is parsed and
// written again until it is what is parsed from it, so that no browser can read another tree out of it. Not bluemonday: its lists
// and its walk over tokens would be the sanitizing rules, which are ours, and it does not hold its own output to the tree.
// Life cycle: Rebuild for a file; Clean and Text for the body of a mail. Invariant: what is written is UTF-8 in one strict form
// (every end tag, every value in double quotes, four entities), which package verify/html reads with a tokenizer of its own.
package html

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	parser "golang.org/x/net/html"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/sanitize/text"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// maxIn bounds a page, in bytes of UTF-8: its tree takes many times as much.
const maxIn = 32 << 20

// maxDepth bounds how deep elements may lie in elements; the parser has such a limit too.
const maxDepth = 600

// shown is how much of the original is read for its preview, in bytes.
const shown = 256 << 10

// maxRounds bounds how often a page is written again until it stays as it is.
const maxRounds = 5

// Options of Clean and Text.
type Options struct {
	// Keep tells whether a picture of the mail may stay where it is, by its Content-ID without brackets ("a@b" of cid:a@b); nil
	// lets none stay. Who says yes hands the picture, rebuilt, beside the page, and tells the verifier the same names.
	Keep func(id string) bool
}

// Rebuild rebuilds a page. The result is UTF-8, and says so.
func Rebuild(j *rebuild.Job) (rebuild.Result, error) {
	src, set, err := Decode(j.In)
	if err != nil {
		return rebuild.Result{}, err
	}
	if set != "UTF-8" {
		j.Found.Add("html.charset", "", verdict.Changed, set+" -> UTF-8")
	}
	before, err := Text(j.Ctx, strings.ToValidUTF8(src[:min(len(src), shown)], ""), Options{})
	if err != nil {
		return rebuild.Result{}, err
	}
	out, tree, err := clean(j, src, Options{})
	if err != nil {
		return rebuild.Result{}, err
	}
	after, err := told(j.Ctx, tree)
	if err != nil {
		return rebuild.Result{}, err
	}
	n := 0
	for line := range strings.SplitSeq(after, "\n") {
		if n++; strings.Contains(line, " | ") {
			j.Row(fmt.Sprintf("R%d", n), strings.Split(line, " | "))
		} else {
			j.Text(fmt.Sprintf("L%d", n), line)
		}
	}
	return rebuild.Result{Body: []byte(out), Original: rebuild.PreviewOf(before), Result: rebuild.PreviewOf(after)}, nil
}

// Decode reads a page's bytes as Unicode: by its byte order mark, by what its meta element says, or by what it looks like. set
// is the encoding that was found.
func Decode(in []byte) (src, set string, err error) {
	t, err := text.Read(in, declared(in))
	if err != nil {
		return "", "", err
	}
	return t.Unicode(), t.Name(), nil
}

// declared is the encoding that the beginning of a page names, or "".
func declared(in []byte) string {
	z := parser.NewTokenizer(bytes.NewReader(in[:min(len(in), 4096)]))
	for {
		switch z.Next() {
		case parser.ErrorToken:
			return ""
		case parser.StartTagToken, parser.SelfClosingTagToken:
			t := z.Token()
			switch t.Data {
			case "body":
				return ""
			case "meta":
				content := ""
				for _, a := range t.Attr {
					switch a.Key {
					case "charset":
						return a.Val
					case "content":
						content = a.Val
					}
				}
				if _, after, ok := strings.Cut(strings.ToLower(content), "charset="); ok {
					name, _, _ := strings.Cut(after, ";")
					return strings.Trim(name, ` "'`)
				}
			}
		}
	}
}

// Clean rebuilds a page or the HTML body of a mail, given as Unicode (Decode, or the charset that the mail names), and answers
// a whole page in UTF-8. What it took out is in j.Found; pictures in it (data:) go through j.Nested. rebuild.ErrAsked is
// answered as by every family: all questions have been asked by then.
func Clean(j *rebuild.Job, src string, o Options) (string, error) {
	out, _, err := clean(j, src, o)
	return out, err
}

// clean answers the tree of the result, too.
func clean(j *rebuild.Job, src string, o Options) (string, *parser.Node, error) {
	w := &writer{job: j, o: o, pictures: map[string]string{}}
	for range maxRounds {
		tree, err := parse(j.Ctx, src)
		if err != nil {
			return "", nil, err
		}
		w.out.Reset()
		if err := w.page(tree); err != nil {
			return "", nil, err
		}
		if w.asked {
			return "", nil, rebuild.ErrAsked
		}
		if int64(w.out.Len()) > j.MaxOut {
			return "", nil, rebuild.Refuse("limit.output", "", fmt.Sprintf("limit %d bytes", j.MaxOut))
		}
		if w.out.String() == src {
			return src, tree, nil
		}
		src = w.out.String()
	}
	return "", nil, rebuild.Refuse("html.unsettled", "", "")
}

func parse(ctx context.Context, src string) (*parser.Node, error) {
	if len(src) > maxIn {
		return nil, rebuild.Refuse("limit.size", "", fmt.Sprintf("%d bytes of HTML, limit %d", len(src), maxIn))
	}
	if err := grown(src); err != nil {
		return nil, err
	}
	tree, err := parser.ParseWithOptions(patient{ctx, strings.NewReader(src)}, parser.ParseOptionEnableScripting(false))
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && !errors.Is(err, io.EOF):
		return nil, rebuild.Refuse("limit.depth", "", err.Error())
	}
	return tree, nil
}

// patient reads until the context ends.
type patient struct {
	ctx context.Context
	r   io.Reader
}

func (p patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.r.Read(b)
}

// Package pdf rebuilds PDF files from the objects that an allow-list names.
//
// Problem: a PDF is a graph of objects that readers follow from many sides, with programs in a dozen places (JavaScript, actions,
// forms, media, fonts), histories of itself, and pictures in formats whose decoders break. Mechanism: qpdf, in a sandbox of its own,
// reads whatever the file is into JSON; this package follows the graph from its root with a table that says for each place what may
// be there, writes every content stream again operator by operator, decodes pictures and encodes them again, and builds a new graph
// with new numbers, of which qpdf writes a file with one revision and nothing else. What the table does not name is not written, and
// what is no object of the kind that its place wants is not written either. Life cycle: a job is run up to three times, since qpdf
// and the decoders are asked and answer outside (rebuild.Tools). Invariant: no byte of the original reaches the result except as a
// value, an operator, a font's table or a pixel that was understood as one.
//
// Fonts are written again from their parts: tables and glyphs of TrueType, dictionaries, glyphs and subroutines of CFF as far as a
// program reaches, glyphs and numbers of Type 1 without its PostScript. Hinting instructions of TrueType stay as they are.
package pdf

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Codes are what this package's findings and refusals are called, with the sentences that a clerk reads (verdict.Catalogue).
//
//go:embed codes.json
var Codes []byte

// Rebuild makes a new PDF of the job's.
func Rebuild(j *rebuild.Job) (rebuild.Result, error) {
	in, key, err := open(j)
	if err != nil {
		return rebuild.Result{}, err
	}
	if err := j.Budget.Spend(int64(len(in))); err != nil {
		return rebuild.Result{}, err
	}
	doc, err := read(j.Ctx, in)
	switch {
	case errors.Is(err, errDeep):
		return rebuild.Result{}, rebuild.Refuse("limit.nesting", "", "")
	case err != nil:
		return rebuild.Result{}, fmt.Errorf("read qpdf's answer: %w", err)
	}
	w := &walk{Job: j, doc: doc, kinds: table(), new: map[as]ref{}, pageOf: map[ref]ref{}, key: key, faces: map[ref]*face{}, off: map[ref]bool{}}
	history(j)
	objects, root, err := w.document()
	if err != nil {
		return rebuild.Result{}, err
	}
	out, err := j.Tools.Ask("pdf-write", nil, write(objects, root))
	if err != nil {
		return rebuild.Result{}, err
	}
	return rebuild.Result{Family: "pdf", Body: out}, nil
}

// history says what was left behind with the file's own bytes: former states of it, which hold what somebody took out or painted
// over, and what follows its end.
func history(j *rebuild.Job) {
	if n := bytes.Count(j.In, []byte("startxref")); n > 1 && !bytes.Contains(j.In[:min(len(j.In), 2048)], []byte("/Linearized")) || n > 2 {
		j.Found.Add("pdf.history", "", verdict.Removed, "")
	}
	if at := bytes.LastIndex(j.In, []byte("%%EOF")); at >= 0 && len(bytes.Trim(j.In[at+len("%%EOF"):], "\x00\r\n\t ")) > 0 {
		j.Found.Add("pdf.tail", "", verdict.Removed, "")
	}
}

// maxTried bounds the bytes of the file that go out with its passwords in one round.
const maxTried = 256 << 20

// open has the file read, with the first password that fits where it needs one. key is nil where none was needed. Rounds are few, so
// all passwords are tried in one as far as the file's size allows.
func open(j *rebuild.Job) (in []byte, key map[string]string, err error) {
	in, err = j.Tools.Ask("pdf-read", nil, j.In)
	atOnce := max(1, maxTried/max(1, len(j.In)))
	for i := 0; wantsKey(err) && i < len(j.Keys); i += atOnce {
		in, key, err = try(j, j.Keys[i:min(len(j.Keys), i+atOnce)])
	}
	switch {
	case wantsKey(err):
		err = rebuild.Refuse("pdf.password", "", "")
	case rebuild.Refused(err):
		err = rebuild.Refuse("pdf.broken", "", err.Error())
	}
	return in, key, err
}

// try asks for the file under each of the passwords, and answers what the first one opened. While one answer is not there, none
// counts: the same file comes out whatever came first.
func try(j *rebuild.Job, keys []string) (in []byte, key map[string]string, err error) {
	waits := false
	for _, k := range keys {
		option := map[string]string{"password": k}
		b, e := j.Tools.Ask("pdf-read", option, j.In)
		switch {
		case errors.Is(e, rebuild.ErrAsked):
			waits = true
		case key != nil:
		case wantsKey(e):
			err = e
		default:
			in, key, err = b, option, e
		}
	}
	if waits {
		return nil, nil, rebuild.ErrAsked
	}
	return in, key, err
}

// wantsKey tells that the file needs a password, or another one.
func wantsKey(err error) bool {
	var r *rebuild.Refusal
	return errors.As(err, &r) && r.Code == "helper.password"
}

// document is the new graph.
func (w *walk) document() ([]*object, ref, error) {
	catalog, o := w.get(w.doc.trailer["Root"])
	old, ok := catalog.(dict)
	if !ok || o.stream {
		return nil, 0, rebuild.Refuse("pdf.broken", "", "no catalog")
	}
	if w.doc.trailer["Encrypt"] != nil {
		w.Found.Add("pdf.encryption", "", verdict.Changed, "")
	}
	if w.doc.trailer["Info"] != nil {
		w.removed("pdf.metadata", "")
	}
	root, err := w.catalog(old)
	if err != nil {
		return nil, 0, err
	}
	if w.asked {
		return nil, 0, rebuild.ErrAsked
	}
	w.titles()
	w.settle()
	if err := w.flatten(); err != nil {
		return nil, 0, err
	}
	if w.asked {
		return nil, 0, rebuild.ErrAsked
	}
	objects, broken := w.numbered(root)
	if broken != nil {
		return nil, 0, rebuild.Refuse("pdf.broken", "", broken.kind+": "+broken.broken.Error())
	}
	return objects, 1, nil
}

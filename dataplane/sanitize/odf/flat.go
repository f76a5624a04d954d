package odf

import (
	"bytes"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// flats is what documents that are one XML become.
var flats = map[string]string{".fodt": "odt", ".fods": "ods", ".fodp": "odp"}

// head is how far into the file its document element begins at the latest, in bytes.
const head = 4096

// Flat rebuilds a document that is one XML, pictures and macros and all: LibreOffice, in a sandbox of its own, makes a package of it, which
// is rebuilt like any other.
func Flat(j *rebuild.Job) (rebuild.Result, error) {
	to := flats[j.Ext]
	begin := j.In[:min(len(j.In), head)]
	switch {
	case bytes.Contains(j.In, []byte("<!DOCTYPE")), bytes.Contains(j.In, []byte("<!ENTITY")):
		return rebuild.Result{}, rebuild.Refuse("xml.dtd", "", "")
	case !bytes.Contains(begin, []byte("urn:oasis:names:tc:opendocument:xmlns:office:")):
		return rebuild.Result{}, rebuild.Refuse("type.mismatch", "", "XML / "+j.Ext)
	}
	in, err := j.Tools.Ask("convert", map[string]string{"from": j.Ext[1:], "to": to}, j.In)
	if err != nil {
		return rebuild.Result{}, err
	}
	if err := j.Budget.Spend(int64(len(in))); err != nil {
		return rebuild.Result{}, err
	}
	j.Found.Add("odf.flat", "", verdict.Changed, j.Ext[1:]+" -> "+to)
	sub := *j
	sub.Ext, sub.In = "."+to, in
	r, err := Rebuild(&sub)
	r.Family, r.Ext = to, sub.Ext
	return r, err
}

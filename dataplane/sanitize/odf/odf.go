// Package odf rebuilds OpenDocument texts, spreadsheets and presentations.
//
// Problem: what acts in such a document hides in parts (Basic, dialogs, scripts), in elements (listeners, sections of other files, DDE,
// database ranges), in attributes (links, formulas, data sources of forms) and in embedded objects. Mechanism: content, styles and
// settings are written again token by token, as far as namespaces, elements and attributes are on the lists of rules.go; pictures are
// rebuilt by their own families, embedded OpenDocument objects like the document itself, others leave their picture; the manifest is
// written anew from what is there. Life cycle: one call of Rebuild. Invariant: a part that is not reached from the content does not
// exist in the result, and the result rebuilt again is the same.
package odf

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/container"
	"github.com/sekisho/sekisho/dataplane/sanitize/crypt"
	"github.com/sekisho/sekisho/dataplane/sanitize/embedded"
	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

const mediaBase = "application/vnd.oasis.opendocument."

// media types by extension: the first member says it in clear.
var media = map[string]string{
	".odt": "text", ".ott": "text-template", ".ods": "spreadsheet", ".ots": "spreadsheet-template", ".odp": "presentation", ".otp": "presentation-template",
}

// objects are the media types that an embedded document may have.
var objects = words("text spreadsheet presentation graphics chart formula")

const manifestName = "META-INF/manifest.xml"

type document struct {
	*rebuild.Job
	*container.Archive
	types         map[string]string // media type by full path, as the manifest says
	version       string            // of OpenDocument that the content says it is written in
	out           []container.Part
	entries       []entry // of the new manifest
	pictures      map[string]string
	subs          map[string]bool // directories of embedded objects that were taken over
	asked         bool            // a helper, about a picture: what is made in this call is thrown away
	before, after *rebuild.Excerpt
}

type entry struct{ path, media, version string }

// Rebuild rebuilds one document.
func Rebuild(j *rebuild.Job) (rebuild.Result, error) {
	z, err := open(j)
	if err != nil {
		return rebuild.Result{}, err
	}
	d := &document{Job: j, Archive: z, types: map[string]string{}, pictures: map[string]string{}, subs: map[string]bool{}, before: &rebuild.Excerpt{}, after: &rebuild.Excerpt{}}
	kind, err := d.member("mimetype")
	if err != nil {
		return rebuild.Result{}, err
	}
	want := media[j.Ext]
	if got := strings.TrimPrefix(strings.TrimSpace(string(kind)), mediaBase); got != want {
		return rebuild.Result{}, rebuild.Refuse("type.mismatch", "", rebuild.Printable(got, 60)+" / "+j.Ext)
	}
	if err := d.readManifest(); err != nil {
		return rebuild.Result{}, err
	}
	d.outside()
	if err := d.emit("mimetype", []byte(mediaBase+want)); err != nil {
		return rebuild.Result{}, err
	}
	if err := d.rebuild("", maxDepth); err != nil {
		return rebuild.Result{}, err
	}
	if d.asked {
		return rebuild.Result{}, rebuild.ErrAsked
	}
	d.entries = append(d.entries, entry{"/", mediaBase + want, d.version})
	if err := d.emit(manifestName, d.manifest()); err != nil {
		return rebuild.Result{}, err
	}
	out := j.Out()
	if err := container.Write(out, "mimetype", d.out); err != nil {
		return rebuild.Result{}, err
	}
	preview := func(e *rebuild.Excerpt) *verdict.Preview {
		return &verdict.Preview{Text: strings.TrimRight(e.String(), "\n")}
	}
	return rebuild.Result{Body: out.Bytes(), Original: preview(d.before), Result: preview(d.after)}, nil
}

// open reads the directory of the package, and of the one that a password opens where there is one.
func open(j *rebuild.Job) (*container.Archive, error) {
	z, err := container.Open(j.Ctx, j.In)
	if err != nil {
		return nil, err
	}
	plain, opened, err := crypt.OpenDocument(j.Ctx, j.In, z, j.Keys)
	if err != nil || !opened {
		return z, err
	}
	if err := j.Budget.Spend(int64(len(plain))); err != nil {
		return nil, err
	}
	if err := j.Opened(plain); err != nil {
		return nil, err
	}
	j.Found.Add("legacy.opened", "", verdict.Changed, "")
	j.In = plain
	return container.Open(j.Ctx, plain)
}

// maxDepth is how deep objects may lie in objects.
const maxDepth = 4

// member reads a part that has to be there.
func (d *document) member(name string) ([]byte, error) {
	f := d.Members[container.Key(name)]
	if f == nil {
		return nil, rebuild.Refuse("odf.broken", "", "no "+name)
	}
	return d.Unpack(f)
}

// readManifest takes the media types, and refuses what is encrypted still.
func (d *document) readManifest() error {
	b, err := d.member(manifestName)
	if err != nil {
		return err
	}
	if i := bytes.Index(b, []byte("<!DOCTYPE")); i >= 0 { // programs of 2005 write one
		if end := bytes.IndexByte(b[i:], '>'); end > 0 && bytes.IndexByte(b[i:i+end], '[') < 0 {
			b = slices.Concat(b[:i], b[i+end+1:])
		}
	}
	x, err := markup.New(b, spaces)
	if err != nil {
		return rebuild.At(err, manifestName)
	}
	var t markup.Token
	for {
		if err := x.Next(&t); err != nil {
			return rebuild.At(err, manifestName)
		}
		switch {
		case t.Kind == markup.EOF:
			return nil
		case t.Kind != markup.Start || t.NS != "manifest":
		case t.Local == "encryption-data":
			return rebuild.Refuse("type.encrypted", "", "") // in a package that was opened
		case t.Local == "file-entry":
			at := map[string]string{}
			for _, a := range t.Attrs {
				if ns, local, err := x.AttrName(a); err == nil && ns == "manifest" {
					at[string(local)] = string(markup.Unescape(a.Value))
				}
			}
			d.types[strings.TrimSuffix(at["full-path"], "/")] = strings.TrimPrefix(at["media-type"], mediaBase)
		}
	}
}

// outside notes what the package holds beside the document.
func (d *document) outside() {
	codes := map[string]bool{}
	for _, f := range d.Order {
		switch name := strings.ToLower(f.Name); {
		case strings.HasPrefix(name, "basic/"), strings.HasPrefix(name, "scripts/"), strings.HasPrefix(name, "dialogs/"):
			codes["odf.macros"] = true
		case strings.HasPrefix(name, "meta-inf/") && strings.Contains(name, "signature"):
			codes["odf.signature"] = true
		case name == "meta.xml":
			codes["odf.properties"] = true
		case strings.HasPrefix(name, "fonts/"):
			codes["odf.font"] = true
		case strings.HasPrefix(name, "media/"):
			codes["odf.media"] = true
		}
	}
	for _, c := range []string{"odf.macros", "odf.signature", "odf.properties", "odf.font", "odf.media"} {
		if codes[c] {
			d.Found.Add(c, "", verdict.Removed, "")
		}
	}
}

// rebuild takes over the document in a directory of the package: "" for the outer one, "Object 1/" for one in it.
func (d *document) rebuild(dir string, depth int) error {
	for _, name := range []string{"content.xml", "styles.xml", "settings.xml"} {
		f := d.Members[container.Key(dir+name)]
		if f == nil {
			if name == "content.xml" {
				return rebuild.Refuse("odf.broken", dir, "no content.xml")
			}
			continue
		}
		b, err := d.Unpack(f)
		if err != nil {
			return err
		}
		p := &part{document: d, dir: dir, name: dir + name, depth: depth, shown: dir == "" && name == "content.xml"}
		if b, err = p.filter(b); err != nil {
			return rebuild.At(err, p.name)
		}
		if err := d.emit(p.name, b); err != nil {
			return err
		}
		d.entries = append(d.entries, entry{path: p.name, media: "text/xml"})
	}
	return nil
}

func (d *document) emit(name string, b []byte) error {
	p, err := container.Pack(name, b)
	if err == nil {
		d.out = append(d.out, p)
	}
	return err
}

// versions are those in which manifests name one.
var versions = words("1.2 1.3 1.4")

// manifest is written from what is there (ODF part 2, 4). LibreOffice 25 opens no document whose manifest names another version than its content.
func (d *document) manifest() []byte {
	var b bytes.Buffer
	version := func(v string) string {
		if !versions[v] {
			return ""
		}
		return ` manifest:version="` + v + `"`
	}
	b.WriteString(xmlHead + `<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"` + version(d.version) + `>`)
	slices.SortFunc(d.entries, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	for _, e := range d.entries {
		fmt.Fprintf(&b, `<manifest:file-entry manifest:full-path="%s"%s manifest:media-type="%s"/>`, markup.Escape([]byte(e.path)), version(e.version), e.media)
	}
	b.WriteString(`</manifest:manifest>`)
	return b.Bytes()
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// inside gives the path in the package that a reference from a directory leads to, or "" when it leads out or nowhere.
func (d *document) inside(dir, href string) string {
	if strings.Contains(href, ":") || strings.HasPrefix(href, "/") || strings.HasPrefix(href, "#") || href == "" {
		return ""
	}
	p := path.Join(dir, href)
	if strings.HasPrefix(p, "..") {
		return ""
	}
	return p
}

// object takes an embedded document over; false when it is none.
func (d *document) object(dir, href string, depth int) (string, bool, error) {
	at := d.inside(dir, href)
	kind := d.types[at]
	if at == "" || depth == 0 || !objects[kind] || d.Members[container.Key(at+"/content.xml")] == nil {
		return "", false, nil
	}
	rel := "./" + strings.TrimPrefix(at, dir)
	if d.subs[at] {
		return rel, true, nil
	}
	if dir != "" && !strings.HasPrefix(at, dir) {
		return "", false, nil
	}
	d.subs[at] = true
	d.entries = append(d.entries, entry{path: at + "/", media: mediaBase + kind})
	return rel, true, d.rebuild(at+"/", depth-1)
}

// picture rebuilds what a reference leads to and gives the new reference; "" when there is nothing to show.
func (d *document) picture(dir, href string) (string, error) {
	at := d.inside(dir, href)
	f := d.Members[container.Key(at)]
	if at == "" || f == nil {
		return "", nil
	}
	if done, ok := d.pictures[dir+"\x00"+at]; ok {
		return done, nil
	}
	b, err := d.Unpack(f)
	if err != nil {
		return "", err
	}
	mark := d.Found.Mark()
	out, ext, err := embedded.Picture(d.Job, b, at)
	switch {
	case d.Ctx.Err() != nil:
		return "", d.Ctx.Err()
	case err == rebuild.ErrAsked: // and so may be others: all go out together
		d.asked = true
		return "", nil
	case err != nil && !rebuild.Refused(err):
		return "", err
	case err != nil:
		if d.Found.Back(mark); strings.HasPrefix(at, dir+"ObjectReplacements/") {
			d.pictures[dir+"\x00"+at] = "" // a drawing only its own program reads; the object itself stays
			return "", nil
		}
		d.Found.Add("image.replaced", at, verdict.Changed, err.Error())
		out, ext = embedded.Blank(), ".png"
	}
	name := d.free(dir+"Pictures/"+strings.TrimSuffix(path.Base(at), path.Ext(at)), ext)
	d.entries = append(d.entries, entry{path: name, media: "image/" + strings.TrimPrefix(ext, ".")})
	d.pictures[dir+"\x00"+at] = strings.TrimPrefix(name, dir)
	return d.pictures[dir+"\x00"+at], d.emit(name, out)
}

// free is a name that no part of the result has.
func (d *document) free(stem, ext string) string {
	for n := 0; ; n++ {
		name := stem + ext
		if n > 0 {
			name = fmt.Sprintf("%s-%d%s", stem, n, ext)
		}
		if !slices.ContainsFunc(d.entries, func(e entry) bool { return container.Key(e.path) == container.Key(name) }) {
			return name
		}
	}
}

package archive

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"io"
	"path"
	"strings"

	"github.com/ulikunitz/xz"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// endings name what lies in a compressed file by the end of the name: report.csv.gz holds report.csv, all.tgz holds all.tar.
var endings = map[string]string{".gz": "", ".bz2": "", ".xz": "", ".tgz": ".tar", ".tbz": ".tar", ".tbz2": ".tar", ".txz": ".tar"}

// single rebuilds a compressed file. It becomes gz, which the standard library writes and every program opens.
func single(j *rebuild.Job) (rebuild.Result, error) {
	limit := min(j.Budget.Bytes, max(unsuspicious, int64(len(j.In))*maxRatio))
	in := bytes.NewReader(j.In)
	var r io.Reader
	switch {
	case j.In[0] == 0x1F:
		z, err := gzip.NewReader(in)
		if err != nil {
			return rebuild.Result{}, bad(err.Error())
		}
		r = z
	case j.In[0] == 'B':
		r = bzip2.NewReader(in)
	default:
		x, err := xz.ReaderConfig{DictCap: maxWindow}.NewReader(in)
		if err != nil {
			return rebuild.Result{}, bad(err.Error())
		}
		r = x
	}
	body, err := upTo(j, r, limit)
	if err != nil {
		return rebuild.Result{}, err
	}
	if int64(len(body)) > limit {
		return rebuild.Result{}, rebuild.Refuse("archive.bomb", "", "")
	}
	inner := strings.TrimSuffix(j.Name, j.Name[len(j.Name)-len(j.Ext):]) + endings[j.Ext]
	if path.Ext(inner) == "" && IsTar(body) {
		inner += ".tar"
	}
	res, err := j.Nested(inner, inner, body, false)
	if err != nil {
		return rebuild.Result{}, err
	}
	out := j.Out()
	w := gzip.NewWriter(out)
	if _, err := w.Write(res.Body); err != nil {
		return rebuild.Result{}, err
	}
	if err := w.Close(); err != nil {
		return rebuild.Result{}, err
	}
	name := res.Name + ".gz"
	if j.Ext == ".tgz" && strings.HasSuffix(res.Name, ".tar") {
		name = strings.TrimSuffix(res.Name, ".tar") + ".tgz"
	}
	if j.Ext != ".gz" && j.Ext != ".tgz" {
		j.Found.Add("name.kind", "", verdict.Changed, j.Ext+" -> .gz")
	}
	return rebuild.Result{Name: name, Body: out.Bytes(), Original: res.Original, Result: res.Result}, nil
}

package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

const tarBlock = 512

// IsTar tells a tar by the checksum of its first header (POSIX.1-2017, pax, "ustar Interchange Format"), which the oldest have too.
func IsTar(in []byte) bool {
	if len(in) < tarBlock || in[0] == 0 {
		return false
	}
	sum, want := 0, 0
	for i, c := range in[:tarBlock] {
		if 148 <= i && i < 156 {
			c = ' '
		}
		sum += int(c)
	}
	digits := strings.Trim(string(in[148:156]), " \x00")
	for _, c := range digits {
		if c < '0' || c > '7' {
			return false
		}
		want = want*8 + int(c-'0')
	}
	return digits != "" && sum == want
}

// readTar lists the members. The data of a member is a piece of the archive: nothing grows.
func readTar(j *rebuild.Job) (listing, error) {
	in := bytes.NewReader(j.In)
	r := tar.NewReader(in)
	var list listing
	for {
		if err := j.Ctx.Err(); err != nil {
			return listing{}, err
		}
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return listing{}, bad(err.Error())
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if len(list.members) >= j.Budget.Files {
			return listing{}, rebuild.Refuse("limit.members", "", "")
		}
		name := h.Name
		if !utf8.ValidString(name) {
			var ok bool
			if name, ok = fromCP932([]byte(name)); !ok {
				return listing{}, rebuild.Refuse("archive.name", rebuild.Printable(h.Name, 100), "neither UTF-8 nor CP932")
			}
		}
		m := member{path: name, time: h.ModTime, size: h.Size}
		switch h.Typeflag {
		case tar.TypeReg, '\x00', tar.TypeCont:
			at := in.Size() - int64(in.Len())
			if h.Size < 0 || at+h.Size > in.Size() {
				return listing{}, rebuild.At(bad("cut off"), rebuild.Printable(name, 100))
			}
			if sparse(h) {
				return listing{}, rebuild.At(rebuild.Refuse("archive.method", "", "sparse"), rebuild.Printable(name, 100))
			}
			body := j.In[at : at+h.Size]
			m.open = func() ([]byte, string, error) { return body, "", nil }
		case tar.TypeDir:
			m.dir = true
		case tar.TypeLink, tar.TypeSymlink:
			m.odd = "archive.link"
		default:
			m.odd = "archive.device"
		}
		list.members = append(list.members, m)
	}
	if rest := j.In[in.Size()-int64(in.Len()):]; len(bytes.Trim(rest, "\x00")) > 0 {
		return listing{}, no(fmt.Sprintf("%d bytes behind the end", len(rest)))
	}
	return list, nil
}

// sparse members have their size by what they would unpack to, not by what lies there.
func sparse(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// tarball writes the rebuilt members as POSIX tar, with plain rights and without owners.
func tarball(j *rebuild.Job, list listing) (rebuild.Result, error) {
	pieces, err := rebuilt(j, list, func(body []byte) (packed, error) { return packed{size: len(body), data: body}, nil })
	if err != nil {
		return rebuild.Result{}, err
	}
	out := j.Out()
	w := tar.NewWriter(out)
	for _, p := range pieces {
		h := &tar.Header{Name: p.path, Typeflag: tar.TypeReg, Size: int64(p.body.size), Mode: 0o644, ModTime: settle(p.time), Format: tar.FormatPAX}
		if p.dir {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			return rebuild.Result{}, rebuild.Refuse("internal.output", p.path, err.Error())
		}
		if _, err := w.Write(p.body.data); err != nil {
			return rebuild.Result{}, err
		}
	}
	if err := w.Close(); err != nil {
		return rebuild.Result{}, err
	}
	return rebuild.Result{Body: out.Bytes(), Original: told(list.members, func(m member) string { return m.path }), Result: told(pieces, func(p piece) string { return p.path })}, nil
}

// Package archive takes archives apart, has every member rebuilt by its own family, and packs the same tree again.
//
// Problem: two programs read one archive differently (a header in front of the data and another in the directory, members over one
// another, a name that climbs out of the folder), so what was looked at is not what is unpacked; and some are made to grow without
// end. Mechanism: one strict reader for each kind lists the members; an archive that could be read in two ways is refused; names
// are held to what one folder on one Windows PC can hold; each member goes through Nested; a plain archive is written from the
// results. Life cycle: one call of Rebuild. Invariant: the result holds rebuilt members in one layout and nothing else; what its
// reader did not understand, no byte of it is in the result.
//
//	kind         reads with                                       becomes
//	zip          own directory walk, compress/flate, bzip2, xz    zip
//	7z           bodgit/sevenzip                                  zip
//	lzh          own header walk and decoder                      zip
//	tar          archive/tar                                      tar
//	gz, bz2, xz  compress/gzip, compress/bzip2, ulikunitz/xz      gz
package archive

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Codes are what this package's findings and refusals are called, with the sentences that a clerk reads (verdict.Catalogue).
//
//go:embed codes.json
var Codes []byte

// A member of an archive, as its reader lists it.
type member struct {
	path string // with / between its elements, decoded; not yet held to any rule
	dir  bool
	odd  string    // code of why it can be no file in a folder: a link, a device
	time time.Time // of its last change, in office time
	size int64     // unpacked, as the archive claims
	// open unpacks it: as many bytes as claimed, or an error. key is the password that opened it, "" for none.
	open func() (body []byte, key string, err error)
}

// A piece of the result.
type piece struct {
	path string
	dir  bool
	time time.Time
	key  string // to write it encrypted under, or ""
	body packed
}

// listing is what a reader found.
type listing struct {
	members []member
	cp932   bool // names are in CP932
}

// Rebuild rebuilds an archive of any kind that detection knows.
func Rebuild(j *rebuild.Job) (rebuild.Result, error) {
	var list listing
	var err error
	switch {
	case bytes.HasPrefix(j.In, []byte("PK")):
		list, err = readZip(j)
	case bytes.HasPrefix(j.In, []byte(magic7z)):
		list, err = read7z(j)
	case bytes.HasPrefix(j.In, []byte("\x1F\x8B")), bytes.HasPrefix(j.In, []byte("BZh")), bytes.HasPrefix(j.In, []byte("\xFD7zXZ\x00")):
		return single(j)
	case IsTar(j.In), j.Ext == ".tar": // detection knows one also by the word in its first header
		list, err = readTar(j)
		if err != nil {
			return rebuild.Result{}, err
		}
		return tarball(j, list)
	default:
		list, err = readLZH(j)
	}
	if err != nil {
		return rebuild.Result{}, err
	}
	res, err := zipped(j, list)
	if stem := strings.TrimSuffix(j.Name, path.Ext(j.Name)); err == nil && j.Ext != ".zip" {
		res.Name = stem + ".zip"
		j.Found.Add("name.kind", "", verdict.Changed, j.Ext+" -> .zip")
	}
	return res, err
}

// rebuilt runs all members through Nested, in order. pack makes of a rebuilt member what the result will hold.
func rebuilt(j *rebuild.Job, list listing, pack func(body []byte) (packed, error)) ([]piece, error) {
	tree, err := plant(j, list.members)
	if err != nil {
		return nil, err
	}
	var pieces []piece
	taken := map[string]bool{}
	asked := false
	total, growth := int64(0), grown{in: int64(len(j.In))}
	for i, m := range list.members {
		if err := j.Ctx.Err(); err != nil {
			return nil, err
		}
		place := tree[i]
		switch {
		case place == "": // left out
			continue
		case m.dir:
			pieces = append(pieces, piece{path: place + "/", dir: true, time: m.time})
			taken[fold(place)] = true
			continue
		}
		if err := growth.add(j, m.size); err != nil {
			return nil, rebuild.At(err, place)
		}
		body, key, err := m.open()
		if err != nil {
			return nil, rebuild.At(err, place)
		}
		empty := len(body) == 0 && verdict.FamilyOf(place) != "" // nothing to rebuild; no bytes say nothing
		if empty && j.Admits(place) {
			pieces = append(pieces, piece{path: free(j, taken, place), time: m.time})
			continue
		}
		mark := j.Found.Mark()
		res, err := rebuild.Result{}, rebuild.Refuse("type.member-not-admitted", place, verdict.FamilyOf(place))
		if !empty {
			res, err = j.Nested(place, path.Base(m.path), body, false)
		}
		switch {
		case errors.Is(err, rebuild.ErrAsked):
			asked = true
			continue
		case err != nil && leaves(j, err):
			j.Found.Back(mark)
			leftOut(j, place, err)
			continue
		case err != nil:
			return nil, err
		}
		p, err := pack(res.Body)
		if err != nil {
			return nil, rebuild.At(err, place)
		}
		if total += int64(p.len()); total > j.MaxOut {
			return nil, rebuild.Refuse("limit.output", "", fmt.Sprintf("limit %d bytes", j.MaxOut))
		}
		pieces = append(pieces, piece{path: free(j, taken, path.Join(path.Dir(place), res.Name)), time: m.time, key: again(j, key), body: p})
	}
	switch {
	case asked:
		return nil, rebuild.ErrAsked
	case len(pieces) == 0 || j.Found.Reported("archive.member") && !slices.ContainsFunc(pieces, func(p piece) bool { return !p.dir }):
		return nil, rebuild.Refuse("archive.empty", "", "")
	}
	return pieces, nil
}

// leaves tells whether a member that was refused is left out, by policy, instead of blocking the archive. What one archive may
// cost is no question of one member.
func leaves(j *rebuild.Job, err error) bool {
	return j.Policy.Members == "remove" && rebuild.Refused(err) && !rebuild.Limits(err)
}

func leftOut(j *rebuild.Job, place string, err error) {
	var r *rebuild.Refusal
	errors.As(err, &r)
	j.Found.Add("archive.member", place, verdict.Removed, r.Code+" "+r.Detail)
}

// again is the password under which a member is written that was opened with key.
func again(j *rebuild.Job, key string) string {
	if key == "" {
		return ""
	}
	if j.Policy.Passwords == "again" {
		j.Found.First("archive.again", "", verdict.Reported, "")
		return key
	}
	j.Found.First("archive.opened", "", verdict.Changed, "")
	return ""
}

// free is the path, or the path with a number where another rebuilt member took it: report.docm and report.docx are one name now.
func free(j *rebuild.Job, taken map[string]bool, p string) string {
	ext := path.Ext(p)
	stem := p[:len(p)-len(ext)]
	for n := 2; taken[fold(p)]; n++ {
		p = fmt.Sprintf("%s (%d)%s", stem, n, ext)
	}
	if p != stem+ext {
		j.Found.Add("archive.number", p, verdict.Changed, "")
	}
	taken[fold(p)] = true
	return p
}

// grown watches what an archive unpacks to. Deflate cannot go beyond 1:1032; drawings and logs of real offices stay below 200:1
// as soon as they are large.
type grown struct{ in, out int64 }

const (
	unsuspicious = 64 << 20 // bytes
	maxRatio     = 200
)

func (g *grown) add(j *rebuild.Job, size int64) error {
	g.out += size
	switch {
	case size < 0 || size > j.Budget.Bytes:
		return rebuild.Refuse("limit.expansion", "", fmt.Sprintf("%d bytes, %d left", size, j.Budget.Bytes))
	case g.out > unsuspicious && g.out/maxRatio > g.in:
		return rebuild.Refuse("archive.bomb", "", fmt.Sprintf("%d bytes from %d", g.out, g.in))
	}
	return nil
}

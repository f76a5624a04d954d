package archive

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// packed is a rebuilt member as it will lie in the result.
type packed struct {
	method int
	crc    uint32
	size   int
	data   []byte
}

func (p packed) len() int { return len(p.data) }

// deflated packs a body, or leaves it as it is where that gains nothing.
func deflated(j *rebuild.Job) func(body []byte) (packed, error) {
	return func(body []byte) (packed, error) {
		p := packed{method: methodStore, crc: crc32.ChecksumIEEE(body), size: len(body), data: body}
		out := j.Out()
		w, err := flate.NewWriter(out, flate.DefaultCompression)
		if err != nil {
			return p, err
		}
		for part := body; len(part) > 0; {
			n := min(len(part), 1<<20)
			if _, err := w.Write(part[:n]); err != nil {
				return p, err
			}
			part = part[n:]
		}
		if err := w.Close(); err != nil {
			return p, err
		}
		if out.Len() < len(body) {
			p.method, p.data = methodDeflate, bytes.Clone(out.Bytes())
		}
		return p, nil
	}
}

// zipped writes the rebuilt members as a ZIP in the one layout that every program reads alike: sizes in front of the data, no
// descriptor, no extra field but that of AES, no comment. Names stay in CP932 when they were and all of them fit; else they are UTF-8.
func zipped(j *rebuild.Job, list listing) (rebuild.Result, error) {
	pieces, err := rebuilt(j, list, deflated(j))
	if err != nil {
		return rebuild.Result{}, err
	}
	names, flags := make([][]byte, len(pieces)), make([]int, len(pieces))
	cp932 := list.cp932
	for i := range pieces {
		var ok bool
		if names[i], ok = toCP932(pieces[i].path); !ok {
			cp932 = false
		}
	}
	for i, p := range pieces {
		if !cp932 {
			names[i] = []byte(p.path)
		}
		if !cp932 && !ascii(names[i]) {
			flags[i] = flagUTF8
		}
	}
	if len(pieces) > 0xFFFE {
		return rebuild.Result{}, rebuild.Refuse("limit.members", "", "")
	}
	out, dir := j.Out(), []byte(nil)
	le := binary.LittleEndian
	for i, p := range pieces {
		var extra []byte
		method, crc, data, version := p.body.method, p.body.crc, p.body.data, 20
		if p.key != "" {
			if data, err = encrypt(p.key, p.path, data); err != nil {
				return rebuild.Result{}, err
			}
			extra = append([]byte{0x01, 0x99, 7, 0, 2, 0, 'A', 'E', 3}, byte(method), 0)
			method, crc, version = methodAES, 0, 51
			flags[i] |= flagEncrypted
		}
		// from version to the length of the extra field, the same bytes stand in both headers
		same := le.AppendUint16(le.AppendUint16(le.AppendUint16(nil, uint16(version)), uint16(flags[i])), uint16(method))
		same = le.AppendUint32(same, toDOS(p.time))
		same = le.AppendUint32(le.AppendUint32(le.AppendUint32(same, crc), uint32(len(data))), uint32(p.body.size))
		same = le.AppendUint16(le.AppendUint16(same, uint16(len(names[i]))), uint16(len(extra)))
		dir = append(le.AppendUint16(le.AppendUint32(dir, sigDirectory), uint16(version)), same...)
		attributes := uint32(0)
		if p.dir {
			attributes = 0x10
		}
		dir = append(dir, make([]byte, 6)...) // comment, disk, internal attributes
		dir = le.AppendUint32(le.AppendUint32(dir, attributes), uint32(out.Len()))
		dir = append(append(dir, names[i]...), extra...)
		for _, b := range [][]byte{le.AppendUint32(nil, sigLocal), same, names[i], extra, data} {
			if _, err := out.Write(b); err != nil {
				return rebuild.Result{}, err
			}
		}
	}
	n := uint16(len(pieces))
	end := le.AppendUint16(le.AppendUint16(append(le.AppendUint32(nil, sigEnd), 0, 0, 0, 0), n), n)
	end = append(le.AppendUint32(le.AppendUint32(end, uint32(len(dir))), uint32(out.Len())), 0, 0)
	for _, b := range [][]byte{dir, end} {
		if _, err := out.Write(b); err != nil {
			return rebuild.Result{}, err
		}
	}
	return rebuild.Result{Body: out.Bytes(), Original: told(list.members, func(m member) string { return m.path }), Result: told(pieces, func(p piece) string { return p.path })}, nil
}

// told lists what an archive holds, for a person to look at.
func told[T any](all []T, path func(T) string) *verdict.Preview {
	var e rebuild.Excerpt
	for _, one := range all {
		for _, r := range path(one) + "\n" {
			e.Add(r)
		}
		if e.Full() {
			break
		}
	}
	return &verdict.Preview{Text: e.String()}
}

// settle keeps a time within what archives can hold, to the second.
func settle(t time.Time) time.Time {
	first, last := time.Date(1980, 1, 1, 0, 0, 0, 0, office), time.Date(2107, 12, 31, 23, 59, 58, 0, office)
	switch t = t.In(office).Truncate(time.Second); {
	case t.Before(first):
		return first
	case t.After(last):
		return last
	}
	return t
}

// toDOS is the way back from fromDOS.
func toDOS(t time.Time) uint32 {
	t = settle(t)
	return uint32(t.Year()-1980)<<25 | uint32(t.Month())<<21 | uint32(t.Day())<<16 | uint32(t.Hour())<<11 | uint32(t.Minute())<<5 | uint32(t.Second()/2)
}

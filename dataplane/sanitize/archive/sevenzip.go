package archive

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"

	"github.com/bodgit/sevenzip"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

const magic7z = "7z\xBC\xAF\x27\x1C"

// read7z lists the members with the first password that opens the archive; none is tried first.
func read7z(j *rebuild.Job) (list listing, err error) {
	defer broken7z(&err)
	const head = 32 // 7zFormat.txt, "SignatureHeader"
	if len(j.In) < head {
		return listing{}, bad("7z header")
	}
	if at, size := le64(j.In[12:]), le64(j.In[20:]); at < 0 || size < 0 || at > int64(len(j.In)) || size != int64(len(j.In))-head-at {
		return listing{}, no("bytes behind the 7z headers")
	}
	var first error
	for _, key := range append([]string{""}, j.Keys...) {
		if err := j.Ctx.Err(); err != nil {
			return listing{}, err
		}
		r, err := sevenzip.NewReaderWithPassword(bytes.NewReader(j.In), int64(len(j.In)), key)
		if err == nil {
			var list listing
			if list, err = list7z(j, r, key); err == nil {
				return list, nil
			}
		}
		if encrypted := new(sevenzip.ReadError); errors.As(err, &encrypted) && encrypted.Encrypted {
			err = rebuild.Refuse("archive.password", "", "")
		} else if !rebuild.Refused(err) {
			err = bad(err.Error())
		}
		if first == nil {
			first = err
		}
	}
	return listing{}, first
}

// broken7z makes a refusal of the library's panic over headers that contradict themselves.
func broken7z(err *error) {
	if p := recover(); p != nil {
		*err = bad(fmt.Sprint(p))
	}
}

// list7z tries the password on the first member that has one.
func list7z(j *rebuild.Job, r *sevenzip.Reader, key string) (listing, error) {
	var list listing
	tried := map[int]bool{}
	if len(r.File) > j.Budget.Files {
		return list, rebuild.Refuse("limit.members", "", "")
	}
	for _, f := range r.File {
		m := member{path: f.Name, time: f.Modified, size: int64(f.UncompressedSize)}
		switch mode := f.Mode(); {
		case mode.IsDir():
			m.dir = true
		case mode&fs.ModeSymlink != 0:
			m.odd = "archive.link"
		case !mode.IsRegular():
			m.odd = "archive.device"
		}
		if !m.dir && m.size != 0 && !tried[f.Stream] && m.size <= j.Budget.Bytes {
			tried[f.Stream] = true
			if _, err := open7z(j, f); err != nil {
				return list, err
			}
		}
		m.open = func() ([]byte, string, error) {
			b, err := open7z(j, f)
			if err != nil && !rebuild.Refused(err) && j.Ctx.Err() == nil {
				err = bad(err.Error())
			}
			return b, key, err
		}
		list.members = append(list.members, m)
	}
	return list, nil
}

func open7z(j *rebuild.Job, f *sevenzip.File) (body []byte, err error) {
	defer broken7z(&err)
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := exactly(j, r, int64(f.UncompressedSize))
	if err != nil {
		return nil, err
	}
	if f.CRC32 != 0 && crc32.ChecksumIEEE(b) != f.CRC32 { // 0: the archive has none
		return nil, &sevenzip.ReadError{Encrypted: true, Err: errors.New("checksum")}
	}
	return b, nil
}

package archive

import (
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
	if len(j.In) < head7z {
		return listing{}, bad("7z header")
	}
	if at, size := le64(j.In[12:]), le64(j.In[20:]); at < 0 || size < 0 || at > int64(len(j.In)) || size != int64(len(j.In))-head7z-at {
		return listing{}, no("bytes behind the 7z headers")
	}
	var first error
	for _, key := range append([]string{""}, j.Keys...) {
		if err := j.Ctx.Err(); err != nil {
			return listing{}, err
		}
		list, sealed, err := open7zWith(j, key)
		if err == nil {
			return list, nil
		}
		if sealed && !rebuild.Limits(err) {
			err = rebuild.Refuse("archive.password", "", "")
		} else if !rebuild.Refused(err) {
			err = bad(err.Error())
		}
		if first == nil {
			first = err
		}
		if !sealed {
			break
		}
	}
	return listing{}, first
}

// open7zWith lists the members when the password opens all of them. What tried the password is thrown away: where the library makes a
// key it writes over the coder's other properties, and the next one to open the same stream reads nonsense.
func open7zWith(j *rebuild.Job, key string) (list listing, sealed bool, err error) {
	in, sealed, err := plain7z(j, key)
	if err != nil {
		return listing{}, sealed, err
	}
	r, err := sevenzip.NewReaderWithPassword(in, in.size(), key)
	if err == nil {
		err = try7z(j, r)
	}
	if err == nil && sealed {
		r, err = sevenzip.NewReaderWithPassword(in, in.size(), key)
	}
	if err != nil {
		return listing{}, sealed, err
	}
	return list7z(j, r, key), sealed, nil
}

// try7z reads the first member of each stream.
func try7z(j *rebuild.Job, r *sevenzip.Reader) error {
	if len(r.File) > j.Budget.Files {
		return rebuild.Refuse("limit.members", "", "")
	}
	tried := map[int]bool{}
	for _, f := range r.File {
		if f.Mode().IsDir() || f.UncompressedSize == 0 || tried[f.Stream] || f.UncompressedSize > uint64(j.Budget.Bytes) {
			continue
		}
		tried[f.Stream] = true
		if _, err := open7z(j, f); err != nil {
			return err
		}
	}
	return nil
}

// broken7z makes a refusal of the library's panic over headers that contradict themselves.
func broken7z(err *error) {
	if p := recover(); p != nil {
		*err = bad(fmt.Sprint(p))
	}
}

func list7z(j *rebuild.Job, r *sevenzip.Reader, key string) (list listing) {
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
		m.open = func() ([]byte, string, error) {
			b, err := open7z(j, f)
			if err != nil && !rebuild.Refused(err) && j.Ctx.Err() == nil {
				err = bad(err.Error())
			}
			return b, key, err
		}
		list.members = append(list.members, m)
	}
	return list
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
		return nil, bad("checksum")
	}
	return b, nil
}

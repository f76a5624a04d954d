// Package hostile makes files that carry something dangerous, each in one known way.
//
// Problem: that a sanitizer removes what its authors thought of is shown by its own tests; that nothing else survives needs files
// and a judge that share nothing with it. Mechanism: every technique is a file made by code, with an inert marker in the
// dangerous piece; each lies bare and in other containers; the judge unpacks a result with other programs and looks for markers and
// for the names of what acts. Life cycle: All makes the files in memory, Survives looks at one result. Invariant: nothing here is
// malware: where a program would stand there is the marker, which does nothing.
package hostile

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Marker stands in each dangerous piece. Kept stands in what a reader should still see, where there is such a thing.
const (
	Marker = "SEKISHO-HOSTILE-5b1d"
	Kept   = "SEKISHO-KEPT-77ae"
)

// File is one hostile file.
type File struct {
	Name      string // with the extension that it comes under
	Technique string // what is dangerous in it
	Nesting   string // "bare", "zip", "mail", "tar.gz", "zip in zip"
	Body      []byte
	Blocked   bool // nothing of it may pass: the whole is an attack
}

func (f File) String() string { return f.Technique + " in " + path.Ext(f.Name) + ", " + f.Nesting }

// All are all files, in a fixed order.
func All() []File {
	bare := slices.Concat(word(), excel(), powerpoint(), openDocument(), pdf(), web(), tables(), pictures(), mails(), archives(), disguised(), others())
	out := slices.Clone(bare)
	for i, f := range bare {
		// Each technique bare and in one container, every fourth in all: what a container does is the same for all of them.
		for k, n := range nestings {
			if i%len(nestings) == k || i%4 == 0 {
				name, body := n.wrap(f.Name, f.Body)
				out = append(out, File{name, f.Technique, n.name, body, f.Blocked})
			}
		}
	}
	return out
}

var nestings = []struct {
	name string
	wrap func(name string, body []byte) (string, []byte)
}{
	{"zip", func(name string, body []byte) (string, []byte) {
		return "資料.zip", zipped(member{"内側/" + name, body}, member{"読んでください.txt", []byte(Kept)})
	}},
	{"mail", func(name string, body []byte) (string, []byte) { return "連絡.eml", mailWith(name, body) }},
	{"tar.gz", func(name string, body []byte) (string, []byte) { return "archive.tar.gz", tarred(name, body) }},
	{"zip in zip", func(name string, body []byte) (string, []byte) {
		return "outer.zip", zipped(member{"inner.zip", zipped(member{name, body})})
	}},
}

type member struct {
	name string
	body []byte
}

func zipped(members ...member) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		w, err := z.Create(m.name)
		if err == nil {
			_, err = w.Write(m.body)
		}
		if err != nil {
			panic(err) // to memory
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func tarred(name string, body []byte) []byte {
	var b bytes.Buffer
	g := gzip.NewWriter(&b)
	w := tar.NewWriter(g)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(body))}); err != nil {
		panic(err) // to memory
	}
	if _, err := w.Write(body); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	if err := g.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// mailWith is a mail with one attachment.
func mailWith(name string, body []byte) []byte {
	text := base64.StdEncoding.EncodeToString(body)
	var lines []string
	for len(text) > 76 {
		lines, text = append(lines, text[:76]), text[76:]
	}
	return fmt.Appendf(nil, "From: a@town.example\r\nTo: b@town.example\r\nSubject: =?UTF-8?B?%s?=\r\nDate: Sun, 22 Nov 2026 09:00:00 +0900\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/mixed; boundary=\"b1\"\r\n\r\n--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n--b1\r\n"+
		"Content-Type: application/octet-stream; name=\"=?UTF-8?B?%s?=\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename*=UTF-8''%s\r\n\r\n%s\r\n--b1--\r\n",
		b64("連絡"), Kept, b64(name), percent(name), strings.Join(append(lines, text), "\r\n"))
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func percent(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

package tool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool/pam"
)

// readPDF writes out all objects of a PDF. Streams come as they are in the file, except that general filters (Flate, LZW, ASCII85 and
// the like) are undone. What was encrypted comes decrypted; the trailer still names an /Encrypt, which is to be left out.
func readPDF(w *work) ([]byte, error) {
	args := []string{"--warning-exit-0", "--decrypt", "--decode-level=generalized", "--json-output", "--json-stream-data=inline"}
	if p, ok := w.need.Options["password"]; ok {
		if err := w.write("password", []byte(p+"\n")); err != nil {
			return nil, err
		}
		args = append(args, "--password-file="+w.path("password"))
	}
	if err := w.write("in.pdf", w.need.Body); err != nil {
		return nil, err
	}
	said, status, err := w.exec("qpdf", append(args, w.path("in.pdf"), w.path("out.json"))...)
	if err != nil {
		return nil, err
	}
	if strings.Contains(said, "invalid password") {
		return nil, &failure{Password, ""}
	}
	out, err := w.read("out.json", said)
	if err != nil {
		return nil, err
	}
	if status != 0 || !bytes.HasPrefix(out, []byte("{")) || !json.Valid(out) {
		return nil, failed("status %d; %s", status, said)
	}
	return out, nil
}

// writePDF makes a PDF of such objects, the same bytes each time.
func writePDF(w *work) ([]byte, error) {
	if !json.Valid(w.need.Body) {
		return nil, &failure{Unknown, "pdf-write takes JSON"}
	}
	if err := w.write("in.json", w.need.Body); err != nil {
		return nil, err
	}
	said, status, err := w.exec("qpdf", "--json-input", "--warning-exit-0", "--deterministic-id", "--compress-streams=y", "--decode-level=none",
		"--object-streams=generate", w.path("in.json"), w.path("out.pdf"))
	if err != nil {
		return nil, err
	}
	out, err := w.read("out.pdf", said)
	if err != nil {
		return nil, err
	}
	if status != 0 || !isPDF(out) {
		return nil, failed("status %d; %s", status, said)
	}
	return out, nil
}

func isPDF(b []byte) bool {
	return bytes.HasPrefix(b, []byte("%PDF-")) && bytes.Contains(b[max(0, len(b)-64):], []byte("%%EOF"))
}

var renderOptions = map[string]func(string) bool{
	"from": one("pdf"), "dpi": between(18, 600), "edge": between(16, 4096), "first": between(1, 100_000), "last": between(1, 100_000), "text": one("yes"),
}

// render draws pages, or tells where their words stand.
func render(w *work) ([]byte, error) {
	first, last := w.number("first", 1), w.number("last", 0)
	if last == 0 {
		last = first + MaxFrames - 1
	}
	if last < first || last-first >= MaxFrames {
		return nil, &failure{Unknown, fmt.Sprintf("render takes at most %d pages", MaxFrames)}
	}
	if err := w.write("in.pdf", w.need.Body); err != nil {
		return nil, err
	}
	pages := []string{"-q", "-f", strconv.Itoa(first), "-l", strconv.Itoa(last)}
	if w.need.Options["text"] == "yes" {
		said, status, err := w.exec("pdftotext", append(pages, "-bbox-layout", w.path("in.pdf"), w.path("out.xml"))...)
		if err != nil {
			return nil, err
		}
		out, err := w.read("out.xml", said)
		if err == nil && (status != 0 || !bytes.Contains(out, []byte("</html>"))) {
			err = failed("status %d; %s", status, said)
		}
		return out, err
	}
	if err := os.Mkdir(w.dir+"/out", 0o700); err != nil {
		return nil, err
	}
	scale := []string{"-r", strconv.Itoa(w.number("dpi", 96))}
	if edge := w.need.Options["edge"]; edge != "" { // bounds the pixels of a page whatever its size
		scale = []string{"-scale-to", edge}
	}
	said, _, err := w.exec("pdftoppm", append(append(pages, scale...), w.path("in.pdf"), w.path("out/p"))...)
	if err != nil {
		return nil, err
	}
	return w.pictures("out", said, MaxFrames)
}

// pictures gathers what a program put into a directory, by number.
func (w *work) pictures(dir, said string, max int) ([]byte, error) {
	names, err := w.made(dir)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, failed("%s", said)
	}
	var all []byte
	for i, name := range names {
		if i == max {
			break
		}
		b, err := w.read(dir+"/"+name, said)
		if err != nil {
			return nil, err
		}
		f, err := picture(b)
		if err != nil {
			return nil, failed("%s; %v", said, err)
		}
		if all = pam.Append(all, f); len(all) > MaxAnswer {
			return nil, &failure{TooLarge, ""}
		}
		if err := os.Remove(w.dir + "/" + dir + "/" + name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

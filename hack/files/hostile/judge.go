package hostile

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf16"
)

// Survives names what is still dangerous in a result. It unpacks with the standard library and qpdf, and knows nothing of the
// rebuilder or the verifier.
func Survives(ctx context.Context, name string, body []byte) ([]string, error) {
	j := &judge{ctx: ctx}
	err := j.look(name, body, 0)
	return j.found, err
}

type judge struct {
	ctx   context.Context
	found []string
}

func (j *judge) say(where, what string) { j.found = append(j.found, where+": "+what) }

// acts are names of what acts, by the kind of file; they are looked for in what is unpacked.
var acts = map[string]*regexp.Regexp{
	".pdf":  regexp.MustCompile(`/(JavaScript|JS|Launch|OpenAction|AA|EmbeddedFiles?|RichMedia|XFA|SubmitForm|ImportData|GoToR|GoToE|Movie|Sound|Rendition|U3D|PieceInfo|Metadata|Collection|AF|ByteRange)\b`),
	".html": regexp.MustCompile(`(?i)<script|<iframe|<object|<embed|<form|<base\b|<link\b|<meta[^>]+refresh|[\s"'/]on[a-z]+\s*=|javascript:|vbscript:|@import|expression\(|(src|background|poster|srcset|ping|action)\s*=\s*["']?(https?:|//|\\\\|file:)|url\(\s*["']?(https?:|//)`),
	".svg":  regexp.MustCompile(`(?i)<script|<foreignObject|<iframe|<handler|[\s"']on[a-z]+\s*=|javascript:|href\s*=\s*["']?(https?:|//|file:)[^>]*>|@import|url\(\s*["']?https?:|<!DOCTYPE|<!ENTITY`),
	".xml":  regexp.MustCompile(`(?i)<!DOCTYPE|<!ENTITY|xml-stylesheet|XInclude|<h:script|TargetMode="External" *Target="(file|javascript|vbscript|\\\\)|DDEAUTO|w:altChunk|attachedTemplate|vnd\.sun\.star|WEBSERVICE\(|script:event|dde-source|oleObject|customUI|r:(id|link|embed)="rIdLink"|_xleta\.|_xll\.`),
	".rels": regexp.MustCompile(`(?i)vbaProject|oleObject|activeX|/control"|attachedTemplate|aFChunk|subDocument|externalLink|customXml|Target="(file|javascript|vbscript|ms-|\\\\)|relationships/(image|video|audio|frame)"[^>]*External`),
	".md":   regexp.MustCompile(`(?im)\]\(\s*(javascript|vbscript|data|file)|\]\(&#|^\s{0,3}\[[^\]]*\]:\s*javascript:|<javascript:|<script|<img|!\[[^\]]*\]\(\s*https?:`),
}

// parts that no result has, by the name of a member.
var parts = regexp.MustCompile(`(?i)vbaProject|vbaData|activeX|embeddings/|macrosheets|customUI|printerSettings|externalLinks|connections\.xml|webextension|queryTable|\.bin$|\.exe$|\.odttf$|customXml/|docProps/custom|^Basic/|^Scripts/|Configurations2|Thumbnails/|META-INF/documentsignatures`)

const deepest = 12

func (j *judge) look(name string, body []byte, depth int) error {
	if depth > deepest {
		return fmt.Errorf("%s: %d levels deep", name, depth)
	}
	ext := strings.ToLower(path.Ext(name))
	if bytes.HasPrefix(body, []byte("MZ")) {
		j.say(name, "a program")
	}
	switch ext {
	case ".csv", ".tsv":
		return j.table(name, body, ext == ".tsv")
	case ".json", ".md": // what stood in a dangerous place may stay as text
		for _, c := range body {
			if c < 0x20 && c != '\n' && c != '\r' && c != '\t' {
				j.say(name, "control character")
			}
		}
	default:
		j.markers(name, body)
	}
	kind := ext
	if kind == ".htm" {
		kind = ".html"
	}
	if re := acts[kind]; re != nil {
		text := body
		if ext == ".pdf" {
			var err error
			if text, err = j.plainPDF(body); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			j.markers(name+", unpacked", text)
		}
		if at := re.Find(text); at != nil {
			j.say(name, string(at))
		}
	}
	return j.inside(name, ext, body, depth)
}

// inside looks at the files in a file.
func (j *judge) inside(name, ext string, body []byte, depth int) error {
	switch {
	case bytes.HasPrefix(body, []byte("PK\x03\x04")):
		z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, f := range z.File {
			if parts.MatchString(f.Name) {
				j.say(name, "part "+f.Name)
			}
			if strings.Contains(f.Name, "..") || strings.HasPrefix(f.Name, "/") || !f.Mode().IsRegular() && !f.Mode().IsDir() {
				j.say(name, "member "+f.Name)
			}
			r, err := f.Open()
			if err != nil {
				return fmt.Errorf("%s: %s: %w", name, f.Name, err)
			}
			b, err := io.ReadAll(io.LimitReader(r, 1<<30))
			if err := errors.Join(err, r.Close()); err != nil {
				return fmt.Errorf("%s: %s: %w", name, f.Name, err)
			}
			if err := j.look(name+"/"+f.Name, b, depth+1); err != nil {
				return err
			}
		}
	case bytes.HasPrefix(body, []byte("\x1f\x8b")):
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return j.unpacked(name, ext, r, depth)
	case bytes.HasPrefix(body, []byte("BZh")):
		return j.unpacked(name, ext, bzip2.NewReader(bytes.NewReader(body)), depth)
	case ext == ".tar":
		t := tar.NewReader(bytes.NewReader(body))
		for {
			h, err := t.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir || strings.Contains(h.Name, "..") || strings.HasPrefix(h.Name, "/") {
				j.say(name, "member "+h.Name)
			}
			b, err := io.ReadAll(io.LimitReader(t, 1<<30))
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if err := j.look(name+"/"+h.Name, b, depth+1); err != nil {
				return err
			}
		}
	case ext == ".eml":
		m, err := mail.ReadMessage(bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return j.entity(name, m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), "", m.Body, depth+1)
	}
	return nil
}

func (j *judge) unpacked(name, ext string, r io.Reader, depth int) error {
	b, err := io.ReadAll(io.LimitReader(r, 1<<30))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	inner := strings.TrimSuffix(name, path.Ext(name))
	if ext == ".tgz" {
		inner += ".tar"
	}
	return j.look(inner, b, depth+1)
}

// entity is a part of a mail (RFC 2045).
func (j *judge) entity(name, typ, encoding, file string, body io.Reader, depth int) error {
	kind, options, err := mime.ParseMediaType(typ)
	if err != nil {
		kind = "text/plain"
	}
	if strings.HasPrefix(kind, "multipart/") {
		parts := multipart.NewReader(body, options["boundary"])
		for {
			p, err := parts.NextRawPart()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			file := p.FileName()
			if file == "" {
				if _, o, err := mime.ParseMediaType(p.Header.Get("Content-Type")); err == nil {
					file = o["name"]
				}
			}
			if err := j.entity(name, p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), file, p, depth); err != nil {
				return err
			}
		}
	}
	switch strings.ToLower(encoding) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if file == "" {
		file = map[string]string{"text/plain": "body.txt", "text/html": "body.html", "message/rfc822": "inner.eml"}[kind]
	}
	return j.look(name+"/"+file, b, depth+1)
}

// plainPDF has qpdf write every stream open, also those in object streams.
func (j *judge) plainPDF(body []byte) ([]byte, error) {
	dir, err := os.MkdirTemp("", "hostile")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	in, out := filepath.Join(dir, "in.pdf"), filepath.Join(dir, "out.pdf")
	if err := os.WriteFile(in, body, 0o600); err != nil {
		return nil, err
	}
	said, err := exec.CommandContext(j.ctx, "qpdf", "--qdf", "--object-streams=disable", "--decode-level=all", "--preserve-unreferenced", in, out).CombinedOutput()
	plain, readErr := os.ReadFile(out)
	if readErr != nil {
		return nil, fmt.Errorf("qpdf: %w: %s", errors.Join(err, readErr), said)
	}
	return plain, nil // with warnings, too
}

// forms are the marker as it may be written.
var forms = func() map[string][]byte {
	var le, be []byte
	for _, c := range utf16.Encode([]rune(Marker)) {
		le, be = append(le, byte(c), byte(c>>8)), append(be, byte(c>>8), byte(c))
	}
	out := map[string][]byte{"marker": []byte(Marker), "marker in UTF-16LE": le, "marker in UTF-16BE": be, "marker in hexadecimal": []byte(hex.EncodeToString([]byte(Marker)))}
	for pad := range 3 { // without the characters that the neighbours share
		s := base64.StdEncoding.EncodeToString(append(bytes.Repeat([]byte{0}, pad), Marker...))
		out[fmt.Sprintf("marker in base64, %d", pad)] = []byte(s[4 : len(s)-4])
	}
	return out
}()

func (j *judge) markers(name string, body []byte) {
	for what, form := range forms {
		if bytes.Contains(body, form) || strings.HasSuffix(what, "hexadecimal") && bytes.Contains(bytes.ToLower(body), form) {
			j.say(name, what)
		}
	}
}

// table looks for cells that a spreadsheet calculates.
func (j *judge) table(name string, body []byte, tabs bool) error {
	r := csv.NewReader(bytes.NewReader(body))
	if tabs {
		r.Comma = '\t'
	}
	r.FieldsPerRecord, r.LazyQuotes = -1, true
	rows, err := r.ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, row := range rows {
		for _, cell := range row {
			cell = strings.TrimLeft(cell, " \t\r\n\u3000")
			if cell != "" && strings.ContainsRune("=+-@＝＋－＠−", []rune(cell)[0]) {
				j.say(name, "cell "+cell)
			}
		}
	}
	return nil
}

package crypt

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

const (
	manifestName   = "META-INF/manifest.xml"
	wholeName      = "encrypted-package" // the member of a package that is encrypted as a whole
	manifestSpaces = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
	loextSpaces    = "urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0"
)

func brokenODF(detail string) error { return rebuild.Refuse("odf.broken", manifestName, detail) }

// manifestEntry is a line of the manifest, for the one without encryption.
type manifestEntry struct{ path, media string }

func openManifest(entries []manifestEntry) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><manifest:manifest xmlns:manifest="` + manifestSpaces + `">`)
	for _, e := range entries {
		fmt.Fprintf(&b, `<manifest:file-entry manifest:full-path="%s" manifest:media-type="%s"/>`, markup.Escape([]byte(e.path)), markup.Escape([]byte(e.media)))
	}
	b.WriteString(`</manifest:manifest>`)
	return b.Bytes()
}

// sealing is how one member is encrypted.
type sealing struct {
	size                        int64
	cipher, sumType, start, by  string
	iv, salt, sum               []byte
	rounds, keyLen              int
	passes, memoryKiB, lanes    int
	sawAlgorithm, sawDerivation bool
}

// short are the names of algorithms, as different years write them.
func short(name string) string {
	if i := strings.LastIndexAny(name, "#:"); i >= 0 && strings.Contains(name, ":") {
		name = name[i+1:]
	}
	return strings.ToLower(name)
}

func readSealed(manifest []byte) (sealed map[string]*sealing, order []manifestEntry, err error) {
	manifest = withoutDoctype(manifest)
	x, err := markup.New(manifest, map[string]string{manifestSpaces: "m", loextSpaces: "loext"})
	if err != nil {
		return nil, nil, rebuild.At(err, manifestName)
	}
	sealed = map[string]*sealing{}
	var path string
	var size int64
	var s *sealing
	var t markup.Token
	for {
		if err := x.Next(&t); err != nil {
			return nil, nil, rebuild.At(err, manifestName)
		}
		if t.Kind == markup.EOF {
			return sealed, order, nil
		}
		if t.Kind != markup.Start || t.NS != "m" {
			continue
		}
		at := map[string]string{}
		for _, a := range t.Attrs {
			if ns, local, err := x.AttrName(a); err == nil && (ns == "m" || ns == "loext") {
				at[string(local)] = string(markup.Unescape(a.Value))
			}
		}
		number := func(name string, otherwise int) int {
			n, err := strconv.Atoi(at[name])
			if err != nil || n < 0 {
				return otherwise
			}
			return n
		}
		raw := func(name string) []byte {
			b, err := base64.StdEncoding.DecodeString(at[name])
			if err != nil {
				return nil
			}
			return b
		}
		if t.Local != "file-entry" && t.Local != "manifest" && t.Local != "encryption-data" && s == nil {
			continue
		}
		switch t.Local {
		case "file-entry":
			path, size, s = at["full-path"], int64(number("size", 0)), nil
			order = append(order, manifestEntry{path, at["media-type"]})
		case "encryption-data":
			s = &sealing{size: size, sumType: short(at["checksum-type"]), sum: raw("checksum"), start: "sha1", keyLen: 16}
			sealed[path] = s
		case "algorithm":
			s.cipher, s.iv, s.sawAlgorithm = short(at["algorithm-name"]), raw("initialisation-vector"), true
		case "start-key-generation":
			s.start = short(at["start-key-generation-name"])
		case "key-derivation":
			s.by, s.salt, s.sawDerivation = short(at["key-derivation-name"]), raw("salt"), true
			s.rounds, s.keyLen = number("iteration-count", 0), number("key-size", 16)
			s.passes, s.memoryKiB, s.lanes = number("argon2-iterations", 0), number("argon2-memory", 0), number("argon2-lanes", 0)
		}
	}
}

// withoutDoctype takes off what programs of 2005 wrote in front.
func withoutDoctype(b []byte) []byte {
	i := bytes.Index(b, []byte("<!DOCTYPE"))
	if i < 0 {
		return b
	}
	if end := bytes.IndexByte(b[i:], '>'); end > 0 && bytes.IndexByte(b[i:i+end], '[') < 0 {
		return append(append([]byte(nil), b[:i]...), b[i+end+1:]...)
	}
	return b
}

package legacy

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Bounds of a web archive.
const (
	maxArchiveParts = 1000
	maxPictures     = 64 << 20 // bytes of all pictures that are put into the page
)

func isWebArchive(lower []byte) bool {
	return bytes.HasPrefix(lower, []byte("mime-version:")) || bytes.HasPrefix(lower, []byte("from: <saved by")) || bytes.Contains(lower, []byte("\nmime-version:"))
}

// pageOf gives the page of a web archive (RFC 2557), with the archive's pictures in it.
func pageOf(in []byte) ([]byte, error) {
	m, err := mail.ReadMessage(bytes.NewReader(in))
	if err != nil {
		return nil, rebuild.Refuse("legacy.broken", "", err.Error())
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return nil, rebuild.Refuse("legacy.broken", "", err.Error())
	}
	if kind == "text/html" {
		return decoded(m.Body, m.Header.Get("Content-Transfer-Encoding"), int64(len(in)))
	}
	var page []byte
	var pictures []string // place, data, place, data ...
	total := 0
	parts := multipart.NewReader(m.Body, params["boundary"])
	for range maxArchiveParts {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, rebuild.Refuse("legacy.broken", "", err.Error())
		}
		b, err := decoded(p, p.Header.Get("Content-Transfer-Encoding"), int64(len(in)))
		if err != nil {
			return nil, err
		}
		kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		switch place := p.Header.Get("Content-Location"); {
		case err != nil:
		case kind == "text/html" && page == nil:
			page = b
		case strings.HasPrefix(kind, "image/") && place != "" && total+len(b) <= maxPictures:
			total += len(b)
			data := "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(b)
			pictures = append(pictures, place, data)
			if short := place[strings.LastIndexByte(place, '/')+1:]; short != place && short != "" {
				pictures = append(pictures, `"`+short+`"`, `"`+data+`"`)
			}
		}
	}
	if page == nil {
		return nil, rebuild.Refuse("legacy.broken", "", "no page in the web archive")
	}
	return []byte(strings.NewReplacer(pictures...).Replace(string(page))), nil
}

func decoded(r io.Reader, encoding string, limit int64) ([]byte, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	}
	b, err := io.ReadAll(io.LimitReader(r, limit))
	if err != nil {
		return nil, rebuild.Refuse("legacy.broken", "", err.Error())
	}
	return b, nil
}

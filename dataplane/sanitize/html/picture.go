package html

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"

	parser "golang.org/x/net/html"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// kinds of pictures that lie in an address, by their media type, as the names that their families expect.
var kinds = map[string]string{"png": "png", "jpeg": "jpg", "jpg": "jpg", "pjpeg": "jpg", "gif": "gif", "bmp": "bmp", "x-ms-bmp": "bmp", "webp": "webp", "tiff": "tif", "svg+xml": "svg"}

// written are the media types of rebuilt pictures, by family.
var written = map[string]string{"png": "png", "jpeg": "jpeg", "gif": "gif", "bmp": "bmp", "webp": "webp"}

// picture writes an image that lies in the page or beside it in the mail; one that would be fetched becomes its words.
func (w *writer) picture(n *parser.Node) error {
	src := strings.TrimSpace(attr(n, "src"))
	uri, err := w.source(src)
	if err != nil {
		return err
	}
	if uri == "" {
		words := strings.TrimSpace(attr(n, "alt"))
		if words == "" {
			words = "画像"
		}
		if n.Parent != nil && (n.Parent.Data == "table" || n.Parent.Data == "tr" || n.Parent.Data == "tbody") {
			return nil
		}
		w.text("[" + words + "]")
		return nil
	}
	w.out.WriteString("<img")
	for _, a := range n.Attr {
		switch a.Key {
		case "src", "srcset", "sizes", "loading", "decoding":
		default:
			w.keep(n, a)
		}
	}
	w.attribute("src", uri)
	w.out.WriteByte('>')
	return nil
}

// source answers the address to write for a picture, "" for none.
func (w *writer) source(src string) (string, error) {
	if uri, seen := w.pictures[src]; seen {
		return uri, nil
	}
	lower := strings.ToLower(src[:min(len(src), 64)])
	switch {
	case strings.HasPrefix(lower, "cid:"):
		if id := src[4:]; w.o.Keep != nil && plainID(id) && w.o.Keep(id) {
			return "cid:" + id, nil
		}
		w.found("html.picture", verdict.Removed, src)
		return "", nil
	case !strings.HasPrefix(lower, "data:"):
		w.found("html.picture", verdict.Removed, src)
		return "", nil
	}
	w.images++
	place := fmt.Sprintf("img%d", w.images)
	w.pictures[src] = ""
	kind, data, _ := strings.Cut(src[5:], ",")
	media, params, _ := strings.Cut(kind, ";")
	ext := kinds[strings.TrimPrefix(strings.ToLower(strings.TrimSpace(media)), "image/")]
	body, err := base64.StdEncoding.DecodeString(strings.Map(dropSpace, data))
	if ext == "" || err != nil || !strings.EqualFold(strings.TrimSpace(params), "base64") {
		w.job.Found.Add("html.picture", place, verdict.Removed, media)
		return "", nil
	}
	res, err := w.job.Nested(place, "image."+ext, body, true)
	switch {
	case errors.Is(err, rebuild.ErrAsked):
		w.asked = true
		delete(w.pictures, src)
		return "", nil
	case rebuild.Refused(err):
		w.job.Found.Add("html.picture", place, verdict.Removed, err.Error())
		return "", nil
	case err != nil:
		return "", err
	}
	media = written[res.Family]
	if media == "" {
		w.job.Found.Add("html.picture", place, verdict.Removed, res.Family)
		return "", nil
	}
	uri := "data:image/" + media + ";base64," + base64.StdEncoding.EncodeToString(res.Body)
	w.pictures[src], w.pictures[uri] = uri, uri
	return uri, nil
}

func dropSpace(r rune) rune {
	if unicode.IsSpace(r) {
		return -1
	}
	return r
}

// plainID tells a Content-ID that may stand in an address as it is.
func plainID(id string) bool {
	for _, r := range id {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("@._-+$=", r)) {
			return false
		}
	}
	return id != "" && len(id) <= 255
}

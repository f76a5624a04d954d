// Package assets is what every page loads: style sheets, scripts, the mark.
//
// Problem: whoever hands out the scripts decides what a page does with a passphrase, so control, which speaks to browsers about
// everything else, must not. Mechanism: the files are embedded in the program that stands before the browser, the portal, which
// answers every address under /assets/ itself. Life cycle: none; the files never change while a program runs. Invariant: an
// address with the tag of a file's content is that content for ever.
package assets

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed app.css app.js console.js print.js mark.svg vendor
var files embed.FS

var types = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

type file struct {
	content []byte
	tag     string // of the content, in its address: a browser may keep it for ever
}

func read(name string) (file, bool) {
	b, err := files.ReadFile(name)
	if err != nil {
		return file{}, false
	}
	sum := sha256.Sum256(b)
	return file{b, hex.EncodeToString(sum[:8])}, true
}

var tags sync.Map // name -> tag; the files never change

// URL names an asset with its content's tag.
func URL(name string) string {
	tag, ok := tags.Load(name)
	if !ok {
		f, _ := read(name)
		tag, _ = tags.LoadOrStore(name, f.tag)
	}
	return "/assets/" + name + "?v=" + tag.(string)
}

// Serve answers GET /assets/{name...}. It needs no session: the sign-in page is dressed too.
func Serve(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	kind, known := types[path.Ext(name)]
	f, ok := read(name)
	if !known || !ok || strings.Contains(name, "..") {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == f.tag {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Write(f.content)
}

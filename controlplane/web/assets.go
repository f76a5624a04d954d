package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed assets/app.css assets/app.js assets/console.js assets/mark.svg assets/vendor
var assetFiles embed.FS

var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

type assetFile struct {
	content []byte
	tag     string // of the content, in its address: a browser may keep it for ever
}

func readAsset(name string) (assetFile, bool) {
	b, err := assetFiles.ReadFile("assets/" + name)
	if err != nil {
		return assetFile{}, false
	}
	sum := sha256.Sum256(b)
	return assetFile{b, hex.EncodeToString(sum[:8])}, true
}

var assetTags sync.Map // name -> tag; the files never change

// assetURL names an asset with its content's tag.
func assetURL(name string) string {
	tag, ok := assetTags.Load(name)
	if !ok {
		f, _ := readAsset(name)
		tag, _ = assetTags.LoadOrStore(name, f.tag)
	}
	return "/assets/" + name + "?v=" + tag.(string)
}

// asset serves what the pages load. It needs no session: the sign-in page is dressed too.
func asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	kind, known := assetTypes[path.Ext(name)]
	f, ok := readAsset(name)
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

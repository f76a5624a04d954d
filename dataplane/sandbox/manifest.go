package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
)

// helpers names, for a report, the programs that answer needs of these kinds, with the versions of their packages, and the tree by its hash.
func (w *Worker) helpers(kinds map[string]bool) []string {
	if len(kinds) == 0 {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(w.tree(), "manifest"))
	if err != nil {
		return []string{"runtime tree without a manifest"}
	}
	packages := map[string]bool{}
	for kind := range kinds {
		for _, p := range tool.Packages(kind) {
			packages[p] = true
		}
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 4 && f[0] == "package" && packages[f[1]] {
			out = append(out, f[1]+" "+f[2])
		}
	}
	slices.Sort(out)
	sum := sha256.Sum256(b)
	return append(out, "runtime "+hex.EncodeToString(sum[:6]))
}

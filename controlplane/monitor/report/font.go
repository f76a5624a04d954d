package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Fonts are where Debian's package fonts-morisawa-bizud-gothic puts BIZ UDPGothic: a font that is made to be told apart by everybody,
// and whose licence (SIL OFL 1.1) lets it be embedded. A report holds the characters that it shows, and no others.
var Fonts = []string{"/usr/share/fonts/truetype/bizud-gothic", "/usr/share/fonts/truetype/morisawa-bizud-gothic"}

const fontPackage = "fonts-morisawa-bizud-gothic"

// font reads the regular and the bold face.
func font() (regular, bold []byte, err error) {
	err = fs.ErrNotExist
	for _, dir := range Fonts {
		regular, err = os.ReadFile(filepath.Join(dir, "BIZUDPGothic-Regular.ttf"))
		if err == nil {
			bold, err = os.ReadFile(filepath.Join(dir, "BIZUDPGothic-Bold.ttf"))
		}
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("a report on paper needs a Japanese font: install Debian's package %s, or take the tables (CSV): %w", fontPackage, err)
	}
	return regular, bold, nil
}

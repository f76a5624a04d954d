package verdict

import (
	"path"
	"slices"
	"strings"
)

// families maps the extension of a plain file, one that a rebuilder may write, to its family. Macro kinds are not here: they
// are never the name of a result.
var families = map[string]string{
	".txt": "text", ".text": "text", ".log": "text",
	".csv": "csv", ".tsv": "csv",
	".htm": "html", ".html": "html",
	".png": "png",
	".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".jfif": "jpeg",
	".docx": "docx", ".dotx": "docx",
	".xlsx": "xlsx", ".xltx": "xlsx",
	".pptx": "pptx", ".potx": "pptx", ".ppsx": "pptx",
	".zip": "zip", ".tar": "tar", ".gz": "gz", ".tgz": "gz",
}

// FamilyOf gives the family that the name of a rebuilt file promises, or "".
func FamilyOf(name string) string { return families[strings.ToLower(path.Ext(name))] }

// Formats are the words by which a route names what it admits: the families of results.
func Formats() []string {
	var out []string
	for _, f := range families {
		if f == "text" {
			f = "txt"
		}
		out = append(out, f)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Admits tells whether a route that names these formats lets the family pass. A route says txt and may say jpg.
func Admits(formats []string, family string) bool {
	return family != "" && slices.ContainsFunc(formats, func(f string) bool {
		switch f {
		case "txt":
			f = "text"
		case "jpg":
			f = "jpeg"
		}
		return f == family
	})
}

package verdict

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// families maps the extension of a plain file, one that a rebuilder may write, to its family. Macro kinds are not here: they
// are never the name of a result.
var families = map[string]string{
	".txt": "text", ".text": "text", ".log": "text",
	".csv": "csv", ".tsv": "csv",
	".htm": "html", ".html": "html", ".xml": "xml", ".svg": "svg", ".json": "json", ".md": "md", ".markdown": "md",
	".png": "png",
	".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".jfif": "jpeg",
	".pdf": "pdf",
	".gif": "gif", ".bmp": "bmp", ".dib": "bmp", ".tif": "tiff", ".tiff": "tiff",
	".docx": "docx", ".dotx": "docx",
	".xlsx": "xlsx", ".xltx": "xlsx",
	".odt": "odt", ".ott": "odt", ".ods": "ods", ".ots": "ods", ".odp": "odp", ".otp": "odp",
	".pptx": "pptx", ".potx": "pptx", ".ppsx": "pptx",
	".eml": "eml",
	".zip": "zip", ".tar": "tar", ".gz": "gz", ".tgz": "gz",
}

// FamilyOf gives the family that the name of a rebuilt file promises, or "".
func FamilyOf(name string) string { return families[strings.ToLower(path.Ext(name))] }

// Formats are the words by which a route names what it admits: the families of results, and of
// originals that become one.
func Formats() []string {
	var out []string
	for _, f := range families {
		if f == "text" {
			f = "txt"
		}
		out = append(out, f)
	}
	out = slices.AppendSeq(out, maps.Keys(becomes))
	slices.Sort(out)
	return slices.Compact(out)
}

// becomes names what the families are that are never passed in their own form.
var becomes = map[string][]string{
	"doc": {"docx"}, "rtf": {"docx"}, "mht": {"docx"}, "xls": {"xlsx", "csv"}, "xlsb": {"xlsx"}, "ppt": {"pptx"},
	"fodt": {"odt"}, "fods": {"ods"}, "fodp": {"odp"},
	"msg": {"eml"}, "heic": {"jpeg"}, "webp": {"jpeg", "png"}, "7z": {"zip"}, "lzh": {"zip"}, "bz2": {"gz"}, "xz": {"gz"},
}

// Admits tells whether a route that names these formats takes an original of the family: by its own name, or by that of what it
// becomes. A route says txt and may say jpg.
func Admits(formats []string, family string) bool {
	return named(formats, family) || slices.ContainsFunc(becomes[family], func(f string) bool { return named(formats, f) })
}

// AdmitsResult tells whether a route that names these formats lets a rebuilt file of the family pass: by its own name, or by that of
// an original that becomes it.
func AdmitsResult(formats []string, family string) bool {
	return named(formats, family) || family != "" && slices.ContainsFunc(formats, func(f string) bool { return slices.Contains(becomes[f], family) })
}

func named(formats []string, family string) bool {
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

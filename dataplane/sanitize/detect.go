package sanitize

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"path"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/archive"
	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/compound"
	"github.com/sekisho/sekisho/dataplane/sanitize/legacy"
	"github.com/sekisho/sekisho/dataplane/sanitize/office"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// A kind is what the bytes of a file are, whatever its name says.
type kind string

// Kinds that can be rebuilt. The office kinds are told apart by the content type of the main part.
const (
	kindText kind = "text"
	kindPNG  kind = "PNG"
	kindJPEG kind = "JPEG"
	kindGIF  kind = "GIF"
	kindBMP  kind = "BMP"
	kindTIFF kind = "TIFF"
	kindWebP kind = "WebP"
	kindHEIC kind = "HEIC"
	kindDocx kind = "Word"
	kindXlsx kind = "Excel"
	kindPptx kind = "PowerPoint"
	kindDoc  kind = "Word 97-2003"
	kindXls  kind = "Excel 97-2003"
	kindPpt  kind = "PowerPoint 97-2003"
	kindXlsb kind = "binary Excel workbook"
)

// Archives, and single files that are only compressed.
const (
	kindZip   kind = "ZIP archive"
	kind7z    kind = "7z archive"
	kindLZH   kind = "LZH archive"
	kindTar   kind = "tar archive"
	kindGzip  kind = "gzip file"
	kindBzip2 kind = "bzip2 file"
	kindXZ    kind = "xz file"
)

// Kinds that are only recognized, so that a refusal can say what the file is.
const (
	kindPDF        kind = "PDF"
	kindPE         kind = "Windows program"
	kindELF        kind = "Linux program"
	kindMachO      kind = "macOS program"
	kindClass      kind = "Java program or WebAssembly"
	kindLink       kind = "Windows shortcut"
	kindOLE        kind = "compound file"
	kindEncrypted  kind = "password-protected Office file"
	kindODF        kind = "OpenDocument"
	kindXPS        kind = "OOXML package of another kind"
	kindArchive    kind = "archive of another kind"
	kindRAR        kind = "RAR archive"
	kindRTF        kind = "RTF"
	kindHTML       kind = "HTML"
	kindPostScript kind = "PostScript"
	kindSYLK       kind = "SYLK spreadsheet"
	kindMail       kind = "mail or web archive"
	kindImage      kind = "image of another kind"
	kindMedia      kind = "sound or video"
	kindDatabase   kind = "database"
	kindHelp       kind = "Windows help"
	kindIchitaro   kind = "一太郎 Ichitaro"
	kindDocuWorks  kind = "DocuWorks"
	kindCAD        kind = "CAD"
	kindNotes      kind = "OneNote"
	kindDisk       kind = "disk image"
	kindMailbox    kind = "mailbox of Outlook"
	kindScript     kind = "script"
	kindBinary     kind = "unknown binary data"
)

// expected says which kinds a name may hold. A name that is missing here is no kind that anybody agreed on.
var expected = map[string][]kind{
	".txt": {kindText, kindHTML, kindMail}, ".text": {kindText, kindHTML, kindMail}, ".log": {kindText, kindHTML, kindMail},
	".csv": {kindText, kindMail}, ".tsv": {kindText, kindMail},
	".png": {kindPNG},
	".jpg": {kindJPEG}, ".jpeg": {kindJPEG}, ".jpe": {kindJPEG}, ".jfif": {kindJPEG},
	".gif": {kindGIF}, ".bmp": {kindBMP}, ".dib": {kindBMP}, ".tif": {kindTIFF}, ".tiff": {kindTIFF}, ".webp": {kindWebP}, ".heic": {kindHEIC}, ".heif": {kindHEIC},
	".docx": {kindDocx}, ".docm": {kindDocx}, ".dotx": {kindDocx}, ".dotm": {kindDocx},
	".xlsx": {kindXlsx}, ".xlsm": {kindXlsx}, ".xltx": {kindXlsx}, ".xltm": {kindXlsx},
	".pptx": {kindPptx}, ".pptm": {kindPptx}, ".potx": {kindPptx}, ".potm": {kindPptx}, ".ppsx": {kindPptx}, ".ppsm": {kindPptx},
	".zip": {kindZip}, ".7z": {kind7z}, ".lzh": {kindLZH}, ".lha": {kindLZH}, ".tar": {kindTar}, ".gz": {kindGzip}, ".tgz": {kindGzip},
	".bz2": {kindBzip2}, ".tbz": {kindBzip2}, ".tbz2": {kindBzip2}, ".xz": {kindXZ}, ".txz": {kindXZ},
	".pdf": {kindPDF},
	// Recognized, not rebuilt.
	".doc": {kindDoc, kindOLE, kindRTF, kindHTML, kindMail, kindText, kindDocx}, ".xls": {kindXls, kindOLE, kindHTML, kindText, kindMail, kindXlsx}, ".ppt": {kindPpt, kindOLE, kindPptx},
	".dot": {kindDoc, kindOLE}, ".xlt": {kindXls, kindOLE}, ".pot": {kindPpt, kindOLE}, ".pps": {kindPpt, kindOLE}, ".msg": {kindOLE},
	".xlsb": {kindXlsb}, ".xlam": {kindXPS}, ".ppam": {kindXPS}, ".vsdx": {kindXPS}, ".vsdm": {kindXPS},
	".odt": {kindODF}, ".ods": {kindODF}, ".odp": {kindODF}, ".ott": {kindODF}, ".ots": {kindODF}, ".otp": {kindODF}, ".odg": {kindODF},
	".fodt": {kindText}, ".fods": {kindText}, ".fodp": {kindText},
	".jar": {kindZip}, ".apk": {kindZip}, ".rar": {kindRAR},
	".rtf": {kindRTF}, ".htm": {kindHTML, kindText}, ".html": {kindHTML, kindText}, ".mht": {kindMail, kindText}, ".mhtml": {kindMail, kindText}, ".eml": {kindMail, kindText},
	".svg": {kindText, kindHTML}, ".json": {kindText}, ".xml": {kindText, kindHTML}, ".md": {kindText, kindHTML, kindMail}, ".markdown": {kindText, kindHTML, kindMail}, ".yaml": {kindText}, ".yml": {kindText}, ".ini": {kindText},
	".exe": {kindPE}, ".dll": {kindPE}, ".scr": {kindPE}, ".com": {kindPE, kindBinary}, ".lnk": {kindLink}, ".msi": {kindOLE}, ".chm": {kindHelp},
	".slk": {kindSYLK},
}

func (k kind) family() string {
	switch k {
	case kindText, kindHTML, kindMail:
		return "text"
	case kindPNG:
		return "png"
	case kindJPEG:
		return "jpeg"
	case kindGIF:
		return "gif"
	case kindBMP:
		return "bmp"
	case kindTIFF:
		return "tiff"
	case kindWebP:
		return "webp"
	case kindHEIC:
		return "heic"
	case kindPDF:
		return "pdf"
	case kindDocx:
		return "docx"
	case kindXlsx:
		return "xlsx"
	case kindPptx:
		return "pptx"
	case kindZip:
		return "zip"
	case kind7z:
		return "7z"
	case kindLZH:
		return "lzh"
	case kindTar:
		return "tar"
	case kindGzip:
		return "gz"
	case kindBzip2:
		return "bz2"
	case kindXZ:
		return "xz"
	case "csv", "html", "xml", "svg", "json", "md", "doc", "xls", "ppt", "rtf", "xlsb", "mht", "odt", "ods", "odp", "fodt", "fods", "fodp", "eml", "msg":
		return string(k)
	}
	return ""
}

// byName are the families that only a name tells apart.
var byName = map[string]kind{".csv": "csv", ".tsv": "csv", ".htm": "html", ".html": "html", ".xml": "xml", ".svg": "svg", ".json": "json", ".md": "md", ".markdown": "md", ".eml": "eml", ".msg": "msg",
	".odt": "odt", ".ott": "odt", ".ods": "ods", ".ots": "ods", ".odp": "odp", ".otp": "odp",
	".fodt": "fodt", ".fods": "fods", ".fodp": "fodp"}

// rebuildable names, by extension.
func rebuildable(ext string) bool {
	switch ext {
	case ".txt", ".text", ".log", ".csv", ".tsv", ".png", ".jpg", ".jpeg", ".jpe", ".jfif",
		".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".heic", ".heif",
		".pdf", ".docx", ".docm", ".dotx", ".dotm", ".xlsx", ".xlsm", ".xltx", ".xltm", ".pptx", ".pptm", ".potx", ".potm", ".ppsx", ".ppsm",
		".doc", ".dot", ".xls", ".xlt", ".ppt", ".pot", ".pps", ".rtf", ".xlsb", ".mht", ".mhtml":
		return true
	case ".zip", ".7z", ".lzh", ".lha", ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".tbz2", ".xz", ".txz":
		return true
	}
	return byName[ext] != ""
}

// identify compares content and name. It answers the kind to rebuild and the extension in lower case, or a refusal.
func identify(name string, in []byte) (kind, string, error) {
	ext := strings.ToLower(path.Ext(baseName(name)))
	k := detect(in)
	if k == kindEncrypted {
		if k = kindBehind(ext); k == "" {
			if legacy.Family(ext) != "" { // its rebuilder opens no package of the new kind
				return "", ext, rebuild.Refuse("legacy.encryption", "", "")
			}
			return "", ext, rebuild.Refuse("type.encrypted", "", "")
		}
	}
	if ext == ".zip" && strings.HasPrefix(string(in), "PK") {
		k = kindZip // of whatever kind its members make it: whoever unpacks it sees members
	}
	want, known := expected[ext]
	wrong := known
	for _, w := range want {
		wrong = wrong && w != k
	}
	named := codeOfName[ext]
	switch {
	case isProgram(k) && (wrong || !acts[named]), wrong && !acts[named]:
		return "", ext, rebuild.Refuse("type.mismatch", "", string(k)+" / "+ext)
	case named != "":
		return "", ext, rebuild.Refuse(named, "", ext)
	case !rebuildable(ext) && codeOfKind(k, in) != "":
		return "", ext, rebuild.Refuse(codeOfKind(k, in), "", string(k))
	case ext == "":
		return "", ext, rebuild.Refuse("type.no-extension", "", string(k))
	case !rebuildable(ext):
		return "", ext, rebuild.Refuse("type.unsupported", "", string(k)+" / "+ext)
	}
	if what := polyglot(in, k); what != "" {
		return "", ext, rebuild.Refuse("type.polyglot", "", what)
	}
	if named := byName[ext]; named != "" {
		return named, ext, nil
	}
	if f := legacy.Family(ext); f != "" {
		return kind(f), ext, nil
	}
	return k, ext, nil
}

// kindBehind is what the name of an encrypted document promises; its rebuilder holds it to that once it is open.
func kindBehind(ext string) kind {
	for _, k := range expected[ext] {
		switch k {
		case kindDocx, kindXlsx, kindPptx:
			if legacy.Family(ext) == "" && ext != ".zip" {
				return k
			}
		}
	}
	return ""
}

var magics = []struct {
	at    int
	magic string
	kind  kind
}{
	{0, "\x89PNG\r\n\x1a\n", kindPNG},
	{0, "\xFF\xD8\xFF", kindJPEG},
	{0, "GIF8", kindGIF}, {0, "II*\x00", kindTIFF}, {0, "MM\x00*", kindTIFF}, {0, "II+\x00", kindImage}, {8, "WEBP", kindWebP},
	{4, "ftypheic", kindHEIC}, {4, "ftypheix", kindHEIC}, {4, "ftypmif1", kindHEIC}, {4, "ftypavif", kindImage},
	{0, "8BPS", kindImage}, {0, "\x00\x00\x01\x00", kindImage}, {0, "\xD7\xCD\xC6\x9A", kindImage}, {0, "\x00\x00\x00\x0CjP  ", kindImage}, {40, " EMF", kindImage},
	{0, "\x7FELF", kindELF},
	{0, "\xCA\xFE\xBA\xBE", kindClass},
	{0, "\xCF\xFA\xED\xFE", kindMachO}, {0, "\xCE\xFA\xED\xFE", kindMachO}, {0, "\xFE\xED\xFA\xCF", kindMachO}, {0, "\xFE\xED\xFA\xCE", kindMachO},
	{0, "L\x00\x00\x00\x01\x14\x02\x00", kindLink},
	{0, "{\\rtf", kindRTF},
	{0, "%!PS", kindPostScript}, {0, "\xC5\xD0\xD3\xC6", kindPostScript},
	{0, "Rar!\x1A\x07", kindRAR}, {0, "7z\xBC\xAF\x27\x1C", kind7z}, {0, "\x1F\x8B", kindGzip}, {0, "BZh", kindBzip2},
	{0, "\xFD7zXZ\x00", kindXZ}, {0, "MSCF", kindArchive}, {0, "\x28\xB5\x2F\xFD", kindArchive}, {257, "ustar", kindTar},
	{2, "-lh", kindLZH}, {2, "-lz4-", kindLZH}, {32769, "CD001", kindDisk}, {0, "vhdxfile", kindDisk}, {0, "conectix", kindDisk}, {0, "MSWIM\x00\x00\x00", kindDisk},
	{0, "JwwData.", kindCAD}, {0, "AC10", kindCAD}, {0, "AutoCAD Binary DXF", kindCAD}, {0, "\x60\x0E\x82", kindDocuWorks}, {0, "!BDN", kindMailbox},
	{0, "\xE4\x52\x5C\x7B\x8C\xD8\xA7\x4D\xAE\xB1\x53\x78\xD0\x29\x96\xD3", kindNotes}, {0, "\xA1\x2F\xFF\x43\xD9\xEF\x76\x4C\x9E\xE2\x10\xEA\x57\x22\x76\x5F", kindNotes},
	{0, "ITSF", kindHelp},
	{0, "SQLite format 3\x00", kindDatabase}, {4, "Standard Jet DB", kindDatabase}, {4, "Standard ACE DB", kindDatabase},
	{4, "ftyp", kindMedia}, {0, "ID3", kindMedia}, {0, "OggS", kindMedia}, {8, "WAVE", kindMedia}, {8, "AVI ", kindMedia}, {0, "\x1A\x45\xDF\xA3", kindMedia},
	{0, "FWS", kindMedia}, {0, "CWS", kindMedia}, {0, "ZWS", kindMedia}, {0, "\x00asm", kindClass},
}

// detect tells what the bytes are.
func detect(in []byte) kind {
	for _, m := range magics {
		if len(in) >= m.at+len(m.magic) && string(in[m.at:m.at+len(m.magic)]) == m.magic {
			switch m.magic {
			case "BZh", "ID3", "FWS", "CWS", "ZWS", "-lh", "MSCF", "AC10", "!BDN", "JwwData.", "conectix", "vhdxfile":
				if textual(in) { // letters can begin a text as well
					continue
				}
			}
			return m.kind
		}
	}
	switch {
	case archive.IsTar(in):
		return kindTar
	case bytes.HasPrefix(in, []byte("PK\x03\x04")), bytes.HasPrefix(in, []byte("PK\x05\x06")):
		return zipKind(in)
	case bytes.HasPrefix(in, []byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1")):
		return oleKind(in)
	case bytes.HasPrefix(in, []byte("MZ")) && !textual(in):
		return kindPE
	case bytes.HasPrefix(in, []byte("BM")) && !textual(in):
		return kindBMP
	case bytes.Contains(in[:min(len(in), 1024)], []byte("%PDF-")):
		return kindPDF
	case !textual(in):
		return kindBinary
	}
	head := bytes.TrimLeft(bytes.TrimPrefix(in[:min(len(in), 4096)], charset.MarkUTF8), " \t\r\n")
	lower := bytes.ToLower(head)
	switch {
	case bytes.HasPrefix(head, []byte("ID;")):
		return kindSYLK
	case bytes.HasPrefix(head, []byte("{\\rtf")):
		return kindRTF
	case bytes.HasPrefix(lower, []byte("<!doctype html")), bytes.HasPrefix(lower, []byte("<html")), bytes.HasPrefix(lower, []byte("<script")):
		return kindHTML
	case bytes.HasPrefix(lower, []byte("mime-version:")), bytes.HasPrefix(lower, []byte("received:")), bytes.HasPrefix(lower, []byte("return-path:")):
		return kindMail
	}
	return kindText
}

// textual tells text by its lack of zero bytes; text in UTF-16 has them but begins with a byte order mark, or is surely that.
func textual(in []byte) bool {
	if bytes.HasPrefix(in, []byte("\xFF\xFE")) || bytes.HasPrefix(in, []byte("\xFE\xFF")) {
		return true
	}
	if bytes.IndexByte(in, 0) < 0 {
		return true
	}
	_, sure := charset.GuessUTF16(in)
	return sure
}

// officeKinds by family.
var officeKinds = map[string]kind{"docx": kindDocx, "xlsx": kindXlsx, "pptx": kindPptx}

// zipKind looks at the members. A package whose members cannot be listed is an archive, and archives are refused.
func zipKind(in []byte) kind {
	z, err := zip.NewReader(bytes.NewReader(in), int64(len(in)))
	if err != nil && z == nil {
		return kindZip
	}
	for i, f := range z.File {
		if i > 10000 {
			break
		}
		switch strings.ToLower(f.Name) {
		case "mimetype":
			return kindODF
		case "[content_types].xml":
			return packageKind(f)
		}
	}
	return kindZip
}

func packageKind(f *zip.File) kind {
	r, err := f.Open()
	if err != nil {
		return kindXPS
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, 4<<20))
	if err != nil {
		return kindXPS
	}
	lower := strings.ToLower(string(b))
	if strings.IndexByte(lower, 0) >= 0 { // UTF-16: the types are ASCII
		lower = strings.ReplaceAll(lower, "\x00", "")
	}
	if strings.Contains(lower, `"application/vnd.ms-excel.sheet.binary.macroenabled.main"`) {
		return kindXlsb
	}
	for ct, family := range office.MainTypes {
		if strings.Contains(lower, `"`+ct+`"`) || strings.Contains(lower, `'`+ct+`'`) {
			return officeKinds[family]
		}
	}
	return kindXPS
}

// oleKind tells compound files apart by the streams that their programs look for.
func oleKind(in []byte) kind {
	if bytes.Contains(in, charset.ToUTF16([]byte("EncryptedPackage"), binary.LittleEndian)) {
		return kindEncrypted
	}
	f, err := compound.Open(in)
	switch {
	case err != nil:
		return kindOLE
	case f.Has("WordDocument"):
		return kindDoc
	case f.Has("Workbook"), f.Has("Book"):
		return kindXls
	case f.Has("PowerPoint Document"):
		return kindPpt
	case f.Has("DocumentText"), f.Has("JSRV_SegmentInformation"):
		return kindIchitaro
	}
	return kindOLE
}

// polyglot finds a second file around an image: another format's beginning in front, or a ZIP directory that reaches the end.
// What follows an image is looked at by its rebuilder, which knows where the image ends.
func polyglot(in []byte, k kind) string {
	switch k {
	case kindPNG, kindJPEG, kindGIF, kindBMP, kindTIFF, kindWebP, kindHEIC:
	default:
		return ""
	}
	if bytes.Contains(in[:min(len(in), 1024)], []byte("%PDF-")) {
		return string(k) + " + PDF"
	}
	tail := in[max(0, len(in)-65557):]
	for at := bytes.LastIndex(tail, []byte("PK\x05\x06")); at >= 0; at = bytes.LastIndex(tail[:at], []byte("PK\x05\x06")) {
		e := tail[at:]
		if len(e) < 22 {
			continue
		}
		entries, size, comment := binary.LittleEndian.Uint16(e[10:]), binary.LittleEndian.Uint32(e[12:]), binary.LittleEndian.Uint16(e[20:])
		if entries > 0 && int64(size) <= int64(len(in)) && 22+int(comment) <= len(e) {
			return string(k) + " + ZIP"
		}
	}
	return ""
}

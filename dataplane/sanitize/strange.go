package sanitize

import (
	"bytes"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
)

// strange are the kinds that are recognized and not read, by what a clerk is told: the names that they come under, and what detection
// calls their content. A sentence says how to go on, which is another for a drawing than for a program.
var strange = []struct {
	code, names string
	kinds       []kind
}{
	{"type.executable", ".exe .dll .scr .com .pif .cpl .msi .msp .msix .appx .ocx .sys .jar .class .chm .hlp .appref-ms .application .xll .xlam .ppam .wll .apk .app .deb .rpm .run .gadget .msc", []kind{kindPE, kindELF, kindMachO, kindClass, kindHelp}},
	{"type.script", ".bat .cmd .ps1 .psm1 .psd1 .vbs .vbe .js .jse .mjs .wsf .wsh .wsc .sct .hta .reg .inf .sh .py .pl .rb .php .ahk", []kind{kindScript}},
	{"type.shortcut", ".lnk .url .scf .website .desktop .library-ms .search-ms .searchconnector-ms .rdp .settingcontent-ms .theme .diagcab", []kind{kindLink}},
	{"type.disk-image", ".iso .img .vhd .vhdx .vmdk .dmg .wim .udf .nrg .bin", []kind{kindDisk}},
	{"type.ichitaro", ".jtd .jtt .jttc .jtdc .jfw .jvw .jaw .jbw .juw .jhd", []kind{kindIchitaro}},
	{"type.docuworks", ".xdw .xbd .xct", []kind{kindDocuWorks}},
	{"type.cad", ".jww .jwc .jwk .jws .dxf .dwg .dwf .dgn .sfc .sfz .p21 .p2z .bfo .ifc .stp .step .igs .iges", []kind{kindCAD}},
	{"type.onenote", ".one .onetoc2 .onepkg", []kind{kindNotes}},
	{"type.mailbox", ".pst .ost .mbox .dbx", []kind{kindMailbox}},
	{"type.database", ".mdb .accdb .accde .mde .sqlite .db .dbf .fmp12 .odb", []kind{kindDatabase}},
	{"type.media", ".mp3 .mp4 .mov .wav .avi .m4a .m4v .wmv .wma .mpg .mpeg .mkv .webm .flac .ogg .aac .swf .flv", []kind{kindMedia}},
	{"type.picture", ".ico .cur .emf .wmf .emz .wmz .psd .ai .avif .jp2 .j2k .jxl .cr2 .nef .arw .dng .tga .pcx", []kind{kindImage}},
	{"type.postscript", ".ps .eps .prn", []kind{kindPostScript}},
	{"archive.rar", ".rar", []kind{kindRAR}},
	{"archive.kind", ".cab .zst .z .ace .arj .sit .hqx .alz .gca .zipx .001", []kind{kindArchive}},
}

// codeOfName and codesOfKinds are the table by its two keys.
var codeOfName, codesOfKinds = func() (map[string]string, map[kind]string) {
	names, kinds := map[string]string{}, map[kind]string{}
	for _, s := range strange {
		for _, n := range strings.Fields(s.names) {
			names[n] = s.code
		}
		for _, k := range s.kinds {
			kinds[k] = s.code
		}
	}
	return names, kinds
}()

// acts are the codes of what runs when it is opened. Under such a name nobody takes a program for something else.
var acts = map[string]bool{"type.executable": true, "type.script": true, "type.shortcut": true, "type.disk-image": true}

func isProgram(k kind) bool {
	return k == kindPE || k == kindELF || k == kindMachO || k == kindClass || k == kindLink
}

// codeOfKind tells what content is called that came under a name which says nothing. Text is looked at once more: under the name of a
// text it is one, whatever some program makes of it.
func codeOfKind(k kind, in []byte) string {
	if k == kindText {
		head := bytes.TrimLeft(bytes.TrimPrefix(in[:min(len(in), 4096)], charset.MarkUTF8), " \t\r\n")
		lower := bytes.ToLower(head)
		begins := func(words ...string) bool {
			for _, w := range words {
				if bytes.HasPrefix(lower, []byte(w)) {
					return true
				}
			}
			return false
		}
		switch {
		case begins("iso-10303-21;"), begins("0\nsection", "0\r\nsection", "999\n", "999\r\n") && bytes.Contains(lower, []byte("section")):
			k = kindCAD
		case begins("#!", "@echo off", "windows registry editor", "regedit4"):
			k = kindScript
		case begins("[internetshortcut]"):
			k = kindLink
		}
	}
	if k == kindBinary && len(in) >= 512 && (string(in[len(in)-512:][:8]) == "conectix" || string(in[len(in)-512:][:4]) == "koly") {
		k = kindDisk // VHD and macOS' images are known by their end
	}
	return codesOfKinds[k]
}

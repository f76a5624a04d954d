package files

import (
	"bytes"
	"encoding/binary"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/richardlehane/mscfb"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/compound/compoundtest"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/hack/files/honest"
	"github.com/sekisho/sekisho/hack/files/hostile"
)

// streamsOf are those of a compound file, by path.
func streamsOf(t *testing.T, b []byte) map[string]string {
	t.Helper()
	doc, err := mscfb.New(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for e, err := doc.Next(); err == nil; e, err = doc.Next() {
		if e.Size == 0 {
			continue
		}
		body, err := io.ReadAll(e)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.Join(append(e.Path, e.Name), "/")] = string(body)
	}
	return all
}

// macroSheet makes an Excel 4 macro sheet of the last sheet of a workbook: its type in BOUNDSHEET8 and in its BOF ([MS-XLS] 2.4.28, 2.4.21).
func macroSheet(t *testing.T, workbook string) string {
	t.Helper()
	b := []byte(workbook)
	last := -1
	for at := 0; at+4 <= len(b); {
		kind, size := binary.LittleEndian.Uint16(b[at:]), int(binary.LittleEndian.Uint16(b[at+2:]))
		if kind == 0x0085 {
			last = at + 4
		}
		if kind == 0x000A { // end of the globals
			break
		}
		at += 4 + size
	}
	if last < 0 {
		t.Fatal("no sheet in the workbook")
	}
	b[last+5] = 1
	start := binary.LittleEndian.Uint32(b[last:])
	binary.LittleEndian.PutUint16(b[start+6:], 0x0040)
	return string(b)
}

// Old files that LibreOffice itself wrote, with macros put in: what it makes of them holds none, and the report says that there were.
func TestMacrosOfOldFilesStayBehind(t *testing.T) {
	all, err := honest.Make(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	project := func(storage string) map[string]string {
		return map[string]string{storage + "/VBA/dir": "\x01" + hostile.Marker, storage + "/VBA/Module1": "Sub AutoOpen()\n" + hostile.Marker + "\nEnd Sub", storage + "/PROJECT": "Module=Module1 " + hostile.Marker}
	}
	add := func(streams, more map[string]string) {
		for k, v := range more {
			streams[k] = v
		}
	}
	for _, c := range []struct {
		name, ext, code string
		put             func(streams map[string]string)
	}{
		{"Word, VBA", ".doc", "legacy.macros", func(s map[string]string) { add(s, project("Macros")) }},
		{"Excel, VBA", ".xls", "legacy.macros", func(s map[string]string) { add(s, project("_VBA_PROJECT_CUR")) }},
		{"Excel 4", ".xls", "legacy.macro-sheet", func(s map[string]string) { s["Workbook"] = macroSheet(t, s["Workbook"]) }},
		{"PowerPoint, VBA", ".ppt", "legacy.macros", func(s map[string]string) {
			body := "\x00\x00\x00\x00" + hostile.Marker
			record := binary.LittleEndian.AppendUint32([]byte{0x10, 0, 0x11, 0x10}, uint32(len(body))) // ExOleObjStg ([MS-PPT] 2.10.34)
			s["PowerPoint Document"] += string(record) + body
			add(s, project("Macros"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tried := false
			for _, h := range all {
				if path.Ext(h.Name) != c.ext || tried {
					continue
				}
				tried = true
				streams := streamsOf(t, h.Body)
				c.put(streams)
				o, err := Pass(t.Context(), h.Name, compoundtest.File(streams), sanitize.Options{})
				if err != nil {
					t.Fatal(err)
				}
				said := false
				for _, f := range o.Report.Findings {
					said = said || f.Code == c.code && f.Action == verdict.Removed
				}
				if !o.Clean() || !said {
					t.Fatalf("%s: %+v", o.Report.Outcome, o.Report.Findings)
				}
				if left, err := hostile.Survives(t.Context(), o.Report.OutName, o.Body); err != nil || len(left) > 0 {
					t.Errorf("%q %v", left, err)
				}
			}
			if !tried {
				t.Fatal("no such file")
			}
		})
	}
}

package web_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/sanitize/web"
	"github.com/sekisho/sekisho/dataplane/verify"
	other "github.com/sekisho/sekisho/dataplane/verify/web"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// What a link may lead to, and all the ways in which one leads to a program, a share or a disk.
var (
	harmless = []string{"https://a.example/x.exe?y=1#z", "http://a.example", "mailto:a@b.example?subject=x", "tel:+81-3", "#x.exe", "#", "b.html", "b.html#c", "図/表.xlsx", "x/y.docx#p2"}
	harmful  = []string{
		// programs beside the page, by their endings and without one, which Windows adds
		"setup.exe", "x/setup.exe", "a.hta", "a.lnk", "a.scr", "a.bat", "a.cmd", "a.ps1", "a.js", "a.vbs", "a.wsf", "a.msi", "a.jar", "a.url", "a.iso", "a.chm", "a.reg", "a.docm", "a.xlam", "a.one", "a.appref-ms", "a.search-ms", "a.library-ms", "setup", "x/", "x/setup",
		// names that are another to who looks at them otherwise
		"a.pdf.exe", "a.exe ", "a.exe.", "a.pdf ", "a.exe?x.pdf", "a.pdf?x.exe", "a.pdf#x.exe", "a.pdf#/../x.exe", "a.exe#.pdf", "a.exe%20", "%61.exe", "a.pdf::$DATA", "a.exe:x.pdf", "a.pdf%00.exe", "a.p\u200Bdf", "a.\u202Efdp.exe", "a.ｅｘｅ",
		// other folders, shares, disks and schemes
		"../a.html", "x/../../a.html", "/a.html", "//srv/a.html", `\\srv\a.html`, `\a.html`, `x\a.html`, "file:///c:/x.html", "file:x.html", "FILE:/x.html", "c:/x.html", "c:x.html", "javascript:x", "JaVaScRiPt:x", "java\tscript:x", "java\nscript:x", " javascript:x", "vbscript:x",
		"data:text/html,x", "blob:x", "about:blank", "ms-word:ofe|u|http://x", "ms-msdt:/id", "search-ms:query=x", "shell:startup", "mhtml:http://x", "view-source:http://x", "ftp://x/y", "jar:http://x!/y", "res://x", "intent://x", "http:x", "http:/x", "http:///x", `http:\\x`, "http://a@b/", "http://a%40b/",
		"mailto:a@b?attach=c:/x", "mailto:a@b?ATTACHMENT=x", "", "\x00",
	}
)

func TestBothSidesAgreeOnAddresses(t *testing.T) {
	for _, a := range harmless {
		if !web.Address(a) || !other.Address(a) {
			t.Errorf("%q: the rebuilder says %v, the verifier %v, want both to let it stay", a, web.Address(a), other.Address(a))
		}
	}
	for _, a := range harmful {
		if web.Address(a) || other.Address(a) {
			t.Errorf("%q: the rebuilder says %v, the verifier %v, want neither to let it stay", a, web.Address(a), other.Address(a))
		}
	}
}

// TestNoLinkLeadsToAProgram: in each family, by what the rebuilder writes and by what the verifier takes.
func TestNoLinkLeadsToAProgram(t *testing.T) {
	const (
		page    = "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head><body><a href=\"%s\">x</a></body></html>"
		drawing = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\"><a xlink:href=\"%s\"/></svg>\n"
	)
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")
	for name, c := range map[string]struct{ form, link string }{
		"a.html": {page, ` href="`}, "a.svg": {drawing, `href="`}, "a.md": {"[x](%s)\n", "]("}, "b.md": {"[x]\n\n[x]: %s\n", "]:"}, "c.md": {"![x](%s)\n", "]("}, "d.md": {"<%s>\n", "<"},
	} {
		for _, a := range harmful {
			if strings.HasSuffix(name, ".md") && (strings.Trim(a, " \x00") == "" || name == "d.md" && !strings.Contains(a, ":") || strings.ContainsAny(a, "\t\n ")) {
				continue // which no reader of Markdown takes for a link, or not for this one
			}
			in := []byte(fmt.Sprintf(c.form, escape.Replace(a)))
			if v := verify.Check(t.Context(), name, in); v.Outcome != verdict.Blocked {
				t.Errorf("%s: the verifier passes %q", name, in)
			}
			rep, out := sanitizetest.Run(t, name, in)
			if rep.Outcome == verdict.Clean && strings.Contains(strings.ReplaceAll(string(out), "/2000/svg", ""), c.link+escape.Replace(a)) && strings.TrimSpace(a) == a {
				t.Errorf("%s: the rebuilder leaves %q", name, out)
			}
			if rep.Outcome == verdict.Clean {
				if v := verify.Check(t.Context(), name, out); v.Outcome != verdict.Clean {
					t.Errorf("%s: the verifier refuses %q: %v", name, out, v.Findings)
				}
			}
		}
	}
}

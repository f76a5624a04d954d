// Package tooltest has LibreOffice write documents for tests.
//
// Problem: what protects a document with a password must be tested with files that another program wrote, and LibreOffice's command line
// takes no password. Mechanism: a macro of a fresh profile loads a document and stores it under a password, in the runtime tree, in a
// namespace without a network. Life cycle: one start a document. Invariant: what comes out is LibreOffice's own, byte by byte.
package tooltest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
)

const doctype = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<!DOCTYPE %s PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "%s.dtd">` + "\n"

func library(kind, rest string) string {
	return fmt.Sprintf(doctype, "library:"+kind, kind) + `<library:` + kind + ` xmlns:library="http://openoffice.org/2000/library" xmlns:xlink="http://www.w3.org/1999/xlink" ` + rest
}

const macro = `
Sub Main
	Dim a(0) As New com.sun.star.beans.PropertyValue, b(1) As New com.sun.star.beans.PropertyValue
	a(0).Name = "Hidden" : a(0).Value = True
	b(0).Name = "FilterName" : b(0).Value = "%s"
	b(1).Name = "%s" : b(1).Value = "%s"
	StarDesktop.loadComponentFromURL("file:///tmp/job/in.%s", "_blank", 0, a()).storeToURL("file:///tmp/job/out", b())
	StarDesktop.terminate()
End Sub
`

// Written is the document of a flat kind (fodt, fods, fodp) as the filter writes it, under the password when there is one.
func Written(t testing.TB, in, from, filter, password string) []byte {
	t.Helper()
	return WrittenIn(t, in, from, filter, password, "3")
}

// WrittenIn is Written in a version of OpenDocument, by LibreOffice's number for it: 2 is 1.1, 4 is 1.2, 3 is the latest with extensions.
func WrittenIn(t testing.TB, in, from, filter, password, version string) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "profile"), os.DirFS(tool.Tree+"/usr/share/sekisho/profile")); err != nil {
		t.Skipf("no runtime tree here: %v", err)
	}
	property := "Password"
	if password == "" {
		property = "Comment"
	}
	list := `><library:library library:name="Standard" library:link="false"/></library:libraries>`
	for name, text := range map[string]string{
		"in." + from:                             in,
		"profile/user/basic/script.xlc":          library("libraries", list),
		"profile/user/basic/dialog.xlc":          library("libraries", list),
		"profile/user/basic/Standard/script.xlb": library("library", `library:name="Standard" library:readonly="false" library:passwordprotected="false"><library:element library:name="Writer"/></library:library>`),
		"profile/user/basic/Standard/dialog.xlb": library("library", `library:name="Standard" library:readonly="false" library:passwordprotected="false"></library:library>`),
		"profile/user/basic/Standard/Writer.xba": fmt.Sprintf(doctype, "script:module", "module") + `<script:module xmlns:script="http://openoffice.org/2000/script" script:name="Writer" script:language="StarBasic">` + fmt.Sprintf(macro, filter, property, password, from) + `</script:module>`,
		"profile/user/registrymodifications.xcu": `<?xml version="1.0" encoding="UTF-8"?><oor:items xmlns:oor="http://openoffice.org/2001/registry"><item oor:path="/org.openoffice.Setup/Office"><prop oor:name="ooSetupInstCompleted" oor:op="fuse"><value>true</value></prop></item><item oor:path="/org.openoffice.Office.Common/Save/ODF"><prop oor:name="DefaultVersion" oor:op="fuse"><value>` + version + `</value></prop></item></oor:items>`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", tool.Tree, "/", "--tmpfs", "/tmp", "--bind", dir, tool.Work, "--proc", "/proc", "--dev", "/dev", "--chdir", tool.Work, "--",
		"/usr/lib/libreoffice/program/soffice.bin", "--headless", "--norestore", "--nolockcheck", "--nodefault", "--nofirststartwizard", "-env:UserInstallation=file://"+tool.Work+"/profile", "macro:///Standard.Writer.Main")
	cmd.Env = []string{"PATH=/usr/bin", "HOME=" + tool.Work, "LANG=C.UTF-8", "SAL_USE_VCLPLUGIN=svp"}
	said, _ := cmd.CombinedOutput() // how it ended proves nothing
	b, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatalf("LibreOffice wrote nothing: %v: %s", err, said)
	}
	return b
}

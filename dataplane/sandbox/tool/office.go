package tool

import (
	"bytes"
	_ "embed"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// officePath is LibreOffice's own program. The script of that name in bin would need a shell.
const officePath = "/usr/lib/libreoffice/program/soffice.bin"

// template is a profile that LibreOffice once filled, in the tree: with a fresh one it ends with status 81 and wants to be started again.
const template = "/usr/share/sekisho/profile"

//go:embed office.bas
var officeBasic []byte

// settings: no macro of a document runs, no link is followed, nothing is saved by itself.
const settings = `<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="MacroSecurityLevel" oor:op="fuse"><value>3</value></prop><prop oor:name="DisableActiveContent" oor:op="fuse"><value>true</value></prop><prop oor:name="BlockUntrustedRefererLinks" oor:op="fuse"><value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Save/Document"><prop oor:name="AutoSave" oor:op="fuse"><value>false</value></prop></item>
<item oor:path="/org.openoffice.Office.Writer/Content/Update"><prop oor:name="Link" oor:op="fuse"><value>0</value></prop></item>
<item oor:path="/org.openoffice.Office.Calc/Content/Update"><prop oor:name="Link" oor:op="fuse"><value>1</value></prop></item>
<item oor:path="/org.openoffice.Setup/Office"><prop oor:name="ooSetupInstCompleted" oor:op="fuse"><value>true</value></prop></item>
</oor:items>
`

// errEnded: LibreOffice ended by itself, most likely by an exception that nobody caught.
var errEnded = errors.New("LibreOffice ended")

// Ended tells whether a framed answer is that LibreOffice ended by itself.
func Ended(framed []byte) bool {
	a, err := verdict.ReadAnswer(bytes.NewReader(framed), MaxAnswer)
	return err == nil && a.Failed == Failed && strings.HasPrefix(a.Detail, errEnded.Error())
}

// office is LibreOffice, started and waiting for its one order.
type office struct {
	w    *work
	stop func()
	over chan struct{} // closed when the program ended
	said func() string
}

// startOffice starts LibreOffice with the macro that waits. It is ready when opened says so.
func startOffice(w *work) (*office, error) {
	if err := w.profile(); err != nil {
		return nil, err
	}
	cmd := w.command(officePath, []string{"--headless", "--norestore", "--nolockcheck", "--nodefault", "--nofirststartwizard", "--nologo",
		"-env:UserInstallation=file://" + w.path("profile"), "macro:///Standard.Sekisho.Main"})
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &failure{Absent, "LibreOffice"}
		}
		return nil, err
	}
	o := &office{w: w, over: make(chan struct{})}
	o.stop = func() {
		select {
		case <-o.over:
		default:
			cmd.Cancel()
			<-o.over
		}
	}
	o.said = func() string { <-o.over; return out.text() }
	go func() { defer close(o.over); cmd.Wait() }()
	return o, nil
}

func (o *office) ended() bool {
	select {
	case <-o.over:
		return true
	default:
		return false
	}
}

// clear takes away what a LibreOffice that ended left behind, for another start.
func (w *work) clear() error {
	return errors.Join(os.RemoveAll(filepath.Join(w.dir, "profile")), os.RemoveAll(filepath.Join(w.dir, "ready")))
}

// profile lays out a profile of its own for one start.
func (w *work) profile() error {
	from := filepath.Join("/", w.tree, template)
	if _, err := os.Stat(from); err == nil {
		if err := os.CopyFS(filepath.Join(w.dir, "profile"), os.DirFS(from)); err != nil {
			return err
		}
	}
	var source bytes.Buffer
	if err := xml.EscapeText(&source, officeBasic); err != nil {
		return err
	}
	const doctype = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<!DOCTYPE %s PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "%s.dtd">` + "\n"
	library := func(kind, rest string) string {
		return fmt.Sprintf(doctype, "library:"+kind, kind) + `<library:` + kind + ` xmlns:library="http://openoffice.org/2000/library" xmlns:xlink="http://www.w3.org/1999/xlink" ` + rest
	}
	for name, text := range map[string]string{
		"registrymodifications.xcu": settings,
		"basic/script.xlc":          library("libraries", `><library:library library:name="Standard" library:link="false"/></library:libraries>`),
		"basic/dialog.xlc":          library("libraries", `><library:library library:name="Standard" library:link="false"/></library:libraries>`),
		"basic/Standard/script.xlb": library("library", `library:name="Standard" library:readonly="false" library:passwordprotected="false"><library:element library:name="Sekisho"/></library:library>`),
		"basic/Standard/dialog.xlb": library("library", `library:name="Standard" library:readonly="false" library:passwordprotected="false"></library:library>`),
		"basic/Standard/Sekisho.xba": fmt.Sprintf(doctype, "script:module", "module") + `<script:module xmlns:script="http://openoffice.org/2000/script" script:name="Sekisho" script:language="StarBasic">` +
			source.String() + `</script:module>`,
	} {
		path := filepath.Join(w.dir, "profile/user", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// wait waits until LibreOffice has written a file, and gives what it says there.
func (o *office) wait(name string) (string, error) {
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for {
		if b, err := os.ReadFile(filepath.Join(o.w.dir, name)); err == nil {
			return strings.TrimSpace(string(b[:min(len(b), maxSaid)])), nil
		}
		select {
		case <-o.w.ctx.Done():
			return "", &failure{Late, "LibreOffice"}
		case <-o.over:
			if b, err := os.ReadFile(filepath.Join(o.w.dir, name)); err == nil {
				return strings.TrimSpace(string(b[:min(len(b), maxSaid)])), nil
			}
			return "", fmt.Errorf("%w: %s", errEnded, o.said())
		case <-tick.C:
		}
	}
}

// order hands over the lines that the macro waits for.
func (o *office) order(lines ...string) error {
	if err := o.w.write("order.new", []byte(strings.Join(lines, "\n")+"\n")); err != nil {
		return err
	}
	return os.Rename(filepath.Join(o.w.dir, "order.new"), filepath.Join(o.w.dir, "order"))
}

// spelled writes text as four hexadecimal digits a UTF-16 unit: the macro reads lines in no encoding that could be relied on.
func spelled(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", u)
	}
	return b.String()
}

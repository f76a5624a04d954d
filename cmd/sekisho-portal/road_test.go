package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"golang.org/x/text/encoding/japanese"

	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/web/browsertest"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/antivirus/clamtest"
	"github.com/sekisho/sekisho/dataplane/place"
)

const roll = `
version: 1
sections: [{id: zeimu, name: 税務課}, {id: it, name: 情報政策課}]
people:
  - {id: sato, name: 佐藤 花子, section: zeimu, role: staff, zones: [lgwan, internet]}
  - {id: tanaka, name: 田中 一郎, section: zeimu, role: section-head, zones: [lgwan, internet]}
  - {id: kansa, name: 監査 三郎, section: it, role: auditor, zones: [management]}
`

// TestRoadOfAFile walks the road with the real programs: control, broker with its sandboxes, release and three portals, each
// under its own user, and people at browsers.
func TestRoadOfAFile(t *testing.T) {
	g := install(t)
	lg, in, mg := g.portal(anchors.LGWAN), g.portal(anchors.Internet), g.portal(anchors.Management)
	browser := browsertest.Start(t)
	sjis, err := japanese.ShiftJIS.NewEncoder().String("氏名,金額\r\n山田 太郎,=1+2\r\n髙橋 次郎,3000\r\n")
	if err != nil {
		t.Fatal(err)
	}
	files := t.TempDir()
	list := keep(t, files, "納税者一覧.csv", sjis)
	other := keep(t, files, "案内.txt", "住民説明会のご案内\r\n")
	notice := keep(t, files, "防災訓練のお知らせ.docm", string(document(t)))
	program := keep(t, files, "請求書.pdf", "MZ\x90\x00"+strings.Repeat("x", 400))

	clerk := browsertest.Sit(t, browser, lg)
	g.firstSignIn(clerk, "sato")
	clerk.Open("/send")
	clerk.Click(`input[name=to][value=internet]`)
	clerk.Fill("#note", "県への報告に添付します")
	clerk.Choose("#file", list, other, notice, program)
	clerk.Click("#send button.primary")
	clerk.Await("#after a.primary")
	clerk.Click("#after a.primary")
	clerk.Until(`document.querySelectorAll(".badge.awaiting-approval").length === 3 && document.querySelectorAll(".badge.blocked").length === 1`)
	clerk.Look("road-home")
	clerk.Follow("請求書.pdf")
	clerk.See("このファイルは送れません")
	clerk.Look("road-blocked")

	head := browsertest.Sit(t, browser, lg)
	g.firstSignIn(head, "tanaka")
	head.Open("/approvals")
	head.Follow("案内.txt")
	head.Await("#reason")
	head.Fill("#reason", "日付が古いので直してください")
	head.Click("form.reject button")
	head.See("却下しました")
	head.Open("/approvals")
	head.Follow("防災訓練のお知らせ.docm")
	head.See("マクロ")
	head.Click("#approve")
	head.Await("#passphrase")
	head.Until(`document.querySelectorAll(".sheet-page").length === 4 || (window.again || (window.again = true, location.reload()), false)`) // they are drawn in the background
	head.See("1ページ目")
	head.See("見た目の変化なし")
	head.See("違いがあります")
	head.Look("road-pages")
	head.Open("/approvals")
	head.Follow("納税者一覧.csv")
	head.See("髙橋 次郎")
	head.Look("road-decide")
	head.Click("#approve")
	head.Await("#passphrase")
	head.See("納税者一覧.csv")
	head.Look("road-approve")
	seen, err := os.ReadFile(head.Download(`a[href$="/inspect"]`))
	if err != nil {
		t.Fatal(err)
	}
	head.Type("#passphrase", "chigau aikotoba"+kb.Enter)
	head.See("合言葉が違う")
	head.Type("#passphrase", g.people["tanaka"].Passphrase+kb.Enter)
	head.See("承認しました")
	head.Look("road-approved")

	clerk.Open("/transfers")
	clerk.See("受取可能")
	clerk.Follow("案内.txt")
	clerk.See("日付が古いので直してください")

	// The same clerk at a PC of the other zone; the password chosen in one zone serves in all.
	far := browsertest.Sit(t, browser, in)
	far.SignIn("sato", chosen("sato"))
	far.See("受け取れるファイルがあります")
	far.Open("/received")
	far.See("納税者一覧.csv")
	far.Look("road-received")
	path := far.Download(".item .end a.button")
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(path) != "納税者一覧.csv" || !bytes.Equal(got, seen) {
		t.Errorf("received %s, %d bytes; the section head had seen %d other ones", filepath.Base(path), len(got), len(seen))
	}
	text, err := japanese.ShiftJIS.NewDecoder().String(string(got))
	if err != nil || !strings.Contains(text, "髙橋 次郎,3000") || strings.Contains(text, ",=1+2") {
		t.Errorf("received %q (%v): want the rows as they were, with the formula made text", text, err)
	}

	auditor := browsertest.Sit(t, browser, mg)
	g.firstSignIn(auditor, "kansa")
	auditor.Click(".chain button")
	auditor.See("すべての記録が書かれたときのままです")
	auditor.See("却下")
	auditor.Look("road-audit")
}

// document is a notice of two pages with a macro, and with a picture on the first page that lies on somebody's server.
func document(t *testing.T) []byte {
	t.Helper()
	const (
		rels    = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`
		office  = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
		picture = `<w:p><w:r><w:drawing><wp:inline><wp:extent cx="2880000" cy="1440000"/><wp:docPr id="1" name="map"/><a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture">` +
			`<pic:pic><pic:nvPicPr><pic:cNvPr id="1" name="map"/><pic:cNvPicPr/></pic:nvPicPr><pic:blipFill><a:blip r:link="rId2"/><a:stretch><a:fillRect/></a:stretch></pic:blipFill>` +
			`<pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="2880000" cy="1440000"/></a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom><a:ln w="25400"><a:solidFill><a:srgbClr val="336699"/></a:solidFill></a:ln></pic:spPr></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>`
	)
	say := func(text, run string) string {
		return `<w:p><w:r><w:rPr>` + run + `</w:rPr><w:t>` + text + `</w:t></w:r></w:p>`
	}
	rows := ""
	for _, r := range [][3]string{{"時刻", "内容", "担当"}, {"9:00", "避難の放送", "総務課"}, {"9:15", "避難所への移動", "各課"}, {"10:30", "人数の確認", "税務課 髙橋"}} {
		rows += `<w:tr>`
		for _, c := range r {
			rows += `<w:tc><w:tcPr><w:tcW w="2800" w:type="dxa"/></w:tcPr>` + say(c, "") + `</w:tc>`
		}
		rows += `</w:tr>`
	}
	border := ""
	for _, side := range []string{"top", "left", "bottom", "right", "insideH", "insideV"} {
		border += `<w:` + side + ` w:val="single" w:sz="4" w:space="0" w:color="000000"/>`
	}
	body := say("防災訓練のお知らせ", `<w:b/><w:sz w:val="40"/>`) + say("職員各位", "") +
		strings.Repeat(say("下記のとおり防災訓練を行います。訓練の間、窓口の業務は通常どおり続けます。参加する職員は、動きやすい服装で集合してください。", ""), 3) + picture +
		`<w:tbl><w:tblPr><w:tblW w:w="8400" w:type="dxa"/><w:tblBorders>` + border + `</w:tblBorders></w:tblPr><w:tblGrid><w:gridCol w:w="2800"/><w:gridCol w:w="2800"/><w:gridCol w:w="2800"/></w:tblGrid>` + rows + `</w:tbl>` +
		`<w:p><w:r><w:br w:type="page"/></w:r></w:p>` + say("持ち物", `<w:b/><w:sz w:val="32"/>`) + strings.Repeat(say("・ヘルメット、手袋、飲み水", ""), 12)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, part := range [][2]string{
		{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
			`<Default Extension="bin" ContentType="application/vnd.ms-office.vbaProject"/><Override PartName="/word/document.xml" ContentType="application/vnd.ms-word.document.macroEnabled.main+xml"/></Types>`},
		{"_rels/.rels", rels + `<Relationship Id="rId1" Type="` + office + `/officeDocument" Target="word/document.xml"/></Relationships>`},
		{"word/document.xml", `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:r="` + office + `" xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" ` +
			`xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"><w:body>` + body + `</w:body></w:document>`},
		{"word/_rels/document.xml.rels", rels + `<Relationship Id="rId1" Type="http://schemas.microsoft.com/office/2006/relationships/vbaProject" Target="vbaProject.bin"/>` +
			`<Relationship Id="rId2" Type="` + office + `/image" Target="http://elsewhere.example/map.png" TargetMode="External"/></Relationships>`},
		{"word/vbaProject.bin", "\xd0\xcf\x11\xe0 AutoOpen"},
	} {
		w, err := z.Create(part[0])
		if err == nil {
			_, err = io.WriteString(w, part[1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// firstSignIn changes the one-time password on the way in.
func (g *gate) firstSignIn(p *browsertest.PC, id string) {
	g.t.Helper()
	p.SignIn(id, g.people[id].Password)
	p.See("一度だけ使える仮のもの")
	p.Fill("#current", g.people[id].Password)
	p.Fill("#new", chosen(id))
	p.Type("#again", chosen(id)+kb.Enter)
	p.See("パスワードを変更しました")
}

func chosen(id string) string { return "jibun-no-" + id + "-password" }

// gate is an installed gate without a dataplane: only files cross here.
type gate struct {
	t      *testing.T
	i      place.Instance
	bin    string
	people map[string]credentials
}

type credentials struct {
	ID         string `json:"id"`
	Password   string `json:"password"`
	Passphrase string `json:"passphrase"`
}

func install(t *testing.T) *gate {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test installs a gate and runs its daemons under their users: run it as root")
	}
	dir, err := os.MkdirTemp("", "sekisho-portal-test") // not TempDir: other users must reach the programs
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &gate{t: t, i: place.Instance(fmt.Sprintf("pt%d", os.Getpid())), bin: filepath.Join(dir, "bin"), people: map[string]credentials{}}
	build := exec.Command("go", "build", "-o", g.bin+"/")
	for _, p := range []string{"sekisho", "sekisho-control", "sekisho-release", "sekisho-broker", "sekisho-sanitize", "sekisho-portal"} {
		build.Args = append(build.Args, "github.com/sekisho/sekisho/cmd/"+p)
	}
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(filepath.Join(g.bin, "sekisho-broker"), "forget", "--name", string(g.i)).CombinedOutput(); err != nil {
			t.Logf("remove the broker's control group: %v %s", err, out)
		}
		for _, d := range []string{g.i.Etc(), g.i.State(), g.i.Run()} {
			if err := os.RemoveAll(d); err != nil {
				t.Error(err)
			}
		}
	})
	init := exec.Command(filepath.Join(g.bin, "sekisho"), "init", "--name", string(g.i),
		"--config", keep(t, dir, "town.yaml", string(examples.Lab)), "--people", keep(t, dir, "people.yaml", roll))
	var said bytes.Buffer
	init.Stderr = &said
	out, err := init.Output()
	var made struct{ People []credentials }
	if err == nil {
		err = json.Unmarshal(out, &made)
	}
	if err != nil {
		t.Fatalf("sekisho init: %v\n%s", err, said.Bytes())
	}
	for _, p := range made.People {
		g.people[p.ID] = p
	}
	g.start(place.ReleaseUser, g.i.ReleaseSocket(), nil, "sekisho-release", "--name", string(g.i))
	if err := clamtest.Signatures(g.i.Signatures(), time.Now()); err != nil {
		t.Fatal(err)
	}
	g.start(place.ClamdUser, g.i.ClamdSocket(), nil, "sekisho-broker", "clamd", "--name", string(g.i))
	g.start(place.BrokerUser, g.i.BrokerSocket(), nil, "sekisho-broker", "--name", string(g.i))
	g.start(place.ControlUser, g.i.AdminSocket(), nil, "sekisho-control", "--name", string(g.i))
	return g
}

// portal starts the portal of a zone on a passed socket, as a service manager would, and gives its address.
func (g *gate) portal(zone anchors.Zone) string {
	g.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		g.t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		g.t.Fatal(err)
	}
	defer f.Close()
	g.start(place.PortalUser(zone), "", f, "sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" --name "$1" --zone "$2"`,
		filepath.Join(g.bin, "sekisho-portal"), string(g.i), zone.String())
	return "https://" + l.Addr().String()
}

// start runs a program as a user until the test ends and waits for its socket, if it has one.
func (g *gate) start(who, socket string, passed *os.File, name string, args ...string) {
	g.t.Helper()
	u, err := user.Lookup(who)
	if err != nil {
		g.t.Fatalf("%v; hack/bootstrap adds the gate's users", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		g.t.Fatal(err)
	}
	if strings.HasPrefix(name, "sekisho-") {
		name = filepath.Join(g.bin, name)
	}
	c := exec.Command(name, args...)
	var said bytes.Buffer
	c.Stdout, c.Stderr, c.Dir = &said, &said, "/"
	if passed != nil {
		c.ExtraFiles = []*os.File{passed}
	}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	if err := c.Start(); err != nil {
		g.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	g.t.Cleanup(func() {
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			g.t.Errorf("%s ended by itself: %v", who, err)
		}
		select {
		case err := <-ended:
			if err != nil {
				g.t.Errorf("%s: %v", who, err)
			}
		case <-time.After(20 * time.Second):
			c.Process.Kill()
			g.t.Errorf("%s did not end on SIGTERM", who)
		}
		if g.t.Failed() {
			g.t.Logf("%s:\n%s", who, said.Bytes())
		}
	})
	for end := time.Now().Add(15 * time.Second); socket != ""; {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			return
		}
		if time.Now().After(end) {
			g.t.Fatalf("%s does not serve %s:\n%s", who, socket, said.Bytes())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func keep(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

package web_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/controlplane/web/browsertest"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/antivirus"
)

// TestFileFromZoneToZone is the road of a file as people walk it: sent by a clerk, seen and approved by the section head,
// received in the other zone; another one is rejected, a third is blocked.
func TestFileFromZoneToZone(t *testing.T) {
	h := newHall()
	lg, in := stand(t, h, anchors.LGWAN), stand(t, h, anchors.Internet)
	ctx := browsertest.Start(t)
	files := t.TempDir()
	csv := write(t, files, "納税者一覧.csv", []byte("氏名,金額\r\n山田 太郎,=1+2\r\n鈴木 次郎,3000\r\n"))
	photo := write(t, files, "現地写真.png", drawing(t))
	fake := write(t, files, "請求書.pdf", []byte("MZ\x90\x00"+strings.Repeat("x", 400)))

	clerk := browsertest.Sit(t, ctx, lg)
	clerk.Open("/")
	clerk.Look("sign-in")
	clerk.SignIn("sato", "chigau")
	clerk.See("利用者名かパスワードが違う")
	clerk.SignIn("sato", "sato-no-password")
	clerk.See("送ったファイルはまだありません")
	clerk.Look("home-empty")
	clerk.Open("/send")
	clerk.Click(`input[name=to][value=internet]`)
	clerk.Fill("#note", "県への報告に添付します")
	clerk.Choose("#file", csv, photo, fake)
	clerk.See("この形式はこの送り先では止められます")
	clerk.Picture("send-chosen-ja")
	clerk.Accessible("send-chosen")
	clerk.Click("#send button.primary")
	clerk.Await("#after a.primary")
	clerk.See("受け付けました")
	clerk.Picture("send-done-ja")
	clerk.Click("#after a.primary")
	clerk.See("承認待ち")
	clerk.See("停止")
	clerk.Look("home")
	clerk.Follow("請求書.pdf")
	clerk.See("このファイルは送れません")
	clerk.Look("detail-blocked")

	head := browsertest.Sit(t, ctx, lg)
	head.SignIn("tanaka", "tanaka-no-password")
	head.See("承認を待っています")
	head.Look("home-head")
	head.Click(`a.tile.warn`)
	head.See("現地写真.png")
	head.Look("approvals")
	head.Follow("現地写真.png")
	head.Await("#approve")
	head.Look("detail-decide-picture")
	head.Fill("#reason", "写り込みがあるため、撮り直してください")
	head.Click("form.reject button")
	head.See("却下しました")
	head.Open("/approvals")
	head.Follow("納税者一覧.csv")
	head.Await("#approve")
	head.See("無害化の前と後")
	head.Look("detail-decide-text")
	head.Click("#approve")
	head.Await("#passphrase")
	head.See("納税者一覧.csv")
	head.Look("approve")
	head.Resize(390, 800)
	head.Fits()
	head.Resize(1280, 900)
	head.Type("#passphrase", "chigau aikotoba"+kb.Enter)
	head.See("承認用の合言葉が違う")
	head.Type("#passphrase", "shinsei no aikotoba"+kb.Enter)
	head.See("承認しました")
	head.Look("detail-approved")

	clerk.Open("/transfers")
	clerk.See("受取可能")
	clerk.See("却下")
	clerk.Follow("現地写真.png")
	clerk.See("撮り直してください")
	clerk.Look("detail-rejected")

	other := browsertest.Sit(t, ctx, in)
	other.SignIn("sato", "sato-no-password")
	other.See("受け取れるファイルがあります")
	other.Open("/received")
	other.See("納税者一覧.csv")
	other.Look("received")
	path := other.Download(`.item .end a.button`)
	if filepath.Base(path) != "納税者一覧.csv" {
		t.Errorf("received as %q", filepath.Base(path))
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(got, []byte("鈴木 次郎,3000")) || bytes.Contains(got, []byte(",=1+2")) {
		t.Errorf("received %q: want the rows, with the formula made text", got)
	}
	other.Follow("納税者一覧.csv")
	other.See("受け取れます")
	other.Look("detail-receive")
}

// TestFirstSignIn leads a person with a one-time password to a password of their own, by the keyboard alone.
func TestFirstSignIn(t *testing.T) {
	h := newHall()
	base := stand(t, h, anchors.LGWAN)
	p := browsertest.Sit(t, browsertest.Start(t), base)
	p.SignIn("new", firstPassword)
	p.See("一度だけ使える仮のもの")
	p.Look("password")
	p.Open("/send")
	p.See("パスワードの変更")
	p.Until(`document.activeElement.id === "current"`)
	p.Press(firstPassword + kb.Tab + "atarashii-password" + kb.Tab + "chigau" + kb.Enter)
	p.See("確認の入力が同じではありません")
	p.Until(`document.activeElement.id === "current"`)
	p.Press(firstPassword + kb.Tab + "atarashii-password" + kb.Tab + "atarashii-password" + kb.Enter)
	p.See("パスワードを変更しました")
	p.Click(`.me button`)
	p.See("サインアウトしました")
	p.Open("/transfers")
	p.Await("#user")
}

// TestWithoutScripts sends a file with scripts turned off.
func TestWithoutScripts(t *testing.T) {
	h := newHall()
	base := stand(t, h, anchors.LGWAN)
	file := write(t, t.TempDir(), "memo.txt", []byte("会議のメモ\n"))
	p := browsertest.Sit(t, browsertest.Start(t), base)
	p.WithoutScripts()
	p.Open("/sign-in")
	p.Type("#user", "sato")
	p.Type("#password", "sato-no-password"+kb.Enter)
	p.Await(".empty")
	p.Open("/send")
	p.Picture("send-without-scripts-ja")
	p.Click(`input[name=to][value=internet]`)
	p.Choose("#file", file)
	p.Click("#send button.primary")
	p.Await(".way")
	p.Picture("detail-without-scripts-ja")
}

// TestConsole shows the gate alive.
func TestConsole(t *testing.T) {
	h := newHall()
	h.busy()
	base := stand(t, h, anchors.Management)
	ctx := browsertest.Start(t)
	p := browsertest.Sit(t, ctx, base)
	p.SignIn("joho", "joho-no-password")
	p.See("分離を証明済み")
	p.Await("#chart canvas")
	p.Until(`!document.body.innerText.includes("防護なし")`) // a tunnel device has no XDP and is guarded all the same
	p.Look("console")
	h.mu.Lock()
	h.status.Tunnels[0].Up, h.status.Ports[1].Up, h.status.Proven, h.status.Revision = false, false, false, "r-0043"
	h.mu.Unlock()
	p.See("r-0043") // by itself, without a reload
	p.Picture("console-trouble-ja")
	p.Accessible("console-trouble")

	h.mu.Lock()
	h.status.Daemons[0].Up, h.status.Ports, h.status.Tunnels, h.status.Classes, h.status.Hash, h.status.Revision = false, nil, nil, nil, "", ""
	h.mu.Unlock()
	p.See("データプレーンのプログラムが答えません")
	p.Picture("console-silent-ja")

	a := browsertest.Sit(t, ctx, base)
	a.SignIn("kansa", "kansa-no-password")
	a.See("起動してから検証していません")
	a.Click(".chain button")
	a.See("すべての記録が書かれたときのままです")
	a.Look("audit")
	h.mu.Lock()
	h.audit.Problem = "leaf 7: hash differs from the signed tree"
	h.mu.Unlock()
	a.Click(".chain button")
	a.See("記録が書き換えられています")
	a.Picture("audit-broken-ja")
}

// TestNarrowWindow keeps every page within a narrow window.
func TestNarrowWindow(t *testing.T) {
	h := newHall()
	h.busy()
	base := stand(t, h, anchors.LGWAN)
	ctx := browsertest.Start(t)
	p := browsertest.Sit(t, ctx, base)
	p.SignIn("tanaka", "tanaka-no-password")
	p.See("自分が送ったファイル")
	p.Resize(390, 844)
	for _, path := range []string{"/transfers", "/send", "/approvals", "/received"} {
		p.Open(path)
		p.Fits()
	}
	p.Open("/send")
	p.Picture("send-narrow-ja")
	m := browsertest.Sit(t, ctx, stand(t, h, anchors.Management))
	m.SignIn("joho", "joho-no-password")
	m.See("分離を証明済み")
	m.Resize(390, 844)
	m.Open("/console")
	m.Await("#chart canvas")
	m.Fits()
	m.Picture("console-narrow-ja")
}

// busy fills the console with a working day.
func (h *hall) busy() {
	now := time.Now()
	for i := range 300 {
		d := map[string]float64{"no-cell": 3 + 2*math.Sin(float64(i)/20), "station-unregistered": 0, "source-not-in-segment": 0.4}
		if i > 200 && i < 240 {
			d["station-unregistered"] = 22
		}
		allowed := 40 + 15*math.Sin(float64(i)/30)
		h.samples = append(h.samples, web.Sample{Time: now.Add(time.Duration(i-300) * time.Second), Allowed: &allowed, Packets: 9000, Dropped: d})
	}
	port := func(id string, z anchors.Zone, ja, en string) web.Port {
		return web.Port{ID: id, Zone: z, Name: web.Name{JA: ja, EN: en}, Up: true, Native: true, Portal: strings.HasPrefix(id, "pt-")}
	}
	h.status = web.Status{Town: web.Name{JA: "海山町", EN: "Umiyama"}, Time: now, Revision: "r-0042", Hash: "9f2c44d01be87a6655aa", Epoch: 42, Proven: true, Records: 38,
		Ports: []web.Port{port("mn0", anchors.MyNumber, "庁内 個人番号系", "Town hall, My Number"), port("pt-mn", anchors.MyNumber, "", ""),
			port("lg0", anchors.LGWAN, "庁内 LGWAN系", "Town hall, LGWAN"), port("lga0", anchors.LGWAN, "LGWAN-ASP", ""), port("pt-lg", anchors.LGWAN, "", ""),
			port("in0", anchors.Internet, "庁内 インターネット系", "Town hall, internet"), port("inw0", anchors.Internet, "インターネット", "Internet"), port("pt-in", anchors.Internet, "", ""),
			web.Port{ID: "wg0", Zone: anchors.MyNumber, Up: true}, port("mg0", anchors.Management, "運用管理", "Management"), port("pt-mg", anchors.Management, "", ""), port("wan0", anchors.Uplink, "閉域回線", "Closed line")},
		Tunnels: []web.Tunnel{{Region: "tokyo", Name: web.Name{JA: "東京リージョン", EN: "Tokyo region"}, Device: "wg0", Zone: anchors.MyNumber, Up: true, RTT: 4200 * time.Microsecond, Handshake: now.Add(-40 * time.Second)},
			{Region: "osaka", Name: web.Name{JA: "大阪リージョン", EN: "Osaka region"}, Device: "wg0", Zone: anchors.MyNumber, Up: true, RTT: 11 * time.Millisecond, Handshake: now.Add(-95 * time.Second)}},
		Classes: []web.Class{{ID: 1, Name: web.Name{JA: "基幹業務", EN: "Core business"}, Line: "line1", Guarantee: 25e6, Ceiling: 50e6, Delivered: 24.6e6},
			{ID: 2, Name: web.Name{JA: "一般", EN: "General"}, Line: "line1", Guarantee: 15e6, Ceiling: 50e6, Delivered: 6.1e6},
			{ID: 3, Name: web.Name{JA: "バックアップ", EN: "Backup"}, Line: "line1", Guarantee: 5e6, Ceiling: 50e6, Delivered: 17.9e6, Drops: 1204}},
		Daemons:   []web.Daemon{{Name: "dataplane", Up: true}, {Name: "control", Up: true}, {Name: "broker", Up: true}, {Name: "release", Up: true}},
		Antivirus: &antivirus.Standing{Version: "ClamAV 1.4.3", Signatures: 27823, Made: now.Add(-80 * time.Hour), Level: antivirus.Days}}
	for i := range 60 {
		e := web.Event{Index: int64(i + 1), Time: now.Add(time.Duration(i-60) * time.Minute), Actor: "sato", Action: "transfer.create", Object: fmt.Sprintf("t-%04d", i), Detail: map[string]string{"from": "lgwan", "to": "internet"}}
		if i%3 == 0 {
			e.Actor, e.Action = "tanaka", "transfer.approve"
		}
		h.events = append(h.events, e)
	}
	h.audit = web.AuditState{Size: 60, Root: "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9", Checkpoint: now.Add(-time.Minute)}
}

func write(t *testing.T, dir, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func drawing(t *testing.T) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 480, 320))
	for y := range 320 {
		for x := range 480 {
			c := color.RGBA{R: uint8(120 + x/6), G: uint8(180 - y/4), B: uint8(200 - x/5), A: 255}
			if (x-360)*(x-360)+(y-80)*(y-80) < 1600 {
				c = color.RGBA{255, 220, 120, 255}
			}
			if y > 220-int(30*math.Sin(float64(x)/60)) {
				c = color.RGBA{60, 110, 70, 255}
			}
			m.Set(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestDragAndDrop lets files fall onto the form, takes one back and sends the other.
func TestDragAndDrop(t *testing.T) {
	p := browsertest.Sit(t, browsertest.Start(t), stand(t, newHall(), anchors.LGWAN))
	p.SignIn("sato", "sato-no-password")
	p.See("自分が送ったファイル")
	p.Open("/send")
	p.Click(`input[name=to][value=internet]`)
	p.Until(`(() => { const d = new DataTransfer(); for (const n of ["よい.txt", "やめる.txt"]) d.items.add(new File(["本文\n"], n));
		return !document.getElementById("drop").dispatchEvent(new DragEvent("drop", {dataTransfer: d, bubbles: true, cancelable: true})) })()`)
	p.See("やめる.txt")
	p.Click(`button[aria-label="取り消す: やめる.txt"]`)
	p.Click("#send button.primary")
	p.See("よい.txt")
	p.See("承認待ち") // one file: its own page opens and follows it
}

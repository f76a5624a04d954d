package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// chromium starts Debian's browser with a fresh profile; nothing but the test's own servers is asked.
func chromium(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 55*time.Second)
	t.Cleanup(cancel)
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("ignore-certificate-errors", true), chromedp.Flag("lang", "ja"), chromedp.WindowSize(1280, 900),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"))
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium (apt-get install chromium): %v", err)
	}
	return ctx
}

// pc is a browser window of its own: no cookie is shared with another.
type pc struct {
	t    *testing.T
	ctx  context.Context
	base string
}

func sit(t *testing.T, ctx context.Context, base string) *pc {
	t.Helper()
	ctx, cancel := chromedp.NewContext(ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	p := &pc{t, ctx, base}
	if err := chromedp.Do(ctx); err != nil { // the first run opens the window and must have no timeout
		t.Fatal(err)
	}
	p.do(chromedp.EmulateViewport(1280, 900))
	return p
}

// get runs an action that gives a value.
func get[T any](p *pc, a chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 15*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		p.stuck(err)
	}
	return v
}

func (p *pc) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	get(p, chromedp.Steps(steps...))
}

// stuck ends the test and says what the window shows.
func (p *pc) stuck(err error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 3*time.Second)
	defer cancel()
	at, _ := chromedp.Run(ctx, chromedp.Location())
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	p.t.Fatalf("at %s: %v\n%s", at, err, text)
}

func (p *pc) open(path string) { p.t.Helper(); p.do(chromedp.Navigate(p.base + path)) }

func (p *pc) see(text string) {
	p.t.Helper()
	p.until(`document.body && document.body.innerText.includes(` + strconv.Quote(text) + `)`)
}

// until waits for a condition, across pages that come and go meanwhile.
func (p *pc) until(condition string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+condition+")")); err == nil && ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.stuck(fmt.Errorf("waited for %s: %w", condition, ctx.Err()))
		}
	}
}

func (p *pc) signIn(user, password string) {
	p.t.Helper()
	p.open("/sign-in")
	p.do(chromedp.SetValue(chromedp.CSS("#user"), user), chromedp.SendKeys(chromedp.CSS("#password"), password+kb.Enter))
}

// look holds the page against the accessibility rules and, for whoever set SEKISHO_SCREENSHOTS to a directory, keeps a picture
// of it in both languages.
func (p *pc) look(name string) {
	p.t.Helper()
	p.accessible(name)
	if os.Getenv("SEKISHO_SCREENSHOTS") == "" {
		return
	}
	for _, l := range []string{"ja", "en"} {
		p.speak(l)
		p.picture(name + "-" + l)
	}
	p.speak("ja")
}

// speak switches the language, unless the window has it already.
func (p *pc) speak(l string) {
	p.t.Helper()
	if get(p, chromedp.Evaluate[string](`document.documentElement.lang`)) == l {
		return
	}
	p.do(chromedp.Click(chromedp.CSS(`.languages button[lang="` + l + `"]`)))
	p.until(`document.documentElement.lang === ` + strconv.Quote(l) + ` && document.readyState === "complete"`)
}

func (p *pc) picture(name string) {
	p.t.Helper()
	dir := os.Getenv("SEKISHO_SCREENSHOTS")
	if dir == "" {
		return
	}
	b := get(p, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), b, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pc) accessible(name string) {
	p.t.Helper()
	axe, err := os.ReadFile("testdata/axe.min.js")
	if err != nil {
		p.t.Fatal(err)
	}
	get(p, chromedp.Evaluate[int](string(axe)+";0"))
	found := get(p, chromedp.Evaluate[string](`axe.run({resultTypes:["violations"]}).then(r => JSON.stringify(r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html + " " + (n.any[0]||{}).message).join(" | "))))`,
		chromedp.EvalAwaitPromise))
	var violations []string
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		p.t.Fatal(err)
	}
	for _, v := range violations {
		p.t.Errorf("%s: accessibility: %s", name, v)
	}
}

// TestFileFromZoneToZone is the road of a file as people walk it: sent by a clerk, seen and approved by the section head,
// received in the other zone; another one is rejected, a third is blocked.
func TestFileFromZoneToZone(t *testing.T) {
	h := newHall()
	lg, in := stand(t, h, anchors.LGWAN), stand(t, h, anchors.Internet)
	ctx := chromium(t)
	files := t.TempDir()
	csv := write(t, files, "納税者一覧.csv", []byte("氏名,金額\r\n山田 太郎,=1+2\r\n鈴木 次郎,3000\r\n"))
	photo := write(t, files, "現地写真.png", drawing(t))
	fake := write(t, files, "請求書.pdf", []byte("MZ\x90\x00"+strings.Repeat("x", 400)))

	clerk := sit(t, ctx, lg)
	clerk.open("/")
	clerk.look("sign-in")
	clerk.signIn("sato", "chigau")
	clerk.see("利用者名かパスワードが違う")
	clerk.signIn("sato", "sato-no-password")
	clerk.see("送ったファイルはまだありません")
	clerk.look("home-empty")
	clerk.open("/send")
	clerk.do(chromedp.Click(chromedp.CSS(`input[name=to][value=internet]`)),
		chromedp.SetValue(chromedp.CSS("#note"), "県への報告に添付します"),
		chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{csv, photo, fake}))
	clerk.see("この形式はこの送り先では止められます")
	clerk.picture("send-chosen-ja")
	clerk.accessible("send-chosen")
	clerk.do(chromedp.Click(chromedp.CSS("#send button.primary")), chromedp.WaitVisible(chromedp.CSS("#after a.primary")))
	clerk.see("受け付けました")
	clerk.picture("send-done-ja")
	clerk.do(chromedp.Click(chromedp.CSS("#after a.primary")))
	clerk.see("承認待ち")
	clerk.see("停止")
	clerk.look("home")
	clerk.do(chromedp.Click(`//a[text()="請求書.pdf"]`))
	clerk.see("このファイルは送れません")
	clerk.look("detail-blocked")

	head := sit(t, ctx, lg)
	head.signIn("tanaka", "tanaka-no-password")
	head.see("承認を待っています")
	head.look("home-head")
	head.do(chromedp.Click(chromedp.CSS(`a.tile.warn`)))
	head.see("現地写真.png")
	head.look("approvals")
	head.do(chromedp.Click(`//a[text()="現地写真.png"]`), chromedp.WaitVisible(chromedp.CSS("#passphrase")))
	head.look("detail-decide-picture")
	head.do(chromedp.SetValue(chromedp.CSS("#reason"), "写り込みがあるため、撮り直してください"), chromedp.Click(chromedp.CSS("form.reject button")))
	head.see("却下しました")
	head.open("/approvals")
	head.do(chromedp.Click(`//a[text()="納税者一覧.csv"]`), chromedp.WaitVisible(chromedp.CSS("#passphrase")))
	head.see("無害化の前と後")
	head.look("detail-decide-text")
	head.do(chromedp.SendKeys(chromedp.CSS("#passphrase"), "chigau aikotoba"+kb.Enter))
	head.see("承認用の合言葉が違う")
	head.do(chromedp.SendKeys(chromedp.CSS("#passphrase"), "shinsei no aikotoba"+kb.Enter))
	head.see("承認しました")
	head.look("detail-approved")

	clerk.open("/transfers")
	clerk.see("受取可能")
	clerk.see("却下")
	clerk.do(chromedp.Click(`//a[text()="現地写真.png"]`))
	clerk.see("撮り直してください")
	clerk.look("detail-rejected")

	other := sit(t, ctx, in)
	other.signIn("sato", "sato-no-password")
	other.see("受け取れるファイルがあります")
	other.open("/received")
	other.see("納税者一覧.csv")
	other.look("received")
	down := t.TempDir()
	done := make(chan struct{})
	err := chromedp.ListenBrowser(other.ctx, func(e any) {
		if e, ok := e.(*browser.EventDownloadProgress); ok && e.State == browser.DownloadProgressStateCompleted {
			close(done)
		}
	})
	if err == nil {
		events := true
		_, err = chromedp.CallBrowser(other.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorAllow,
			BrowserContextID: chromedp.FromContext(other.ctx).BrowserContextID, DownloadPath: down, EventsEnabled: &events})
	}
	if err != nil {
		t.Fatal(err)
	}
	other.do(chromedp.Click(chromedp.CSS(`.item .end a.button`)))
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the download did not end")
	}
	got, err := os.ReadFile(filepath.Join(down, "納税者一覧.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(got, []byte("鈴木 次郎,3000")) || bytes.Contains(got, []byte(",=1+2")) {
		t.Errorf("received %q: want the rows, with the formula made text", got)
	}
	other.do(chromedp.Click(`//a[text()="納税者一覧.csv"]`))
	other.see("受け取れます")
	other.look("detail-receive")
}

// TestFirstSignIn leads a person with a one-time password to a password of their own, by the keyboard alone.
func TestFirstSignIn(t *testing.T) {
	h := newHall()
	base := stand(t, h, anchors.LGWAN)
	p := sit(t, chromium(t), base)
	p.signIn("new", firstPassword)
	p.see("一度だけ使える仮のもの")
	p.look("password")
	p.open("/send")
	p.see("パスワードの変更")
	p.until(`document.activeElement.id === "current"`)
	p.do(chromedp.KeyEvent(firstPassword + kb.Tab + "atarashii-password" + kb.Tab + "chigau" + kb.Enter))
	p.see("確認の入力が同じではありません")
	p.until(`document.activeElement.id === "current"`)
	p.do(chromedp.KeyEvent(firstPassword + kb.Tab + "atarashii-password" + kb.Tab + "atarashii-password" + kb.Enter))
	p.see("パスワードを変更しました")
	p.do(chromedp.Click(chromedp.CSS(`.me button`)))
	p.see("サインアウトしました")
	p.open("/transfers")
	p.do(chromedp.WaitVisible(chromedp.CSS("#user")))
}

// TestWithoutScripts sends a file with scripts turned off.
func TestWithoutScripts(t *testing.T) {
	h := newHall()
	base := stand(t, h, anchors.LGWAN)
	file := write(t, t.TempDir(), "memo.txt", []byte("会議のメモ\n"))
	p := sit(t, chromium(t), base)
	if _, err := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	p.open("/sign-in")
	p.do(chromedp.SendKeys(chromedp.CSS("#user"), "sato"), chromedp.SendKeys(chromedp.CSS("#password"), "sato-no-password"+kb.Enter), chromedp.WaitVisible(chromedp.CSS(".empty")))
	p.open("/send")
	p.picture("send-without-scripts-ja")
	p.do(chromedp.Click(chromedp.CSS(`input[name=to][value=internet]`)), chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file}),
		chromedp.Click(chromedp.CSS("#send button.primary")), chromedp.WaitVisible(chromedp.CSS(".way")))
	p.picture("detail-without-scripts-ja")
}

// TestConsole shows the gate alive.
func TestConsole(t *testing.T) {
	h := newHall()
	h.busy()
	base := stand(t, h, anchors.Management)
	ctx := chromium(t)
	p := sit(t, ctx, base)
	p.signIn("joho", "joho-no-password")
	p.see("分離を証明済み")
	p.do(chromedp.WaitVisible(chromedp.CSS("#chart canvas")))
	p.look("console")
	h.mu.Lock()
	h.status.Tunnels[0].Up, h.status.Ports[1].Up, h.status.Proven, h.status.Revision = false, false, false, "r-0043"
	h.mu.Unlock()
	p.see("r-0043") // by itself, without a reload
	p.picture("console-trouble-ja")
	p.accessible("console-trouble")

	a := sit(t, ctx, base)
	a.signIn("kansa", "kansa-no-password")
	a.see("起動してから検証していません")
	a.do(chromedp.Click(chromedp.CSS(".chain button")))
	a.see("すべての記録が書かれたときのままです")
	a.look("audit")
	h.mu.Lock()
	h.audit.Problem = "leaf 7: hash differs from the signed tree"
	h.mu.Unlock()
	a.do(chromedp.Click(chromedp.CSS(".chain button")))
	a.see("記録が書き換えられています")
	a.picture("audit-broken-ja")
}

// TestNarrowWindow keeps every page within a narrow window.
func TestNarrowWindow(t *testing.T) {
	h := newHall()
	h.busy()
	base := stand(t, h, anchors.LGWAN)
	ctx := chromium(t)
	p := sit(t, ctx, base)
	p.signIn("tanaka", "tanaka-no-password")
	p.see("自分が送ったファイル")
	p.do(chromedp.EmulateViewport(390, 844))
	for _, path := range []string{"/transfers", "/send", "/approvals", "/received"} {
		p.open(path)
		p.fits(path)
	}
	p.open("/send")
	p.picture("send-narrow-ja")
	m := sit(t, ctx, stand(t, h, anchors.Management))
	m.signIn("joho", "joho-no-password")
	m.see("分離を証明済み")
	m.do(chromedp.EmulateViewport(390, 844))
	m.open("/console")
	m.do(chromedp.WaitVisible(chromedp.CSS("#chart canvas")))
	m.fits("/console")
	m.picture("console-narrow-ja")
}

func (p *pc) fits(path string) {
	p.t.Helper()
	over := get(p, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
	if over > 0 {
		p.t.Errorf("%s: %d pixels wider than a window of 390", path, over)
	}
}

// busy fills the console with a working day.
func (h *hall) busy() {
	now := time.Now()
	for i := range 300 {
		d := map[string]float64{"no-cell": 3 + 2*math.Sin(float64(i)/20), "station-unregistered": 0, "source-not-in-segment": 0.4}
		if i > 200 && i < 240 {
			d["station-unregistered"] = 22
		}
		h.samples = append(h.samples, web.Sample{Time: now.Add(time.Duration(i-300) * time.Second), Allowed: 40 + 15*math.Sin(float64(i)/30), Packets: 9000, Dropped: d})
	}
	port := func(id string, z anchors.Zone, ja, en string) web.Port {
		return web.Port{ID: id, Zone: z, Name: web.Name{JA: ja, EN: en}, Up: true, Native: true, Portal: strings.HasPrefix(id, "pt-")}
	}
	h.status = web.Status{Town: web.Name{JA: "海山町", EN: "Umiyama"}, Time: now, Revision: "r-0042", Hash: "9f2c44d01be87a6655aa", Epoch: 42, Proven: true, Records: 38,
		Ports: []web.Port{port("mn0", anchors.MyNumber, "庁内 個人番号系", "Town hall, My Number"), port("pt-mn", anchors.MyNumber, "", ""),
			port("lg0", anchors.LGWAN, "庁内 LGWAN系", "Town hall, LGWAN"), port("lga0", anchors.LGWAN, "LGWAN-ASP", ""), port("pt-lg", anchors.LGWAN, "", ""),
			port("in0", anchors.Internet, "庁内 インターネット系", "Town hall, internet"), port("inw0", anchors.Internet, "インターネット", "Internet"), port("pt-in", anchors.Internet, "", ""),
			port("mg0", anchors.Management, "運用管理", "Management"), port("pt-mg", anchors.Management, "", ""), port("wan0", anchors.Uplink, "閉域回線", "Closed line")},
		Tunnels: []web.Tunnel{{Region: "tokyo", Name: web.Name{JA: "東京リージョン", EN: "Tokyo region"}, Device: "wg0", Zone: anchors.MyNumber, Up: true, RTT: 4200 * time.Microsecond, Handshake: now.Add(-40 * time.Second)},
			{Region: "osaka", Name: web.Name{JA: "大阪リージョン", EN: "Osaka region"}, Device: "wg0", Zone: anchors.MyNumber, Up: true, RTT: 11 * time.Millisecond, Handshake: now.Add(-95 * time.Second)}},
		Classes: []web.Class{{ID: 1, Name: web.Name{JA: "基幹業務", EN: "Core business"}, Line: "line1", Guarantee: 25e6, Ceiling: 50e6, Delivered: 24.6e6},
			{ID: 2, Name: web.Name{JA: "一般", EN: "General"}, Line: "line1", Guarantee: 15e6, Ceiling: 50e6, Delivered: 6.1e6},
			{ID: 3, Name: web.Name{JA: "バックアップ", EN: "Backup"}, Line: "line1", Guarantee: 5e6, Ceiling: 50e6, Delivered: 17.9e6, Drops: 1204}},
		Daemons: []web.Daemon{{Name: "dataplane", Up: true}, {Name: "control", Up: true}, {Name: "broker", Up: true}, {Name: "release", Up: true}}}
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

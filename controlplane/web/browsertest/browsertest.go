// Package browsertest sits people down at browsers in tests.
//
// Problem: a page may be right in every byte and still not do in a browser what it should. Mechanism: Debian's chromium, driven
// over its own protocol, one separate set of cookies for each person; every step waits for what a person would wait for, and
// says what the window showed when it did not come. Life cycle: a browser for a test, ended with the test. Invariant: the
// browser asks nobody but the test's own servers on loopback.
package browsertest

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Screenshots names a directory for pictures of every page that a test looks at; unset: none are made.
const Screenshots = "SEKISHO_SCREENSHOTS"

// Limits of one step and of one browser; a machine that builds meanwhile is slow.
const (
	stepTime = 30 * time.Second
	testTime = 4 * time.Minute
)

//go:embed axe.min.js
var axe string

// Start runs a browser with a fresh profile.
func Start(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTime)
	t.Cleanup(cancel)
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("ignore-certificate-errors", true), chromedp.Flag("lang", "ja"),
		chromedp.WindowSize(1280, 900), chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"))
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium: %v; apt-get install chromium fonts-noto-cjk", err)
	}
	return ctx
}

// PC is a browser window with cookies of its own.
type PC struct {
	t    *testing.T
	ctx  context.Context
	base string
}

// Sit opens a window on the portal at base ("https://127.0.0.1:8443").
func Sit(t *testing.T, browser context.Context, base string) *PC {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // the first run opens the window and must have no time limit
		t.Fatal(err)
	}
	p := &PC{t, ctx, base}
	p.Resize(1280, 900)
	return p
}

func run[T any](p *PC, a chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTime)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		p.stuck(err)
	}
	return v
}

// stuck ends the test and says what the window shows.
func (p *PC) stuck(err error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 3*time.Second)
	defer cancel()
	at, _ := chromedp.Run(ctx, chromedp.Location())
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	p.t.Fatalf("at %s: %v\n%s", at, err, text)
}

// Resize gives the window another size, in pixels.
func (p *PC) Resize(width, height int64) {
	p.t.Helper()
	run(p, chromedp.EmulateViewport(width, height))
}

// WithoutScripts turns scripts off.
func (p *PC) WithoutScripts() {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		p.t.Fatal(err)
	}
}

// Open goes to a path of the portal.
func (p *PC) Open(path string) {
	p.t.Helper()
	run(p, chromedp.Navigate(p.base+path))
}

// SignIn fills in the form of the sign-in page and presses Enter; it does not wait for what comes of it.
func (p *PC) SignIn(user, password string) {
	p.t.Helper()
	p.Open("/sign-in")
	p.Fill("#user", user)
	p.Type("#password", password+kb.Enter)
}

// Click, Fill, Type, Choose and Await take a CSS selector and wait until there is such an element.
func (p *PC) Click(selector string) {
	p.t.Helper()
	run(p, chromedp.Click(chromedp.CSS(selector)))
}

// Follow clicks the link with exactly this text.
func (p *PC) Follow(text string) {
	p.t.Helper()
	run(p, chromedp.Click(`//a[text()="`+text+`"]`))
}

// Fill sets a field.
func (p *PC) Fill(selector, value string) {
	p.t.Helper()
	run(p, chromedp.SetValue(chromedp.CSS(selector), value))
}

// Type presses keys in a field.
func (p *PC) Type(selector, keys string) {
	p.t.Helper()
	run(p, chromedp.SendKeys(chromedp.CSS(selector), keys))
}

// Press presses keys wherever the focus is.
func (p *PC) Press(keys string) {
	p.t.Helper()
	run(p, chromedp.KeyEvent(keys))
}

// Choose puts files into a file input.
func (p *PC) Choose(selector string, files ...string) {
	p.t.Helper()
	run(p, chromedp.SetUploadFiles(chromedp.CSS(selector), files))
}

// Await waits until an element can be seen.
func (p *PC) Await(selector string) {
	p.t.Helper()
	run(p, chromedp.WaitVisible(chromedp.CSS(selector)))
}

// See waits until the page shows the text.
func (p *PC) See(text string) {
	p.t.Helper()
	p.Until(`document.body && document.body.innerText.includes(` + strconv.Quote(text) + `)`)
}

// Until waits for a condition in JavaScript, across pages that come and go meanwhile.
func (p *PC) Until(condition string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTime)
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

// Fits fails the test when the page is wider than the window.
func (p *PC) Fits() {
	p.t.Helper()
	over := run(p, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
	if over > 0 {
		p.t.Errorf("%s: %d pixels wider than the window", run(p, chromedp.Location()), over)
	}
}

// Look holds the page against the accessibility rules (axe-core) and, where Screenshots asks for it, keeps a picture in both
// languages.
func (p *PC) Look(name string) {
	p.t.Helper()
	p.Accessible(name)
	if os.Getenv(Screenshots) == "" {
		return
	}
	for _, l := range []string{"ja", "en"} {
		p.speak(l)
		p.Picture(name + "-" + l)
	}
	p.speak("ja")
}

// speak switches the language, unless the page has it already.
func (p *PC) speak(l string) {
	p.t.Helper()
	if run(p, chromedp.Evaluate[string](`document.documentElement.lang`)) == l {
		return
	}
	p.Click(`.languages button[lang="` + l + `"]`)
	p.Until(`document.documentElement.lang === ` + strconv.Quote(l) + ` && document.readyState === "complete"`)
}

// Picture keeps a picture of the whole page, where Screenshots asks for it.
func (p *PC) Picture(name string) {
	p.t.Helper()
	dir := os.Getenv(Screenshots)
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), run(p, chromedp.FullScreenshot(100)), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// Print gives the page as it comes out of a printer, as PDF on the paper that the page asks for, and how many sheets that takes.
func (p *PC) Print(name string) (sheets int) {
	p.t.Helper()
	yes := true
	out, err := chromedp.Call(p.ctx, page.PrintToPDF, page.PrintToPDFParams{PrintBackground: &yes, PreferCSSPageSize: &yes})
	if err != nil {
		p.t.Fatal(err)
	}
	if dir := os.Getenv(Screenshots); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".pdf"), out.Data, 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
	return bytes.Count(out.Data, []byte("/Type /Page\n")) + bytes.Count(out.Data, []byte("/Type /Page "))
}

// Accessible fails the test for each rule that the page breaks.
func (p *PC) Accessible(name string) {
	p.t.Helper()
	run(p, chromedp.Evaluate[int](axe+";0"))
	found := run(p, chromedp.Evaluate[string](`axe.run({resultTypes:["violations"]}).then(r => JSON.stringify(r.violations.map(
		v => v.id + ": " + v.nodes.map(n => n.html + " " + (n.any[0]||{}).message).join(" | "))))`, chromedp.EvalAwaitPromise))
	var violations []string
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		p.t.Fatal(err)
	}
	for _, v := range violations {
		p.t.Errorf("%s: accessibility: %s", name, v)
	}
}

// Download clicks a link and gives the path of the file that the browser kept.
func (p *PC) Download(selector string) string {
	p.t.Helper()
	dir := p.t.TempDir()
	names := make(chan string, 1)
	done := make(chan error, 1)
	err := chromedp.ListenBrowser(p.ctx, func(e any) {
		switch e := e.(type) {
		case *browser.EventDownloadWillBegin:
			select {
			case names <- e.SuggestedFilename:
			default:
			}
		case *browser.EventDownloadProgress:
			if e.State == browser.DownloadProgressStateInProgress {
				return
			}
			var err error
			if e.State != browser.DownloadProgressStateCompleted {
				err = fmt.Errorf("download %s", e.State)
			}
			select {
			case done <- err:
			default:
			}
		}
	})
	if err == nil {
		events := true
		_, err = chromedp.CallBrowser(p.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorAllow,
			BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID, DownloadPath: dir, EventsEnabled: &events})
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.Click(selector)
	select {
	case err := <-done:
		if err != nil {
			p.t.Fatal(err)
		}
	case <-time.After(stepTime):
		p.t.Fatalf("clicked %s: no download ended within %v", selector, stepTime)
	}
	return filepath.Join(dir, <-names)
}

package verify

import (
	"bytes"
	"compress/gzip"
	"image"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// A choice of a route: a file that a rebuilder makes of the original when it does not know the choice, and one when it does.
type choice struct {
	what, name string
	original   string
	without    verdict.Policy // what a rebuilder goes by that ignores the route
	with       verdict.Policy // what the route says
	keys       []string
}

func choices(t *testing.T) map[string][]choice {
	page := func(body string) string { return "<html><body>" + body + "</body></html>" }
	drawing := `<svg xmlns="http://www.w3.org/2000/svg"><a href="https://a.example/"><text>x</text></a></svg>`
	richMail := "From: a@b.example\r\nContent-Type: text/html\r\n\r\n" + page(`<b>x</b> <a href="https://a.example/">y</a>`)
	none := verdict.Policy{}
	return map[string][]choice{
		"Links": {
			{"of a page", "a.html", page(`<a href="https://a.example/">x</a><a href="#y">y</a><a href="b.html">b</a>`), none, verdict.Policy{Links: "remove"}, nil},
			{"to a mailbox", "a.html", page(`<a href="mailto:a@b.example">x</a>`), none, verdict.Policy{Links: "remove"}, nil},
			{"of a drawing", "a.svg", drawing, none, verdict.Policy{Links: "remove"}, nil},
			{"of Markdown", "a.md", "[a](https://a.example/) [b](b.md) [c](#c)", none, verdict.Policy{Links: "remove"}, nil},
			{"of Markdown, bare", "a.md", "<https://a.example/>", none, verdict.Policy{Links: "remove"}, nil},
			{"of Markdown, named", "a.md", "[a]\n\n[a]: https://a.example/", none, verdict.Policy{Links: "remove"}, nil},
			{"of a mail", "a.eml", richMail, verdict.Policy{MailBody: "html"}, verdict.Policy{MailBody: "html", Links: "remove"}, nil},
			{"of a page in a gzip", "a.html.gz", gzipped(t, page(`<a href="https://a.example/">x</a>`)), none, verdict.Policy{Links: "remove"}, nil},
		},
		"Charset": {
			{"of a text", "a.txt", "\x93\xFA\x96\x7B\x8C\xEA\x82\xCC\x95\xB6", none, verdict.Policy{Charset: "utf-8"}, nil},
			{"of a table", "a.csv", "\x93\xFA,\x96\x7B\x8C\xEA\n", none, verdict.Policy{Charset: "utf-8"}, nil},
			{"of a text in UTF-16", "a.txt", "\xFF\xFEa\x00", none, verdict.Policy{Charset: "utf-8"}, nil},
			{"of a text in ISO-2022-JP", "a.txt", "\x1B$BF|\x1B(B", none, verdict.Policy{Charset: "utf-8"}, nil},
		},
		"Formulas": {{"of a table", "a.csv", "=1+1,a\n", verdict.Policy{Formulas: "report"}, none, nil}},
		"Hidden": {
			{"an element", "a.html", page(`<p hidden>x</p>y`), none, verdict.Policy{Hidden: "remove"}, nil},
			{"by a style", "a.html", page(`<p style="color:red;display:NONE!important">x</p>y`), none, verdict.Policy{Hidden: "remove"}, nil},
			{"by a style of the body", "a.html", `<html><body style="opacity:0.0"><p>x</p></body></html>`, none, verdict.Policy{Hidden: "remove"}, nil},
			{"by a style sheet", "a.html", page(`<style>.x{color:red;font-size:0vw}</style><p class="x">x</p>y`), none, verdict.Policy{Hidden: "remove"}, nil},
		},
		"MailBody":  {{"of a mail", "a.eml", richMail, verdict.Policy{MailBody: "html"}, none, nil}},
		"Passwords": {{"of a ZIP", "a.zip", sealedZip(t), verdict.Policy{Passwords: "again"}, none, []string{"secret"}}},
		"Pixels":    {{"of a camera", "a.jpg", cameraJPEG(t), none, verdict.Policy{Pixels: true}, nil}},
	}
}

// blind says of each other choice why no second opinion on the result can tell whether a rebuilder followed it.
var blind = map[string]string{
	"Block":        "names what was found in the original; the result does not hold it either way",
	"Members":      "a result does not tell what was left out of it; a member that is of no admitted family is refused whatever the route says",
	"Noise":        "a message that was hidden well is noise to whoever does not know it",
	"FindMyNumber": "what is found is told by the rebuilder alone: the verifier reads no words",
	"Comments":     "of office documents: tested beside their verifier",
	"Attachments":  "of PDF: tested beside its verifier",
	"Antivirus":    "is asked by whoever starts the verifier, not by it",
}

// TestVerifierKnowsTheRoute: what a rebuilder makes that ignores the route is refused, and what the right one makes passes.
func TestVerifierKnowsTheRoute(t *testing.T) {
	all := choices(t)
	for _, f := range reflect.VisibleFields(reflect.TypeFor[verdict.Policy]()) {
		if len(all[f.Name]) == 0 && blind[f.Name] == "" {
			t.Errorf("%s: neither a file that shows it, nor a reason why none can", f.Name)
		}
		for _, c := range all[f.Name] {
			rebuilt := func(p verdict.Policy) (string, []byte) {
				var out bytes.Buffer
				rep, _ := sanitize.Rebuild(t.Context(), c.name, []byte(c.original), &out, sanitize.Options{Policy: p, Keys: c.keys})
				if rep.Outcome != verdict.Clean {
					t.Fatalf("%s %s: %s %v", f.Name, c.what, rep.Outcome, rep.Findings)
				}
				return rep.OutName, out.Bytes()
			}
			name, ignored := rebuilt(c.without)
			if r := CheckFor(t.Context(), c.without, name, ignored, c.keys...); r.Outcome != verdict.Clean {
				t.Errorf("%s %s: %v", f.Name, c.what, r.Findings)
			}
			if r := CheckFor(t.Context(), c.with, name, ignored, c.keys...); r.Outcome != verdict.Blocked {
				t.Errorf("%s %s: a rebuilder that ignores the route passes with %.300q", f.Name, c.what, ignored)
			}
			name, right := rebuilt(c.with)
			if r := CheckFor(t.Context(), c.with, name, right, c.keys...); r.Outcome != verdict.Clean {
				t.Errorf("%s %s: %v of %.300q", f.Name, c.what, r.Findings, right)
			}
		}
	}
}

// cameraJPEG has a quantization table of its own, as cameras do.
func cameraJPEG(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewRGBA(image.Rect(0, 0, 16, 16)), &jpeg.Options{Quality: 80}); err != nil {
		t.Fatal(err)
	}
	in := b.Bytes()
	in[bytes.Index(in, []byte("\xFF\xDB"))+5]++
	return string(in)
}

func gzipped(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// sealedZip is made by Info-ZIP's program, under the password secret.
func sealedZip(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("zip", "-q", "-P", "secret", "x.zip", "a.txt")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("zip: %v: %s: is it there? hack/bootstrap installs it", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "x.zip"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

package web_test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// TestPasswordsOfAFile: given with the form they open the file; wanted, the page says where to give them; odd ones are refused with a
// sentence, and no page ever shows one.
func TestPasswordsOfAFile(t *testing.T) {
	h := newHall()
	h.routes[0].Formats = append(h.routes[0].Formats, "zip")
	v := visit(t, stand(t, h, anchors.LGWAN))
	v.signIn("sato", "sato-no-password")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("海山町\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("zip", "-q", "-P", "planted secret", "x.zip", "a.txt")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s (hack/bootstrap installs zip)", err, out)
	}
	body, err := os.ReadFile(filepath.Join(dir, "x.zip"))
	if err != nil {
		t.Fatal(err)
	}
	send := func(passwords string) (int, sent) {
		t.Helper()
		var b bytes.Buffer
		m := multipart.NewWriter(&b)
		m.WriteField("to", "internet")
		m.WriteField("passwords", passwords)
		f, err := m.CreateFormFile("file", "x.zip")
		if err == nil {
			_, err = f.Write(body)
		}
		if err == nil {
			err = m.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		resp, answer := v.do(http.MethodPost, "/transfers", m.FormDataContentType(), &b, "Accept", "application/json")
		if strings.Contains(answer, "planted") {
			t.Errorf("the answer holds the password: %s", answer)
		}
		var s sent
		if err := json.Unmarshal([]byte(answer), &s); err != nil {
			t.Fatal(err, answer)
		}
		return resp.StatusCode, s
	}
	_, s := send("wrong\r\nplanted secret\r\n")
	v.awaits(s.Transfers[0].ID, web.Awaiting)
	if _, page := v.get("/transfers/" + s.Transfers[0].ID); strings.Contains(page, "planted") || strings.Contains(page, `href="/send#passwords"`) {
		t.Error("the page shows a password, or asks for one")
	}
	_, s = send("")
	v.awaits(s.Transfers[0].ID, web.Blocked)
	if _, page := v.get("/transfers/" + s.Transfers[0].ID); !strings.Contains(page, `href="/send#passwords"`) {
		t.Error("the page does not say where to give the password")
	}
	for _, odd := range []string{strings.Repeat("x", verdict.MaxKey+1), "planted\x00", strings.Repeat("a\n", 9000)} {
		if status, s := send(odd); status != http.StatusUnprocessableEntity || s.Code != web.CodePasswords {
			t.Errorf("%.20q: %d %+v", odd, status, s)
		}
	}
}

// TestCancelOnThePage: offered to the sender while it can be done, and refused with a reason afterwards.
func TestCancelOnThePage(t *testing.T) {
	v := visit(t, stand(t, newHall(), anchors.LGWAN))
	v.signIn("sato", "sato-no-password")
	_, s := v.send("internet", [2]string{"a.txt", "海山町\n"}, [2]string{"b.txt", "海山町\n"})
	id := s.Transfers[0].ID
	v.awaits(id, web.Awaiting)
	if _, page := v.get("/transfers/" + id); !strings.Contains(page, `action="/transfers/`+id+`/cancel"`) {
		t.Error("no button")
	}
	if resp, _ := v.do(http.MethodPost, "/transfers/"+id+"/cancel", "application/x-www-form-urlencoded", strings.NewReader("")); resp.StatusCode != http.StatusSeeOther && resp.StatusCode != http.StatusOK {
		t.Errorf("%s", resp.Status)
	}
	v.awaits(id, web.Cancelled)
	if _, page := v.get("/transfers/" + id); strings.Contains(page, `/cancel"`) || !strings.Contains(page, "badge cancelled") {
		t.Error("the page of a cancelled transfer")
	}
	resp, b := v.do(http.MethodPost, "/transfers/"+id+"/cancel", "application/x-www-form-urlencoded", strings.NewReader(""), "Accept", "application/json")
	if resp.StatusCode != http.StatusConflict || !strings.Contains(b, `"code":"state"`) {
		t.Errorf("%s %s", resp.Status, b)
	}
}

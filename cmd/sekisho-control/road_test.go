package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/sanitize/crypt/crypttest"
	"github.com/sekisho/sekisho/dataplane/sanitize/office/officetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

const letter = "住民説明会のご案内\r\n"

// TestRoadOfAFile goes with real daemons from upload to download and off every way beside it.
func TestRoadOfAFile(t *testing.T) {
	g := newGate(t)
	clerk, head := g.sit(anchors.LGWAN, "suzuki"), g.sit(anchors.LGWAN, "tanaka")
	inbox := g.sit(anchors.Internet, "suzuki")

	approve := func(d *desk, tr web.Transfer) told {
		t.Helper()
		return d.release(http.MethodPost, "/approvals", release.ApprovalRequest{Transfer: tr.ID, SanitizedSHA256: tr.Report.After.SHA256,
			Person: "tanaka", Passphrase: g.people["tanaka"].Passphrase, Reason: "内容を確認した"})
	}

	t.Run("sent, seen, approved, fetched", func(t *testing.T) {
		sent := clerk.send(anchors.Internet, "案内.txt", []byte(letter))
		tr := clerk.until(sent.ID, web.Awaiting, web.Blocked)
		if tr.State != web.Awaiting {
			t.Fatalf("%s: %+v", tr.State, tr.Report)
		}
		if !slices.Contains(head.box(web.Approve), sent.ID) || len(clerk.box(web.Approve)) != 0 {
			t.Fatal("the section head must find it to approve, and nobody else")
		}
		if a := inbox.ask(http.MethodGet, "/transfers/"+sent.ID, "", nil); a.Status != http.StatusNotFound {
			t.Errorf("seen in the destination zone before the approval: %d", a.Status)
		}
		if a := inbox.release(http.MethodGet, "/released/"+sent.ID, nil); a.Status == http.StatusOK {
			t.Fatal("released without approval")
		}
		inbox.get("/api/transfers/"+sent.ID+"/may-download", http.StatusConflict, nil)
		var seen web.Clearance
		head.get("/api/transfers/"+sent.ID+"/may-inspect", http.StatusOK, &seen)
		if looked := head.release(http.MethodGet, "/sanitized/"+sent.ID, nil); looked.Status != http.StatusOK || !bytes.Contains(looked.Body, []byte("住民説明会")) {
			t.Fatalf("inspect: %d %q", looked.Status, looked.Body)
		}
		a := approve(head, tr)
		if a.Status != http.StatusOK {
			t.Fatalf("approve: %d %s", a.Status, a.Body)
		}
		// A receipt is taken from the one who approved, whole, and for this transfer.
		forged := bytes.Replace(a.Body, []byte("tanaka"), []byte("yamada"), 1)
		if r := head.ask(http.MethodPost, "/api/transfers/"+sent.ID+"/receipt", "application/json", forged); r.Status == http.StatusNoContent {
			t.Error("a forged receipt was taken")
		}
		head.expect(head.ask(http.MethodPost, "/api/transfers/"+sent.ID+"/receipt", "application/json", a.Body), "receipt", http.StatusNoContent, nil)
		if got := inbox.box(web.Receive); !slices.Contains(got, sent.ID) {
			t.Fatalf("to be received: %v", got)
		}
		inbox.get("/api/transfers/"+sent.ID+"/may-download", http.StatusOK, nil)
		out := inbox.release(http.MethodGet, "/released/"+sent.ID, nil)
		if out.Status != http.StatusOK || !bytes.Contains(out.Body, []byte("住民説明会")) {
			t.Fatalf("download: %d %q", out.Status, out.Body)
		}
		if !slices.Contains(head.box(web.Decided), sent.ID) {
			t.Error("the head finds no own decision")
		}
		g.audited("transfer.create", "transfer.verify", "transfer.inspect", "transfer.approve", "transfer.download", sent.ID)
		if all := g.sekisho("audit", "show", g.i.AuditLog()); bytes.Contains(all, []byte("案内.txt")) || bytes.Contains(all, []byte("内容を確認した")) {
			t.Error("the log holds a file name or a reason in clear")
		}
	})

	t.Run("blocked: an exe that calls itself pdf", func(t *testing.T) {
		sent := clerk.send(anchors.Internet, "請求書.pdf", append([]byte("MZ\x90\x00"), bytes.Repeat([]byte{0, 1, 2, 3}, 500)...))
		tr := clerk.until(sent.ID, web.Awaiting, web.Blocked)
		if tr.State != web.Blocked || tr.Report == nil || len(tr.Report.Findings) == 0 {
			t.Fatalf("%s %+v", tr.State, tr.Report)
		}
		if slices.Contains(head.box(web.Approve), sent.ID) || slices.Contains(inbox.box(web.Receive), sent.ID) {
			t.Error("a blocked file is offered")
		}
	})

	t.Run("rejected: erased, even when it was approved at the same time", func(t *testing.T) {
		sent := clerk.send(anchors.Internet, "list.csv", []byte("名前,住所\r\n"))
		tr := clerk.until(sent.ID, web.Awaiting)
		if a := approve(head, tr); a.Status != http.StatusOK {
			t.Fatalf("approve: %s", a.Body)
		}
		head.form("/transfers/"+sent.ID+"/reject", url.Values{"reason": {""}}, http.StatusUnprocessableEntity, nil)
		head.form("/transfers/"+sent.ID+"/reject", url.Values{"reason": {"個人情報を含む"}}, http.StatusNoContent, nil)
		if tr := clerk.until(sent.ID, web.Rejected); tr.History[len(tr.History)-1].Reason != "個人情報を含む" {
			t.Errorf("the requester does not learn why: %+v", tr.History)
		}
		inbox.get("/api/transfers/"+sent.ID+"/may-download", http.StatusConflict, nil)
		g.eventually(10*time.Second, "release to have erased it", func() bool {
			return inbox.release(http.MethodGet, "/released/"+sent.ID, nil).Status == http.StatusGone
		})
	})

	t.Run("nobody decides about their own request, nor another section's", func(t *testing.T) {
		sent := head.send(anchors.Internet, "own.txt", []byte(letter))
		head.until(sent.ID, web.Awaiting)
		head.get("/api/transfers/"+sent.ID+"/may-inspect", http.StatusForbidden, nil)
		head.form("/transfers/"+sent.ID+"/reject", url.Values{"reason": {"x"}}, http.StatusForbidden, nil)
		if slices.Contains(head.box(web.Approve), sent.ID) {
			t.Error("own request offered for approval")
		}
		other := g.sit(anchors.LGWAN, "yamada")
		if len(other.box(web.Approve)) != 0 {
			t.Error("another section's request offered")
		}
		other.get("/transfers/"+sent.ID, http.StatusNotFound, nil)
		other.get("/api/transfers/"+sent.ID+"/may-inspect", http.StatusNotFound, nil)
	})

	t.Run("no way but the routes", func(t *testing.T) {
		var out struct{ Refused []struct{ Code string } }
		var body bytes.Buffer
		body.WriteString("--x\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\nmy-number\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nabc\r\n--x--\r\n")
		a := inbox.ask(http.MethodPost, "/transfers", "multipart/form-data; boundary=x", body.Bytes())
		if err := json.Unmarshal(a.Body, &out); err == nil && len(out.Refused) == 0 && a.Status < 400 {
			t.Fatalf("internet to My Number: %d %s", a.Status, a.Body)
		}
	})

	t.Run("control itself gets nothing out", func(t *testing.T) {
		sent := clerk.send(anchors.Internet, "secret.txt", []byte(letter))
		tr := clerk.until(sent.ID, web.Awaiting)
		lie := func(method, path string, v any) {
			t.Helper()
			b, _ := json.Marshal(v)
			a := askAs(t, place.ControlUser, asked{g.i.ReleaseSocket(), method, path, http.Header{}, b})
			if a.Status < 400 || bytes.Contains(a.Body, []byte("住民説明会")) {
				t.Errorf("%s %s as control: %d %s", method, path, a.Status, a.Body)
			}
		}
		lie(http.MethodGet, "/originals/"+sent.ID, nil)
		lie(http.MethodGet, "/sanitized/"+sent.ID, nil)
		lie(http.MethodGet, "/released/"+sent.ID, nil)
		lie(http.MethodPost, "/approvals", release.ApprovalRequest{Transfer: sent.ID, SanitizedSHA256: tr.Report.After.SHA256, Person: "tanaka",
			Passphrase: g.people["tanaka"].Passphrase})
	})

	t.Run("each socket has one caller", func(t *testing.T) {
		for _, who := range []string{"root", place.PortalUser(anchors.Internet), place.ControlUser, place.ReleaseUser} {
			if a := askAs(t, who, asked{g.i.ControlSocket(anchors.LGWAN), http.MethodGet, "/sign-in", nil, nil}); a.Status != http.StatusForbidden {
				t.Errorf("%s on the LGWAN portal's socket: %d", who, a.Status)
			}
		}
		for _, who := range []string{place.PortalUser(anchors.LGWAN), place.ControlUser, place.BrokerUser} {
			if a := askAs(t, who, asked{g.i.AdminSocket(), http.MethodGet, "/people", nil, nil}); who != place.ControlUser && a.Status != http.StatusForbidden {
				t.Errorf("%s on root's socket: %d", who, a.Status)
			}
		}
		// A session of one zone is nothing in another.
		stray := &desk{g: g, zone: anchors.Internet, cookie: clerk.cookie}
		if a := stray.ask(http.MethodGet, "/transfers", "", nil); a.Status != http.StatusUnauthorized {
			t.Errorf("LGWAN session in the internet zone: %d", a.Status)
		}
	})

	t.Run("killed control loses nothing", func(t *testing.T) {
		g.stop("broker", syscall.SIGKILL) // so that nothing is done before the kill
		var ids []string
		for range 6 {
			ids = append(ids, clerk.send(anchors.Internet, "many.txt", []byte(letter)).ID)
		}
		g.stop("control", syscall.SIGKILL)
		g.start("control")
		g.start("broker")
		for _, id := range ids {
			clerk.until(id, web.Awaiting) // with the session of before
		}
		g.audited(ids...)
		if err := g.stop("control", syscall.SIGTERM); err != nil {
			t.Errorf("control did not end in order: %v", err)
		}
		g.start("control")
		clerk.get("/transfers/"+ids[0], http.StatusOK, nil)
		g.audited()
	})

	t.Run("files wait for a broker and a release that are down", func(t *testing.T) {
		g.stop("broker", syscall.SIGKILL)
		sent := clerk.send(anchors.Internet, "wait.txt", []byte(letter))
		if tr := clerk.until(sent.ID, web.Received); tr.State != web.Received {
			t.Fatal(tr.State)
		}
		g.stop("release", syscall.SIGKILL)
		var body bytes.Buffer
		body.WriteString("--x\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\ninternet\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nabc\r\n--x--\r\n")
		if a := clerk.ask(http.MethodPost, "/transfers", "multipart/form-data; boundary=x", body.Bytes()); !strings.Contains(string(a.Body), web.CodeUnavailable) {
			t.Errorf("upload without release: %d %s", a.Status, a.Body)
		}
		g.start("release")
		g.start("broker")
		clerk.until(sent.ID, web.Awaiting)
	})

	t.Run("a receipt that got lost is fetched", func(t *testing.T) {
		sent := clerk.send(anchors.Internet, "receipt.txt", []byte(letter))
		tr := clerk.until(sent.ID, web.Awaiting)
		a := approve(head, tr)
		var signed verdict.Signed
		if err := json.Unmarshal(a.Body, &signed); err != nil || a.Status != http.StatusOK {
			t.Fatalf("approve: %d %s", a.Status, a.Body)
		}
		g.stop("control", syscall.SIGKILL) // before the portal brought it
		g.start("control")
		clerk.until(sent.ID, web.Released)
		g.audited(sent.ID)
	})

	t.Run("passwords are kept and logged by nobody", func(t *testing.T) {
		const right, wrong = "planted-password-that-opens", "planted-password-that-does-not"
		locked := crypttest.File(officetest.Docx(t, nil), right)
		opened := clerk.send(anchors.Internet, "opened.docx", locked, wrong, right)
		if tr := clerk.until(opened.ID, web.Awaiting, web.Blocked); tr.State != web.Awaiting {
			t.Fatalf("%s: %+v", tr.State, tr.Report)
		}
		if tr := clerk.until(clerk.send(anchors.Internet, "shut.docx", locked, wrong).ID, web.Awaiting, web.Blocked); tr.State != web.Blocked {
			t.Fatalf("%s: %+v", tr.State, tr.Report)
		}
		secrets := []string{right, wrong}
		for _, p := range g.people { // and what people sign in and approve with, all of which was used above
			secrets = append(secrets, p.Password)
			if p.Passphrase != "" {
				secrets = append(secrets, p.Passphrase)
			}
		}
		g.nowhere(opened.ID, secrets...)
	})
}

package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/antivirus/clamtest"
)

// The people of step 4.
const (
	clerk = "suzuki" // staff of the general affairs section, in the LGWAN and internet zones
	head  = "tanaka" // their section head
)

// paper is one file on its way.
type paper struct {
	name, id string
	original []byte
	arrived  []byte
}

// papers are the files of step 4.
type papers struct {
	letter, table, photo, program, virus, refused, own paper
}

const letterText = "住民説明会のご案内（令和8年）"

// files is step 4: real files through the real portals.
func (j *job) files(ctx context.Context) error {
	j.section(4, "Files go LGWAN -> internet: rebuilt, seen, approved, fetched")
	var err error
	j.paper = &papers{}
	p := j.paper
	if p.letter.original, err = letter(letterText); err != nil {
		return err
	}
	if p.table.original, err = table(); err != nil {
		return err
	}
	if p.photo.original, err = photo(); err != nil {
		return err
	}
	p.program.original = program()
	p.virus.original = clamtest.EICAR()
	p.refused.original = []byte("個人情報を含む一覧\r\n")
	p.own.original = []byte("所属長のメモ\r\n")
	p.letter.name, p.table.name, p.photo.name, p.program.name, p.virus.name, p.refused.name, p.own.name =
		"案内状.docm", "名簿.csv", "庁舎.jpg", "見積書.pdf", "お知らせ.txt", "下書き.txt", "メモ.txt"

	var sender, boss, receiver *desk
	if err := j.must(ctx, "clerk and section head sign in at the LGWAN portal, the clerk at the internet portal", "signed in", func() (string, bool, error) {
		var errs [3]error
		sender, errs[0] = j.sit(ctx, anchors.LGWAN, clerk)
		boss, errs[1] = j.sit(ctx, anchors.LGWAN, head)
		receiver, errs[2] = j.sit(ctx, anchors.Internet, clerk)
		err := errors.Join(errs[:]...)
		return "over HTTPS from lg-pc1 and in-pc1, certificates of the local CA", err == nil, err
	}); err != nil {
		return err
	}
	j.desks = map[string]*desk{"sender": sender, "boss": boss, "receiver": receiver}

	for _, c := range []struct {
		paper *paper
		what  string
		want  web.State
		codes []string // findings that must be named
	}{
		{&p.letter, "with macro and remote template", web.Awaiting, []string{"vba", "template"}},
		{&p.table, "in Shift_JIS with gaiji", web.Awaiting, nil},
		{&p.photo, "with GPS data", web.Awaiting, []string{"gps"}},
		{&p.refused, "that should not leave", web.Awaiting, nil},
		{&p.program, "that is a Windows program", web.Blocked, []string{"mismatch"}},
		{&p.virus, "that ClamAV knows (EICAR)", web.Blocked, []string{"scan.found refused Eicar.Test"}},
	} {
		j.check("send "+c.paper.name+" "+c.what, string(c.want), func() (string, bool, error) {
			var err error
			if c.paper.id, err = sender.send(ctx, anchors.Internet, c.paper.name, c.paper.original); err != nil {
				return "", false, err
			}
			t, err := sender.settle(ctx, c.paper.id)
			if err != nil {
				return "", false, err
			}
			found := findings(t)
			named := true
			for _, code := range c.codes {
				named = named && strings.Contains(found, code)
			}
			return fmt.Sprintf("%s; %s", t.State, found), t.State == c.want && named, nil
		})
	}
	j.check("fetch "+p.table.name+" before anybody approved", "refused", func() (string, bool, error) {
		return refusedFetch(receiver.fetch(ctx, p.table.id, "download"))
	})
	for _, pp := range []*paper{&p.letter, &p.table, &p.photo} {
		j.check("section head looks at "+pp.name+" and approves", "the hash that was seen, released", func() (string, bool, error) {
			return boss.approve(ctx, pp)
		})
	}
	j.check("section head rejects "+p.refused.name, "rejected", func() (string, bool, error) {
		if err := boss.form(ctx, "/transfers/"+p.refused.id+"/reject", url.Values{"reason": {"持出し不可"}}, nil); err != nil {
			return "", false, err
		}
		t, err := sender.look(ctx, p.refused.id)
		return string(t.State), t.State == web.Rejected, err
	})
	j.check("section head sends "+p.own.name+" and approves it, too", "refused", func() (string, bool, error) {
		var err error
		if p.own.id, err = boss.send(ctx, anchors.Internet, p.own.name, p.own.original); err != nil {
			return "", false, err
		}
		t, err := boss.settle(ctx, p.own.id)
		if err != nil || t.State != web.Awaiting || t.Report.After == nil {
			return string(t.State), false, err
		}
		err = boss.form(ctx, "/transfers/"+p.own.id+"/approve", url.Values{"passphrase": {boss.person.Passphrase},
			"reason": {"急ぎ"}, "sha256": {t.Report.After.SHA256}}, nil)
		var no *refusal
		if !errors.As(err, &no) || no.status/100 != 4 {
			return "approved", false, err
		}
		t, err = boss.look(ctx, p.own.id)
		return fmt.Sprintf("refused, %d; still %s", no.status, t.State), t.State == web.Awaiting, err
	})
	return j.arrivals(ctx, receiver)
}

// arrivals looks at what came out in the other zone.
func (j *job) arrivals(ctx context.Context, receiver *desk) error {
	p := j.paper
	for _, c := range []struct {
		paper          *paper
		tried, expects string
		examine        func(original, arrived []byte) (string, bool, error)
	}{
		{&p.letter, "the letter at in-pc1", "no macro, no remote template, text intact", examineLetter},
		{&p.table, "the table at in-pc1", "byte for byte", func(a, b []byte) (string, bool, error) {
			return fmt.Sprintf("%d bytes, SHA-256 %.12s", len(b), digest(b)), bytes.Equal(a, b), nil
		}},
		{&p.photo, "the photo at in-pc1", "no GPS, stands upright", examinePhoto},
	} {
		j.check(c.tried, c.expects, func() (string, bool, error) {
			var err error
			if c.paper.arrived, err = receiver.fetch(ctx, c.paper.id, "download"); err != nil {
				return "", false, err
			}
			return c.examine(c.paper.original, c.paper.arrived)
		})
	}
	for _, pp := range []*paper{&p.refused, &p.program, &p.virus} {
		j.check(pp.name+" at in-pc1", "never arrives", func() (string, bool, error) {
			return refusedFetch(receiver.fetch(ctx, pp.id, "download"))
		})
	}
	j.check("what the clerk finds in the internet zone", "three files, not six", func() (string, bool, error) {
		names, err := receiver.box(ctx)
		return strings.Join(names, ", "), len(names) == 3, err
	})
	return nil
}

// approve does what a section head does: looks at the rebuilt file, compares its hash with the page's, gives the passphrase.
func (d *desk) approve(ctx context.Context, p *paper) (string, bool, error) {
	t, err := d.look(ctx, p.id)
	if err != nil {
		return "", false, err
	}
	if t.Report == nil || t.Report.After == nil {
		return "", false, errors.New("the page shows no result to approve")
	}
	b, err := d.fetch(ctx, p.id, "inspect")
	if err != nil {
		return "", false, err
	}
	if digest(b) != t.Report.After.SHA256 {
		return "the bytes are not those of the report", false, nil
	}
	fields := url.Values{"passphrase": {d.person.Passphrase}, "reason": {"内容を確認した"}, "sha256": {digest(b)}}
	if err := d.form(ctx, "/transfers/"+p.id+"/approve", fields, nil); err != nil {
		return "", false, err
	}
	t, err = d.settle(ctx, p.id)
	return fmt.Sprintf("%s, SHA-256 %.12s", t.State, digest(b)), t.State == web.Released, err
}

// box lists the names of what the person may fetch here.
func (d *desk) box(ctx context.Context) ([]string, error) {
	resp, err := d.do(ctx, http.MethodGet, "/received?box=receive", "", nil)
	if err != nil {
		return nil, err
	}
	var out struct {
		Transfers []web.Transfer `json:"transfers"`
	}
	if err := answer(resp, &out); err != nil {
		return nil, err
	}
	var names []string
	for _, t := range out.Transfers {
		names = append(names, t.OutName())
	}
	return names, nil
}

func refusedFetch(b []byte, err error) (string, bool, error) {
	var no *refusal
	if errors.As(err, &no) && no.status >= 400 && no.status < 500 {
		return fmt.Sprintf("refused, %d", no.status), true, nil
	}
	return fmt.Sprintf("%d bytes came", len(b)), false, err
}

func findings(t web.Transfer) string {
	if t.Report == nil {
		return "no report"
	}
	var words []string
	for _, f := range t.Report.Findings {
		word := fmt.Sprintf("%s %s", f.Code, f.Action)
		if f.Code == antivirus.Found {
			word += " " + f.Detail // the name of the signature
		}
		words = append(words, word)
	}
	if len(words) == 0 {
		return "nothing found"
	}
	return strings.Join(words, ", ")
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func examineLetter(_, arrived []byte) (string, bool, error) {
	z, err := zip.NewReader(bytes.NewReader(arrived), int64(len(arrived)))
	if err != nil {
		return "", false, err
	}
	text, bad := false, []string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return "", false, err
		}
		b, err := io.ReadAll(io.LimitReader(r, 10<<20))
		r.Close()
		if err != nil {
			return "", false, err
		}
		text = text || strings.Contains(string(b), letterText)
		for _, sign := range []string{"vbaProject", "look-alike", "remote.dotm", "attachedTemplate", "macroEnabled", "\xd0\xcf\x11\xe0"} {
			if bytes.Contains(b, []byte(sign)) || strings.Contains(f.Name, sign) {
				bad = append(bad, fmt.Sprintf("%q in %s", sign, f.Name))
			}
		}
	}
	if len(bad) > 0 {
		return strings.Join(bad, ", "), false, nil
	}
	return fmt.Sprintf("%d parts, no macro, no template, text intact: %v", len(z.File), text), text, nil
}

// examinePhoto asks a program that is not ours.
func examinePhoto(_, arrived []byte) (string, bool, error) {
	cmd := exec.Command("exiftool", "-json", "-n", "-")
	cmd.Stdin = bytes.NewReader(arrived)
	out, err := cmd.Output()
	if err != nil {
		return "", false, fmt.Errorf("exiftool: %w", err)
	}
	var tags []map[string]any
	if err := json.Unmarshal(out, &tags); err != nil || len(tags) != 1 {
		return "", false, fmt.Errorf("exiftool: %w", err)
	}
	var gps []string
	for k := range tags[0] {
		if strings.HasPrefix(k, "GPS") {
			gps = append(gps, k)
		}
	}
	img, err := jpeg.DecodeConfig(bytes.NewReader(arrived))
	if err != nil {
		return "", false, err
	}
	// The original lies on its side (160 x 96, orientation 6). Upright is 96 x 160 of pixels, or the same with the mark kept.
	orientation, marked := tags[0]["Orientation"].(float64)
	upright := img.Width == 96 && img.Height == 160 && (!marked || orientation == 1) || img.Width == 160 && img.Height == 96 && orientation == 6
	return fmt.Sprintf("GPS tags %v, %d x %d", gps, img.Width, img.Height), len(gps) == 0 && upright, nil
}

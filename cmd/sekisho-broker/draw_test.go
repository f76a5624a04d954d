package main

import (
	"bytes"
	"image/png"
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

func (l *lane) draw(id string) error {
	return broker.Over(l.as(place.ControlUser, l.i.BrokerSocket())).Draw(l.t.Context(), broker.Order{Transfer: id, From: anchors.LGWAN, To: anchors.Internet})
}

// TestAnApproverSeesPagesBeforeAndAfter: control orders them, the portal of the sending zone gets them, control does not.
func TestAnApproverSeesPagesBeforeAndAfter(t *testing.T) {
	l := newLane(t)
	l.send("d", "通知.docm", docm(t))
	wantCode(t, l.draw("d"), release.CodeNotSanitized)
	if out := l.sanitize("d"); out.Attestation == nil {
		t.Fatalf("%+v", out.Report.Findings)
	}
	portal := l.portal(anchors.LGWAN)
	report, err := portal.Report(t.Context(), "d")
	if err != nil || len(report.Findings) == 0 || report.Result == nil || report.Policy != l.revision() {
		t.Errorf("the report as the broker left it: %+v %v", report, err)
	}
	for range 2 {
		if err := l.draw("d"); err != nil {
			t.Fatal(err)
		}
	}
	p, err := portal.Pages(t.Context(), "d")
	if err != nil || len(p.Before.Pages) != 1 || len(p.After.Pages) != 1 || len(p.Compared) != 1 || !p.Compared[0].Same || p.After.More {
		t.Fatalf("%+v %+v %+v %v; want one page that looks the same", p.Before.Failed, p.After.Failed, p.Compared, err)
	}
	for _, s := range []verdict.Sheet{p.Before.Pages[0], p.After.Pages[0]} {
		if c, err := png.DecodeConfig(bytes.NewReader(s.PNG)); err != nil || c.Width != s.Width || c.Height != s.Height {
			t.Errorf("a picture of %d x %d: %+v %v", s.Width, s.Height, c, err)
		}
	}
	_, err = l.release(place.ControlUser).Pages(t.Context(), "d")
	wantCode(t, err, release.CodeRole)

	l.send("txt", "案内.txt", []byte("説明会\n"))
	l.sanitize("txt")
	if err := l.draw("txt"); err != nil {
		t.Fatal(err)
	}
	if p, err = portal.Pages(t.Context(), "txt"); err != nil || p.After.Failed != "draw.kind" || p.Before.Failed != "draw.kind" {
		t.Errorf("a text has no pages: %+v %v", p, err)
	}
}

package web_test

import (
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/web/browsertest"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet/stones"
)

func TestReview(t *testing.T) {
	h, _ := newHall().withBook(t)
	if _, page := console(t, h).get("/review"); !strings.Contains(page, "いまは調べられません") || !strings.Contains(page, "記載なし") {
		t.Error("the page does not tell what is missing or not known")
	}
	h.stones = func() ([]stones.Stone, error) {
		a := stones.Node{Zone: anchors.MyNumber, Segment: "mn-office", Members: []string{"198.18.10.11"}}
		b := stones.Node{Zone: anchors.LGWAN, Segment: "lg-asp-net", Members: []string{"198.18.21.11"}}
		c := stones.Node{Zone: anchors.Internet, Segment: "in-net", Members: []string{"203.0.113.11"}}
		return []stones.Stone{{From: anchors.MyNumber, To: anchors.Internet, Stone: b, Targets: 1, Path: []stones.Hop{{From: a, To: b, Ports: []string{"tcp/443"}, Records: []string{"eltax-submit"}}, {From: b, To: c, Direct: true}}}}, nil
	}
	b := browsertest.Sit(t, browsertest.Start(t), stand(t, h, anchors.Management))
	b.SignIn("kansa", "kansa-no-password")
	b.See("起動してから検証していません")
	b.Open("/review")
	b.See("198.18.21.11")
	b.See("eltax-submit")
	b.Look("review")
	b.Resize(390, 844)
	b.Fits()
}

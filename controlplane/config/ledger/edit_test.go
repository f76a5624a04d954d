package ledger

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/config/examples"
)

// TestOnlyWhatChangesIsTouched: a changed field keeps its comment, a removed one goes, a new one stands in its place; entries on
// one line, lists that are not there yet and CRLF stay what they are.
func TestOnlyWhatChangesIsTouched(t *testing.T) {
	const entry = "  - id: asp-use\n    name: {ja: LGWAN-ASP 利用, en: LGWAN applications}\n    from: {stations: [lg-pc1, lg-pc2]}\n    to: {services: [eltax]}\n    ports: []\n    purpose: 申告データの照会\n    owner: 総務課\n    until: 2036-03-31\n"
	const head = "管理番号,送信元,宛先,ポート,目的,根拠,所管課,終了日\n"
	lab := string(examples.Lab)
	for name, x := range map[string]struct{ old, row, want string }{
		"a comment stays": {
			strings.Replace(entry, "owner: 総務課", "owner: 総務課 # 旧 庶務課\n    # 見直し中", 1), "asp-use,\"lg-pc1\nlg-pc2\",eltax,,照会,,企画課,2037/3/31\n",
			strings.NewReplacer("申告データの照会", "照会", "総務課\n", "企画課 # 旧 庶務課\n    # 見直し中\n", "2036", "2037").Replace(entry)},
		"one goes, one comes": {
			entry, "asp-use,\"lg-pc1\nlg-pc2\",eltax,,申告データの照会,契約 第3条,総務課,\n",
			strings.NewReplacer("    owner", "    basis: 契約 第3条\n    owner", "    until: 2036-03-31\n", "").Replace(entry)},
		"one line": {
			"  - {id: asp-use, from: {stations: [lg-pc1]}, to: {services: [eltax]}, purpose: 照会, owner: 総務課} # 注\n", "asp-use,lg-pc1,eltax,,照会と確認,,総務課,\n",
			"  - {id: asp-use, from: {stations: [lg-pc1]}, to: {services: [eltax]}, purpose: 照会と確認, owner: 総務課} # 注\n"},
		"in other words": {
			entry, "ASP-USE,198.18.20.11・198.18.20.12,198.18.21.11,HTTPS,申告データの照会,,総務課,R18.3.31\n", entry},
		"several lines": {
			strings.Replace(entry, "from: {stations: [lg-pc1, lg-pc2]}", "from:\n      stations:\n        - lg-pc1 # 一\n        - lg-pc2", 1), "asp-use,lg-pc1,eltax,,申告データの照会,,総務課,2036/3/31\n",
			strings.Replace(entry, "[lg-pc1, lg-pc2]", "[lg-pc1]", 1)},
	} {
		for _, eol := range []string{"\n", "\r\n"} {
			doc := strings.ReplaceAll(strings.Replace(lab, entry, x.old, 1), "\n", eol)
			want := strings.ReplaceAll(strings.Replace(lab, entry, x.want, 1), "\n", eol)
			out, r := imported(t, []byte(doc), "l.csv", []byte(head+x.row), Options{})
			if string(out) != want {
				t.Errorf("%s: got\n%s\n%s", name, out, printed(r, "en"))
			}
		}
	}
}

// TestABlankStateActivatesNothing: who wants a suspended record back says so.
func TestABlankStateActivatesNothing(t *testing.T) {
	doc := []byte(strings.Replace(string(examples.Lab), "  - id: asp-use\n", "  - id: asp-use\n    state: suspended\n", 1))
	row := func(state string) []byte {
		return []byte("管理番号,送信元,宛先,目的,所管課,状態\nasp-use,\"lg-pc1\nlg-pc2\",eltax,申告データの照会,総務課," + state + "\n")
	}
	out, r := imported(t, doc, "l.csv", row(""), Options{})
	if out != nil || len(r.Rows[0].Faults) != 1 || r.Rows[0].Faults[0].Code != "state.blank" {
		t.Errorf("got\n%s", printed(r, "en"))
	}
	if out, r = imported(t, doc, "l.csv", row("停止中"), Options{}); !bytes.Equal(out, doc) {
		t.Errorf("got\n%s", printed(r, "en"))
	}
	if out, r = imported(t, doc, "l.csv", row("有効"), Options{}); out == nil || !parsed(t, out).Communications[1].Active() {
		t.Errorf("got\n%s", printed(r, "en"))
	}
	// A ledger without that column leaves it as it is.
	if out, r = imported(t, doc, "l.csv", []byte("管理番号,送信元,宛先,目的,所管課\nasp-use,\"lg-pc1\nlg-pc2\",eltax,申告データの照会,総務課\n"), Options{}); !bytes.Equal(out, doc) {
		t.Errorf("got\n%s", printed(r, "en"))
	}
}

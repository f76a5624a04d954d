package sanitize

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Numbers are reported by place and count, in every family that says something, and stand in no report.
func TestNumbersOfPersonsAreReportedAndNotTold(t *testing.T) {
	const n = "123456789018"
	for name, c := range map[string]struct{ in, code, place string }{
		"a.txt":  {"氏名 山田\n個人番号 " + n + "\n", "mynumber.found", "L2"},
		"b.txt":  {"1234-5678-9018", "mynumber.likely", "L1"},
		"a.csv":  {"氏名,マイナンバー\n山田," + n + "\n鈴木,1234 5678 9018\n", "mynumber.found", "R2C2"},
		"b.csv":  {"氏名;個人番号\n\"山;田\";" + n + "\n", "mynumber.found", "R2C2"},
		"a.html": {"<p>x<table><tr><th>氏名<th>個人番号<tr><td>山田<td>" + n + "</table>", "mynumber.found", "R4C2"},
		"a.xml":  {"<r><氏名>山田</氏名><個人番号>" + n + "</個人番号></r>", "mynumber.found", "T2C2"},
		"a.json": {`{"個人番号": "` + n + `"}`, "mynumber.found", "L1C2"},
		"c.txt":  {strings.Repeat("x\n", 20) + "個人番号は次のとおり\n" + n + "\n", "mynumber.found", "L22"},
	} {
		rep, _ := clean(t, name, []byte(c.in))
		if len(rep.Findings) != 1 || rep.Findings[0].Code != c.code || rep.Findings[0].Place != c.place {
			t.Errorf("%s: got %v, want %s at %s", name, rep.Findings, c.code, c.place)
		}
		said, err := json.Marshal(rep)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(said, []byte(n)) || bytes.Contains(said, []byte("1234 5678")) || bytes.Contains(said, []byte("1234-5678")) {
			t.Errorf("%s: the number is in the report: %s", name, said)
		}
		var out bytes.Buffer
		rep, _ = Rebuild(t.Context(), name, []byte(c.in), &out, Options{Policy: verdict.Policy{FindMyNumber: "block"}})
		if !has(rep, "mynumber.blocked", verdict.Refused) || out.Len() > 0 {
			t.Errorf("%s: not blocked: %v", name, rep.Findings)
		}
	}
	if rep, _ := clean(t, "a.txt", []byte("電話 1234-5678-9018 伝票 123456789019")); len(rep.Findings) != 0 {
		t.Errorf("other numbers: got %v", rep.Findings)
	}
}

// A number that is spread over the boxes of a form is not shown in the preview either.
func TestBoxesOfAFormAreNotShown(t *testing.T) {
	rep, _ := clean(t, "様式.csv", []byte("個人番号,1,2,3,4,5,6,7,8,9,0,1,8\r\n"))
	if !has(rep, "mynumber.found", verdict.Reported) && !has(rep, "mynumber.likely", verdict.Reported) {
		t.Fatalf("got %v, want the number found", rep.Findings)
	}
	for _, p := range []*verdict.Preview{rep.Original, rep.Result} {
		if strings.ContainsAny(p.Text, "0123456789") {
			t.Errorf("the preview shows %q", p.Text)
		}
	}
}

// What is left out of a mail crosses no zone: the numbers in it neither count nor block, and those beside it do.
func TestNumbersInWhatIsLeftOutDoNotCount(t *testing.T) {
	numbers := "個人番号 123456789018\n"
	left := letterWith("x.zip", zipped(t, "n.txt", numbers, "evil.exe", "MZ\x90\x00"))
	rep, _ := clean(t, "a.eml", left)
	if has(rep, "mynumber.found", verdict.Reported) || has(rep, "mynumber.likely", verdict.Reported) || !has(rep, "mail.attachment", verdict.Removed) {
		t.Errorf("left out: got %+v", rep.Findings)
	}
	rep, _ = clean(t, "a.eml", letterWith("x.zip", zipped(t, "n.txt", numbers)))
	if !has(rep, "mynumber.found", verdict.Reported) {
		t.Errorf("not left out: got %+v", rep.Findings)
	}
	for _, f := range rep.Findings {
		if f.Code == "mynumber.found" && f.Place != "x.zip/n.txt/L1" {
			t.Errorf("at %q", f.Place)
		}
	}
}

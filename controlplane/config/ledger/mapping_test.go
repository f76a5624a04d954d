package ledger

import (
	"strings"
	"testing"
)

func TestTitles(t *testing.T) {
	for title, want := range map[string]Field{
		"管理番号": ID, "Ｎｏ．": ID, "通信名称": Name, "送信元端末": From, "送信元": From, "送信元 / 端末名": From, "送信元IPアドレス": FromIP, "送信元\nＩＰアドレス": FromIP, "送信元 / IP": FromIP, "送信元MACアドレス": FromMAC,
		"送信元 / MACアドレス": FromMAC, "送信元セグメント": FromSegment, "送信元 / VLAN": FromSegment, "宛先": To, "宛先 / 名称": To, "宛先サーバ名": To, "宛先IP": ToIP, "接続先 / IPアドレス": ToIP, "宛先ネットワーク": ToNetwork, "宛先MACアドレス": ToMAC,
		"宛先ポート番号": Ports, "宛先 / ポート": Ports, "プロトコル": Protocol, "プロトコル・ポート番号": Ports, "送信元ポート": Ignore, "利用目的": Purpose, "根拠法令": Basis, "所管課": Owner, "承認者": ApprovedBy, "承認 / 承認日": ApprovedOn,
		"有効期間 / 開始日": Since, "有効期間 / 終了日": Until, "見直し期限": Review, "曜日・時間帯": Window, "状態": State, "帯域クラス": Class, "備考": Ignore, "Source IP Address": FromIP, "Destination": To, "Destination Port": Ports,
		"Purpose": Purpose, "Owner": Owner, "Valid until": Until, "Source station": From, "src_mac": FromMAC, "dst network": ToNetwork, "天気": "", "合計": "",
	} {
		if got := fieldOf(strings.Split(title, " / ")); got != want {
			t.Errorf("%q: got %q, want %q", title, got, want)
		}
	}
	// What an export writes is found again.
	for _, lang := range []string{"ja", "en"} {
		for _, f := range Fields {
			if f == Ignore {
				continue
			}
			if got := fieldOf([]string{sentences.Sentence(f.said(), lang)}); got != f {
				t.Errorf("%q: got %q, want %q", sentences.Sentence(f.said(), lang), got, f)
			}
		}
	}
}

func TestMapFiles(t *testing.T) {
	book, err := Read("台帳.csv", []byte("題\n番,相手,行き先,口,訳,課\n1,lg-pc1,eltax,TCP/443,目的,総務課\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Guess(book, "", nil); err == nil || err.(*Fault).Code != "map.noheading" {
		t.Fatalf("got %v, want map.noheading", err)
	}
	m, faults := ParseMap([]byte("header: 2\ncolumns: {A: id, 相手: from, 行き先: to, D: ports, E: purpose}\ndefaults: {owner: 総務課}\n"))
	if faults != nil {
		t.Fatal(faults)
	}
	fit, faults := m.Fit(book, "")
	if faults != nil {
		t.Fatal(faults)
	}
	want := "columns:\n  A: id             # 番\n  B: from           # 相手\n  C: to             # 行き先\n  D: ports          # 口\n  E: purpose        # 訳\n  F: ignore         # 課\ndefaults:\n  owner: 総務課\n"
	if !strings.HasSuffix(fit.String(), want) {
		t.Errorf("got\n%s, want\n%s", fit, want)
	}
	again, faults := ParseMap([]byte(fit.String()))
	if faults != nil {
		t.Fatal(faults)
	}
	if fit2, faults := again.Fit(book, ""); faults != nil || fit2.String() != fit.String() {
		t.Errorf("got\n%s %v", fit2, faults)
	}
	for doc, codes := range map[string]string{
		"":                                   "map.empty",
		"sheet: x\n":                         "map.empty",
		"columns: {A: nummer}\n":             "map.field",
		"columns: {A: id, B: id}":            "map.twice",
		"colums: {A: id}\n":                  "map.key",
		"columns: {A: id}\nheader: [5, 4]\n": "map.header",
		"columns: {A: id}\nheader: x\n":      "map.header",
		"columns: [A]\n":                     "map.form",
		"columns: {A: [id]}\n":               "map.form map.field",
		"a: &x 1\n":                          "map.yaml",
		"columns: {A: nix, B: id, C: id}\nfoo: 1\n":      "map.field map.twice map.key",
		"columns: {A: id}\ndefaults: {eigner: x}\n":      "map.field",
		strings.Repeat("#", MaxMap+1):                    "map.large",
		"columns: " + strings.Repeat("[", 70) + "\n":     "map.yaml",
		"columns: {A: id\n":                              "map.yaml",
		"{\"columns\": {\"A\": \"id\", \"ZZ\": \"to\"}}": "",
	} {
		_, faults := ParseMap([]byte(doc))
		var got []string
		for _, f := range faults {
			got = append(got, f.Code)
		}
		if strings.Join(got, " ") != codes {
			t.Errorf("%q: got %v, want %s", doc[:min(len(doc), 60)], got, codes)
		}
	}
	m, _ = ParseMap([]byte("header: 2\ncolumns: {A: id, Z: to, 行先: from, 番: name}\n"))
	if _, faults := m.Fit(book, ""); len(faults) != 3 || faults[0].Code != "map.column" || faults[2].Code != "map.same" {
		t.Errorf("got %v", faults)
	}
}

func TestSeveralSheets(t *testing.T) {
	book := &Book{Sheets: []*Sheet{{Name: "一"}, {Name: "二"}}}
	for _, s := range book.Sheets {
		for i, text := range strings.Split("管理番号,送信元,宛先,ポート番号,目的", ",") {
			if i == 0 {
				s.Rows = []Row{{Number: 1}}
			}
			s.Rows[0].Cells = append(s.Rows[0].Cells, Cell{Text: text})
		}
	}
	if _, err := Guess(book, "", nil); err == nil || err.(*Fault).Code != "map.sheets" {
		t.Errorf("got %v", err)
	}
	if m, err := Guess(book, "二", nil); err != nil || m.Sheet != "二" {
		t.Errorf("got %v %v", m, err)
	}
	if _, err := Guess(book, "三", nil); err == nil || err.(*Fault).Code != "map.nosheet" {
		t.Errorf("got %v", err)
	}
}

package ledger

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"github.com/sekisho/sekisho/controlplane/config/examples"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

// townSheet is a ledger as towns keep it, in the words of the lab's town hall: a title, a heading of two rows, and rows in
// every style that a person may have typed. A number is a serial date.
var townSheet = [][]any{
	{"特定通信管理台帳"},
	{"", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "令和8年4月1日現在"},
	{},
	{"管理番号", "通信名称", "送信元", "", "", "", "宛先", "", "プロトコル", "ポート番号", "帯域\nクラス", "利用目的", "根拠法令", "所管課", "承認", "", "有効期間", "", "見直し期限", "曜日・時間帯", "状態", "備考"},
	{"", "", "端末", "セグメント", "IPアドレス", "MACアドレス", "名称", "IPアドレス", "", "", "", "", "", "", "承認者", "承認日", "開始日", "終了日", "", "", "", ""},
	{"【税務課】"},
	{"eltax-submit", "eLTAX 申告受付", "mn-pc1", "mn-office", "198.18.10.11\n2001:db8:10::11", "02-53-4B-10-00-11", "eLTAX", "198.18.21.11、2001:db8:21::11", "TCP", "443", "core", "地方税の電子申告の受付", "地方税法 第747条の2", "税務課", "", "", "", "令和18年3月31日"},
	{"Z-101", "ｅＬＴＡＸ　照会", "税務ＰＣ３", "", "１９８．１８．１０．１３", "02:53:4b:10:00:13", "eLTAX", "", "ＨＴＴＰＳ（４４３）", "", "基幹業務", "課税内容の\n照会", "地方税法", "〃", "情報政策課長", "R8.3.25", "2026/4/1", "令和9年3月31日（水）", "R9.2.28", "平日 8:30～17:15", "有効", "新規"},
	{"Z-102", "NTP 時刻同期", "〃", "", "〃", "〃", "", "198.18.21.123/32", "UDP", "123", "", "端末の時刻合わせ", "", "情報管理室", "〃", "〃", 46113, 46477, "", "", "", ""},
	{},
	{"Z-103", "庁内DNS", "lg-pc1", "", "", "", "", "198.18.21.53", "UDP", "53", "", "名前解決", "", "情報管理室", "", "", "", "無期限"},
	{"", "", "lg-pc2", "", "", "", "", "", "", "", "", "", "", "", "", "", "", ""},
	{"", "", "", "", "", "", "", "198.18.21.123", "UDP", "123"},
	{"Z-104", "住民記録 参照", "mn-pc1・mn-pc2", "", "", "", "住民記録", "", "", "TCP/443、TCP/5201", "", "窓口での照会", "住民基本台帳法", "住民課", "", "", "", "R8年度末", "", "", "停止"},
	{"管理番号", "通信名称", "送信元", "", "", "", "宛先", "", "プロトコル", "ポート番号", "帯域\nクラス", "利用目的", "根拠法令", "所管課", "承認", "", "有効期間", "", "見直し期限", "曜日・時間帯", "状態", "備考"},
	{"以上"},
}

// workbook writes rows into a sheet, and merges.
func workbook(t testing.TB, sheet string, rows [][]any, merged ...string) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	if err := f.SetSheetName("Sheet1", sheet); err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		at, _ := excelize.CoordinatesToCellName(1, i+1)
		if err := f.SetSheetRow(sheet, at, &row); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range merged {
		from, to, _ := strings.Cut(m, ":")
		if err := f.MergeCell(sheet, from, to); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var townMerges = []string{"A1:V1", "A4:A5", "B4:B5", "C4:F4", "G4:H4", "I4:I5", "J4:J5", "K4:K5", "O4:P4", "Q4:R4"}

// TestATownsLedger reads it into the lab's document: what is said of each row, and what the document becomes.
func TestATownsLedger(t *testing.T) {
	out, r := imported(t, examples.Lab, "台帳.xlsx", workbook(t, "一覧", townSheet, townMerges...), Options{})
	r.File = "台帳.xlsx"
	golden(t, "town.ja.txt", printed(r, "ja"))
	golden(t, "town.en.txt", printed(r, "en"))
	if out == nil {
		t.Fatal("nothing written")
	}
	golden(t, "town.yaml", string(out))
	// The ledger that the new document gives means the same.
	var b bytes.Buffer
	if err := Export(&b, parsed(t, out), Format{}); err != nil {
		t.Fatal(err)
	}
	again, r := imported(t, out, "l.xlsx", b.Bytes(), Options{})
	if !bytes.Equal(again, out) {
		t.Errorf("the exported ledger changes the document\n%s", printed(r, "en"))
	}
	// And so does the town's own, a second time.
	again, r = imported(t, out, "台帳.xlsx", workbook(t, "一覧", townSheet, townMerges...), Options{})
	if !bytes.Equal(again, out) {
		t.Errorf("the second import changes the document\n%s", printed(r, "en"))
	}
}

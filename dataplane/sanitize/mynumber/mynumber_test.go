package mynumber

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// made is a number with a right check digit, out of eleven digits.
func made(eleven string) string {
	for c := byte('0'); c <= '9'; c++ {
		var d [12]byte
		copy(d[:], eleven)
		if d[11] = c; valid(d) {
			return eleven + string(c)
		}
	}
	panic("no check digit for " + eleven)
}

func random(dice *rand.Rand, digits int) string {
	b := make([]byte, digits)
	for i := range b {
		b[i] = byte('0' + dice.IntN(10))
	}
	return string(b)
}

func wide(s string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return r - '0' + '０'
		}
		return r
	}, s)
}

func scan(texts ...string) (sure, likely int) {
	var s Scanner
	for i, t := range texts {
		s.Feed(fmt.Sprintf("L%d", i+1), []string{t})
	}
	return Sum(s.Found())
}

// The example of the ministry's guide.
func TestCheckDigit(t *testing.T) {
	if got := made("12345678901"); got != "123456789018" {
		t.Errorf("got %s, want 123456789018", got)
	}
}

func TestShapesAndNeighbours(t *testing.T) {
	n := "123456789018"
	for text, want := range map[string][2]int{
		"個人番号 " + n:                    {1, 0},
		"マイナンバー：1234-5678-9018":        {1, 0},
		"マイナンバーは" + wide(n) + "です。":    {1, 0},
		"個人番号　１２３４　５６７８　９０１８":          {1, 0},
		"個人番号 1 2 3 4 5 6 7 8 9 0 1 8": {1, 0},
		"My Number: 1234 5678 9018":    {1, 0},
		n:                              {0, 1},
		"1234-5678-9018":               {0, 1},
		"氏名 山田 1234 5678 9018":         {0, 1},
		"番号" + n + "の件":                {0, 0}, // in the middle of text, with no word: chance
		"123456789019":                 {0, 0},
		"個人番号 123456789019":            {0, 0},
		"法人番号 1234567890180":           {0, 0},
		"個人番号 1234567890180":           {0, 0},
		"1234-5678-9018-0000":          {0, 0},
		"電話 1234-5678-9018":            {0, 0},
		"ID" + n:                       {0, 0},
		"¥" + n:                        {0, 0},
		n + "円":                        {0, 0},
		"x,123456789018,個人番号":          {1, 0},
		"AB-123456789018":              {0, 0},
		"12.345678901801":              {0, 0},
		n + ".5":                       {0, 0},
		"000000000000":                 {0, 0},
		"123-456-789-018":              {0, 0},
		made("20261122091"):            {0, 0}, // a date and a time
		"個人番号 " + made("20261122091"):  {1, 0},
		"":                             {0, 0},
	} {
		if sure, likely := scan(text); sure != want[0] || likely != want[1] {
			t.Errorf("%q: got %d sure, %d likely, want %v", text, sure, likely, want)
		}
	}
	if sure, _ := scan("個人番号は次のとおり", n); sure != 1 {
		t.Errorf("a word in the line before: got %d, want 1", sure)
	}
	if sure, likely := scan("個人番号は次のとおり", "別の行", n); sure != 0 || likely != 1 {
		t.Errorf("a word two lines before: got %d, %d", sure, likely)
	}
}

func TestTables(t *testing.T) {
	n := []string{made("12345678901"), made("98765432109"), made("55501234567"), made("31415926535")}
	rows := func(rows ...[]string) []Place {
		var s Scanner
		for i, r := range rows {
			s.Feed(fmt.Sprintf("表!R%d", i+1), r)
		}
		return s.Found()
	}
	for what, c := range map[string]struct{ got, want []Place }{
		"heading":              {rows([]string{"氏名", "個人番号"}, []string{"山田", n[0]}, []string{"鈴木", n[1]}), []Place{{"表!R2C2", 2, 0}}},
		"heading of others":    {rows([]string{"氏名", "伝票番号"}, []string{"山田", n[0]}), nil},
		"label to the left":    {rows([]string{"個人番号", n[0], ""}), []Place{{"表!R1C2", 1, 0}}},
		"boxes":                {rows(append([]string{"マイナンバー"}, strings.Split(n[0], "")...)), []Place{{"表!R1C2", 1, 0}}},
		"fours":                {rows([]string{"個人番号", n[0][:4], n[0][4:8], n[0][8:], ""}), []Place{{"表!R1C2", 1, 0}}},
		"thirteen boxes":       {rows(strings.Split(n[0]+"1", "")), nil},
		"a column that passes": {rows([]string{"a", n[0]}, []string{"b", n[1]}, []string{"c", n[2]}, []string{"d", n[3]}), []Place{{"表!R1C2", 4, 0}}},
		"a column of chance":   {rows([]string{"a", n[0]}, []string{"b", "123456789012"}, []string{"c", "123456789013"}, []string{"d", "123456789014"}), nil},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", what, c.got, c.want)
		}
	}
}

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"番号 123456789018、1234-5678-9018。１２３４５６７８９０１８": "番号 ●●●●●●●●●●●●、●●●●-●●●●-●●●●。●●●●●●●●●●●●",
		"123456789019 12": "123456789019 12",
		"住民/123456789018.pdf a-123456789018 a_123456789018_b http://a.example/123456789018.png": "住民/●●●●●●●●●●●●.pdf a-●●●●●●●●●●●● a_●●●●●●●●●●●●_b http://a.example/●●●●●●●●●●●●.png",
		"1-123456789018-２ 1234567890187": "1-●●●●●●●●●●●●-２ 1234567890187",
	} {
		if got := Mask(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// TestNoDigitStays looks into all that a scanner holds.
func TestNoDigitStays(t *testing.T) {
	var s Scanner
	s.Feed("L1", []string{"個人番号 1234-5678-9018"})
	s.Feed("R1", []string{"x", "123456789018"})
	if held := fmt.Sprintf("%+v", s); strings.Contains(held, "5678") {
		t.Errorf("the number is in %s", held)
	}
	for _, l := range s.lanes {
		if held := fmt.Sprintf("%+v", *l); strings.Contains(held, "5678") {
			t.Errorf("the number is in %s", held)
		}
	}
}

// TestPrecision measures over made texts: numbers with context, and twelve digits of other kinds that pass the check by chance.
func TestPrecision(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	const rounds = 2000
	found, sureFalse, likelyFalse, falseTries := 0, 0, 0, 0
	with := []string{"個人番号：%s", "マイナンバー %s", "本人の個人番号は%sです", "【個人番号】\u3000%s", "MyNumber=%s", "マイナンバー（%s）"}
	without := []string{"伝票番号 %s", "TEL %s", "お問い合わせ番号：%s", "管理番号は%sです", "No.%s", "合計 %s 円", "受信時刻 %s", "ファイル%s.pdf", "x=%s&y", "品番%s の在庫", "%s,%s", "登録%sを確認", "(%s)"}
	for range rounds {
		n := made(random(dice, 11))
		switch dice.IntN(3) {
		case 0:
			n = n[:4] + "-" + n[4:8] + "-" + n[8:]
		case 1:
			n = wide(n)
		}
		if sure, _ := scan(fmt.Sprintf(with[dice.IntN(len(with))], n)); sure == 1 {
			found++
		}
		f := without[dice.IntN(len(without))]
		args := []any{random(dice, 12)}
		if strings.Count(f, "%s") == 2 {
			args = append(args, random(dice, 12))
		}
		sure, likely := scan(fmt.Sprintf(f, args...))
		falseTries += len(args)
		sureFalse, likelyFalse = sureFalse+sure, likelyFalse+likely
	}
	// Columns of other twelve digits, without a heading.
	columns, columnFalse := 0, 0
	for range 300 {
		var s Scanner
		rows := 3 + dice.IntN(30)
		for i := range rows {
			s.Feed(fmt.Sprintf("R%d", i+1), []string{"x", random(dice, 12)})
		}
		columns += rows
		sure, likely := Sum(s.Found())
		columnFalse += sure + likely
	}
	t.Logf("named: %d of %d found; others in text: %d sure, %d likely of %d (the check alone: 1 in 11); in columns without a heading: %d of %d", found, rounds, sureFalse, likelyFalse, falseTries, columnFalse, columns)
	if found < rounds*99/100 || sureFalse > 0 || likelyFalse*100 > falseTries || columnFalse*1000 > columns {
		t.Errorf("found %d of %d, false %d sure %d likely of %d, columns %d of %d", found, rounds, sureFalse, likelyFalse, falseTries, columnFalse, columns)
	}
}

func FuzzFeed(f *testing.F) {
	f.Add("L1", "個人番号 1234-5678-9018", "1")
	f.Add("表!R2", "１２３４ ５６７８ ９０１８", "")
	f.Fuzz(func(t *testing.T, place, a, b string) {
		var s Scanner
		s.Feed(place, []string{a, b})
		s.Feed(place, []string{a})
		if len(s.Found()) > 3 {
			t.Error("more places than cells")
		}
	})
}

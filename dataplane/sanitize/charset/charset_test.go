package charset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"
)

// Every EUC-JP code that eucJP-ms has is one character, user-defined areas and IBM extensions among them.
func TestEveryEUCCode(t *testing.T) {
	count := map[string]int{}
	seen := map[rune]bool{}
	for _, before := range []string{"", "\x8F"} {
		for lead := 0xA1; lead <= 0xFE; lead++ {
			for trail := 0xA1; trail <= 0xFE; trail++ {
				code := append([]byte(before), byte(lead), byte(trail))
				r, n := EUCJP.Next(code)
				if n == 0 {
					continue
				}
				if n != len(code) {
					t.Fatalf("% X: %d bytes", code, n)
				}
				count[before]++
				if IsGaiji(r) {
					if seen[r] {
						t.Errorf("% X: U+%04X twice", code, r)
					}
					seen[r] = true
				}
			}
		}
	}
	if len(seen) != 1880 || count[""] < 6879+83+940 || count["\x8F"] < 6067+106+940 {
		t.Errorf("got %d gaiji, %v codes", len(seen), count)
	}
	for code, want := range map[string]rune{"\xF5\xA1": 0xE000, "\xFE\xFE": 0xE3AB, "\x8F\xF5\xA1": 0xE3AC, "\x8F\xFE\xFE": 0xE757, "\xAD\xA1": '①', "\x8F\xF3\xF3": 'ⅰ', "\x8F\xF4\xFE": '黑', "\x8F\xF4\xA1": 'Ⅲ', "\x8E\xB1": 'ｱ', "\xC6\xFC": '日', "\x8F\xB0\xA1": '丂'} {
		if got, _ := EUCJP.Next([]byte(code)); got != want {
			t.Errorf("% X: got %c U+%04X, want %c", code, got, got, want)
		}
	}
}

func TestISO2022ComesBack(t *testing.T) {
	for in, want := range map[string]string{
		"\x1B$BF|K\\\x1B(B\r\nabc\r\n":     "日本\r\nabc\r\n",
		"\x1B$@F|K\\\x1B(Jx":               "日本x",           // of 1978, and Roman
		"\x1B(I1\x1B(B1":                   "ｱ1",            // CP50221
		"\x0E1\x0F1":                       "ｱ1",            // CP50222
		"\x1B$B-!uu!!\x1B(B":               "①\uE054\u3000", // NEC's row 13, a user-defined row
		"\x1B$(D0!\x1B(B":                  "丂",             // JIS X 0212
		"\x1B&@\x1B$BF|\x1B(B":             "日",             // revision of 1990
		"\x1B$BF|\nabc":                    "日\nabc",        // a line begins in ASCII
		"\x1B$BF|K\\\x1B$BF|\x1B(B\x1B(B ": "日本日 ",          // escapes that change nothing
	} {
		euc, at, ok := FromISO2022([]byte(in))
		if !ok {
			t.Errorf("%q: not read, byte %d", in, at)
			continue
		}
		if got, ok := EUCJP.Text(euc); !ok || got != want {
			t.Errorf("%q: got %q (%+q), want %q", in, got, got, want)
		}
		back := ToISO2022(euc)
		again, _, ok := FromISO2022(back)
		if !ok || !bytes.Equal(again, euc) || !bytes.Equal(ToISO2022(again), back) {
			t.Errorf("%q: comes back as %q", in, back)
		}
	}
	for _, bad := range []string{"\x1B$BF", "\x1B$BF\x1B(B", "\x1B$A0!", "\x1B[2J", "\x1B$B\xB0\xB0", "\x1B(Iz"} {
		if _, _, ok := FromISO2022([]byte(bad)); ok {
			t.Errorf("%q is read", bad)
		}
	}
}

func TestUTF16WithoutMark(t *testing.T) {
	for text, sure := range map[string]bool{"氏名,住所\r\n山田,関所町1-2\r\n": true, "hello, world\n": true, "日本語だけの文字列": false} {
		for _, o := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			order, ok := GuessUTF16(ToUTF16([]byte(text), o))
			if ok != sure || ok && order.String() != o.String() {
				t.Errorf("%q in %s: got %v, %v", text, o, order, ok)
			}
		}
	}
	for _, not := range []string{"\x00\x01\x00\x02\x00\x03\x00\x04", "abc\x00defg", "MZ\x90\x00\x03\x00\x00\x00\x04\x00"} {
		if _, ok := GuessUTF16([]byte(not)); ok {
			t.Errorf("% X passes as text", not)
		}
	}
}

func TestDecodeByLabel(t *testing.T) {
	for _, c := range []struct{ label, in, want string }{
		{"ISO-2022-JP", "\x1B$BF|\x1B(B", "日"}, {"Shift_JIS", "\xF0\x40\x93\xFA", "\uE000日"}, {"EUC-JP", "\xC6\xFC", "日"}, {"utf-8", "\xEF\xBB\xBF日", "日"},
		{"windows-1252", "caf\xE9", "café"}, {"gb2312", "\xC8\xD5", "日"}, {"us-ascii", "a", "a"},
	} {
		if got, ok := Decode(c.label, []byte(c.in)); !ok || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.label, got, ok, c.want)
		}
	}
	for _, c := range [][2]string{{"utf-7", "+ADw-"}, {"x-unknown", "a"}, {"utf-8", "\xFF"}, {"euc-kr", "\xFF\xFF"}, {"shift_jis", "\x81"}} {
		if got, ok := Decode(c[0], []byte(c[1])); ok {
			t.Errorf("%s %q: got %q, want none", c[0], c[1], got)
		}
	}
}

// samples are made as offices write: names, lines of forms, sentences, katakana alone as banks write it.
func samples(dice *rand.Rand) map[string]string {
	pick := func(from string) string { s := strings.Fields(from); return s[dice.IntN(len(s))] }
	family := "山田 佐藤 鈴木 高橋 田中 渡辺 伊藤 山本 中村 小林 加藤 吉田 斎藤 松本 井上 木村 清水 阿部 池田 橋本 渡邊 齋藤 濱田 髙田 五十嵐 長谷川"
	given := "太郎 花子 一郎 健 誠 美咲 陽菜 翔太 直樹 由美子 恵子 さくら ひろし 優 凛 蓮 悠真"
	place := "東京都 大阪府 北海道 横浜市 関所町 中央区 本町一丁目 字大沢 霞が関 札幌市 鹿児島県 桧原村"
	half := "ﾔﾏﾀﾞ ｻﾄｳ ｽｽﾞｷ ﾀｶﾊｼ ﾀﾅｶ ﾜﾀﾅﾍﾞ ｲﾄｳ ﾔﾏﾓﾄ ﾅｶﾑﾗ ｺﾊﾞﾔｼ ｶﾄｳ ｷｮｳﾄ ﾀﾛｳ ﾊﾅｺ ｶ)ｾｷｼｮ ﾄｳｷｮｳ ｱﾊﾟｰﾄ ﾏﾝｼｮﾝ ﾌﾘｺﾐ ｷﾞﾝｺｳ ｼﾃﾝ ﾌﾂｳ"
	return map[string]string{
		"name":     pick(family) + pick(given),
		"place":    pick(place) + pick(place),
		"row":      pick(family) + "," + pick(place) + fmt.Sprintf("%d,%d", dice.IntN(99), dice.IntN(9999)),
		"sentence": pick(family) + "さんへ、" + pick(place) + "の件について通知します。",
		"katakana": "パソコンのメールアドレスを" + pick(place) + "へ",
		"half":     pick(half) + " " + pick(half),
		"bank":     pick(half) + pick(half) + fmt.Sprintf(" %07d ", dice.IntN(1e7)) + pick(half),
		"mixed":    pick(family) + "（" + pick(half) + "）",
	}
}

// TestGuessErrs measures how often a short text is taken for the other encoding.
func TestGuessErrs(t *testing.T) {
	dice := rand.New(rand.NewPCG(7, 8))
	type tally struct{ tried, wrong int }
	sums := map[string]*tally{}
	example := map[string]string{}
	for range 3000 {
		for kind, s := range samples(dice) {
			for set, enc := range map[string]interface {
				Bytes([]byte) ([]byte, error)
			}{EUCJP.Name: japanese.EUCJP.NewEncoder(), CP932.Name: japanese.ShiftJIS.NewEncoder()} {
				b, err := enc.Bytes([]byte(s))
				if err != nil {
					continue // a character that the library lacks
				}
				k := kind + " in " + set
				if sums[k] == nil {
					sums[k] = &tally{}
				}
				sums[k].tried++
				if got, ok := Guess(b); !ok || got.Name != set {
					sums[k].wrong++
					example[k] = s
				}
			}
		}
	}
	tried, wrong := 0, 0
	for k, s := range sums {
		tried, wrong = tried+s.tried, wrong+s.wrong
		if s.wrong > 0 {
			t.Logf("%s: %d of %d wrong, like %s", k, s.wrong, s.tried, example[k])
		}
	}
	t.Logf("%d of %d wrong (%.2f %%)", wrong, tried, float64(wrong)*100/float64(tried))
	if wrong*200 > tried {
		t.Errorf("%d of %d guesses are wrong, want at most 0.5 %%", wrong, tried)
	}
}

// A voiced mark behind a vowel is no katakana: the pair is a kanji.
func TestMarksOnNothingAreKanji(t *testing.T) {
	if set, _ := Guess([]byte("\xB1\xDE\xBB\xB3")); set.Name != EUCJP.Name { // 沿山, or ｱﾞｻｳ
		t.Errorf("got %s, want %s", set.Name, EUCJP.Name)
	}
	if set, _ := Guess([]byte("\xB6\xDE\xB7\xDE")); set.Name != CP932.Name { // ｶﾞｷﾞ
		t.Errorf("got %s, want %s", set.Name, CP932.Name)
	}
}

func FuzzISO2022(f *testing.F) {
	f.Add([]byte("\x1B$BF|K\\\x1B(B"))
	f.Add([]byte("\x0E1\x0F\x1B(I1"))
	f.Fuzz(func(t *testing.T, in []byte) {
		euc, _, ok := FromISO2022(in)
		if !ok {
			return
		}
		back := ToISO2022(euc)
		if again, _, ok := FromISO2022(back); !ok || !bytes.Equal(again, euc) {
			t.Fatalf("%q becomes % X, then %q, then % X", in, euc, back, again)
		}
	})
}

func FuzzGuess(f *testing.F) {
	f.Add([]byte("\xB1\xB2\xC6\xFC"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if set, ok := Guess(in); ok {
			if _, ok := set.Text(in); !ok {
				t.Fatalf("guessed %s, which it is not", set.Name)
			}
		}
		GuessUTF16(in)
	})
}

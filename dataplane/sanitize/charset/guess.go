package charset

import (
	"encoding/binary"
	"unicode/utf8"
)

// guessed is how much of a text is looked at to tell encodings apart, in bytes.
const guessed = 64 << 10

// Guess tells EUC-JP from CP932 by what Japanese text looks like; ok is false when b is valid in neither. Each character costs about
// as many bits as it is rare in Japanese text, and the cheaper reading wins. What is valid in both is mostly half-width katakana:
// in EUC-JP it would be pairs of rare kanji, and kana read out of kanji would have voiced marks where none can stand.
func Guess(b []byte) (set Set, ok bool) {
	e, c := valid(b, EUCJP), valid(b, CP932)
	switch {
	case !e && !c:
		return Set{}, false
	case !e:
		return CP932, true
	case !c:
		return EUCJP, true
	}
	head := b[:min(len(b), guessed)]
	if cost(head, EUCJP) < cost(head, CP932) {
		return EUCJP, true
	}
	return CP932, true
}

func valid(b []byte, set Set) bool {
	for i := 0; i < len(b); {
		if b[i] < 0x80 {
			i++
			continue
		}
		_, n := set.Next(b[i:])
		if n == 0 {
			return false
		}
		i += n
	}
	return true
}

// frequent are kanji that offices, places and names are full of.
var frequent = func() map[rune]bool {
	m := map[rune]bool{}
	for _, r := range "日本国市町村区県都府道字丁目番地号年月分前後時間人者民名住所氏姓生男女世帯主子父母長員課係部局室会計税金額円料費入出支払納付収予算決定通知書類届申請受理証明交変更新旧転居戸籍登録印鑑保険福祉健康医療介護高齢障害児童学校教育委議事業務用地方行政公共施設整備建設工水道路川山田中村小大井石木林森松原本島野佐藤鈴高橋渡辺伊加東西南北上下左右内外一二三四五六七八九十百千万以対象期限必要場合等及同当該第条項規則第電話情報管理資料一覧表作成確認連絡担当お知合実施検討結果報告概要目的吉斎渡邊濱阿部池清橋本花健誠美咲陽菜翔太直樹由恵優凛蓮悠真五嵐長谷川久保宮崎福岡広静浜松京阪奈良兵庫新潟群馬千葉神埼玉茨城栃岐阜愛媛香徳岩手秋青森青空春夏秋冬" {
		m[r] = true
	}
	return m
}()

// cost is how unlikely b is as Japanese text in the set, in bits, roughly.
func cost(b []byte, set Set) (bits int) {
	last := rune(0)
	for i := 0; i < len(b); {
		r, n := set.Next(b[i:])
		if n == 0 {
			break // the sample ends inside a character
		}
		i += n
		switch {
		case r < 0x80:
		case 0x3041 <= r && r <= 0x3093:
			bits += 6
		case 0x30A1 <= r && r <= 0x30FC, r == '、', r == '。', r == '　', r == '「', r == '」', r == '・', r == '（', r == '）':
			bits += 7
		case 0xFF10 <= r && r <= 0xFF5A:
			bits += 8
		case 0xFF61 <= r && r <= 0xFF65: // half-width punctuation
			bits += 9
		case 0xFF66 <= r && r <= 0xFF9F:
			bits += 5
			if r == 0xFF9E && !voiced(last) || r == 0xFF9F && !(0xFF8A <= last && last <= 0xFF8E) || r == 0xFF70 && !(0xFF66 <= last && last <= 0xFF9F) ||
				0xFF67 <= r && r <= 0xFF6F && !(0xFF66 <= last && last <= 0xFF9F) {
				bits += 9 // a mark on nothing
			}
			if last != 0 && last >= 0x80 && !(0xFF61 <= last && last <= 0xFF9F) {
				bits += 4 // the widths change in the middle of a word
			}
		case frequent[r]:
			bits += 8
		case levelOne(b[i-n:i], set):
			bits += 12
		default:
			bits += 17
		}
		last = r
	}
	return bits
}

// voiced tells the half-width kana that take a voiced mark: u, ka to to, ha to ho.
func voiced(r rune) bool {
	return r == 0xFF73 || 0xFF76 <= r && r <= 0xFF84 || 0xFF8A <= r && r <= 0xFF8E
}

// levelOne tells the code of a common kanji, JIS level 1.
func levelOne(code []byte, set Set) bool {
	if len(code) != 2 {
		return false
	}
	if set.Name == EUCJP.Name {
		return 0xB0 <= code[0] && code[0] <= 0xCF
	}
	return 0x88 <= code[0] && code[0] <= 0x98
}

// GuessUTF16 tells the order of UTF-16 without a mark, where it is sure: nearly every unit is a character of Japanese or
// English text in one order and not in the other, and there are the zero bytes that line ends, spaces and digits have.
func GuessUTF16(b []byte) (order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}, ok bool) {
	if len(b) < 8 || len(b)%2 != 0 {
		return nil, false
	}
	head := b[:min(len(b), guessed)]
	zeros := [2]int{}
	likely := [2]int{}
	for i := 0; i+1 < len(head); i += 2 {
		for k, u := range [2]uint16{binary.LittleEndian.Uint16(head[i:]), binary.BigEndian.Uint16(head[i:])} {
			switch {
			case u == 0:
				return nil, false
			case u == '\t', u == '\n', u == '\r', 0x20 <= u && u < 0x7F:
				likely[k]++
				zeros[k]++
			case u&0xFF == 0 && u != 0x3000: // a letter in the other order
			case 0x3000 <= u && u <= 0x30FF, 0x4E00 <= u && u <= 0x9FFF, 0xFF00 <= u && u <= 0xFFEF:
				likely[k]++
			}
		}
	}
	units := len(head) / 2
	for k, o := range []interface {
		binary.ByteOrder
		binary.AppendByteOrder
	}{binary.LittleEndian, binary.BigEndian} {
		if likely[k]*10 >= units*9 && likely[1-k]*2 < units && zeros[k] > 0 {
			if u, _, ok := FromUTF16(b, o); ok && utf8.Valid(u) {
				return o, true
			}
		}
	}
	return nil, false
}

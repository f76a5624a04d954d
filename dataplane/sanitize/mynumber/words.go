package mynumber

import (
	"strings"
	"unicode/utf8"
)

var named = []string{"個人番号", "マイナンバー", "ﾏｲﾅﾝﾊﾞｰ", "まいなんばー", "mynumber", "individualnumber", "マイナンバ", "番号法"}

var others = []string{"法人番号", "電話", "tel", "fax", "ファクス", "口座", "伝票", "注文", "受付番号", "管理番号", "整理番号", "商品", "品番", "jan", "バーコード", "追跡", "問い合わせ番号",
	"お客様番号", "会員番号", "製造番号", "シリアル", "メーター", "契約番号", "証券番号", "保険者番号", "金額", "予算", "残高", "合計", "日時", "タイムスタンプ", "timestamp", "account", "order", "serial", "phone", "isbn", "カード番号", "住民票コード", "登録番号", "免許", "地番", "筆番"}

// closed takes out the space that forms put between letters.
var closed = strings.NewReplacer(" ", "", "　", "", "\n", "")

// word is one of the lists', and what it says.
type word struct {
	text string
	says context
}

// byFirst are the words by their first letters: most letters begin none.
var byFirst = func() map[rune][]word {
	m := map[rune][]word{}
	for says, list := range map[context][]string{names: named, differs: others} {
		for _, w := range list {
			r, _ := utf8.DecodeRuneInString(w)
			m[r] = append(m[r], word{w, says})
		}
	}
	return m
}()

// words tells what a text names: the number, if both.
func words(t string) context {
	if t == "" {
		return silent
	}
	if len(t) > 4*reach {
		t = t[:2*reach] + t[len(t)-2*reach:]
	}
	if strings.ContainsAny(t, " \u3000\n") {
		t = closed.Replace(t)
	}
	lower := strings.ToLower(t)
	said := silent
	for i, r := range lower {
		for _, w := range byFirst[r] {
			if !strings.HasPrefix(lower[i:], w.text) {
				continue
			}
			if w.says == names {
				return names
			}
			said = differs
		}
	}
	return said
}

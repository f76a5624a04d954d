package ledger

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/sekisho/sekisho/controlplane/config"
)

// ditto tells the signs that stand for the cell above.
func ditto(s string) bool {
	switch strings.Trim(width.Fold.String(s), " \t\n「」()") {
	case "〃", "々", "″", "\"", "''", "同上", "同じ", "上に同じ", "ditto", "同":
		return true
	}
	return false
}

var stateWords = map[string]config.State{
	"": "", "有効": config.Active, "運用中": config.Active, "稼働中": config.Active, "稼働": config.Active, "利用中": config.Active, "使用中": config.Active, "承認済": config.Active, "承認済み": config.Active, "継続": config.Active, "○": config.Active, "〇": config.Active, "active": config.Active, "enabled": config.Active,
	"下書き": config.Draft, "案": config.Draft, "申請中": config.Draft, "申請": config.Draft, "予定": config.Draft, "準備中": config.Draft, "未承認": config.Draft, "draft": config.Draft,
	"停止": config.Suspended, "停止中": config.Suspended, "休止": config.Suspended, "休止中": config.Suspended, "中断": config.Suspended, "一時停止": config.Suspended, "無効": config.Suspended, "suspended": config.Suspended, "disabled": config.Suspended,
	"廃止": config.Expired, "廃止済": config.Expired, "終了": config.Expired, "失効": config.Expired, "期限切れ": config.Expired, "×": config.Expired, "expired": config.Expired,
}

// stateNames are how an exported ledger calls states.
var stateNames = map[config.State]string{config.Draft: "下書き", config.Active: "有効", config.Suspended: "停止", config.Expired: "廃止"}

func stateOf(c Cell) (config.State, *Note) {
	s, ok := stateWords[plain(c.Text)]
	if !ok {
		return "", bad("state.form", c.Text)
	}
	return s, nil
}

// folded is a ledger's number without what makes no other number of it: blanks around it, and the width and size of letters.
func folded(s string) string { return strings.ToLower(width.Fold.String(strings.TrimSpace(s))) }

// identifier makes a document's id of a ledger's number: small letters, digits, dots, hyphens. What an id cannot hold becomes
// u and its code point, so that 特-1 and 税-1 stay apart; number gives it back. A_1 and A/1 do become one.
func identifier(s string) string {
	var b strings.Builder
	for _, r := range folded(s) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-':
			b.WriteRune(r)
		case unicode.IsSpace(r) || strings.ContainsRune("_/‐‑–—―−ー・", r):
			b.WriteByte('-')
		default:
			fmt.Fprintf(&b, "u%04x", r)
		}
	}
	return b.String()
}

var encoded = regexp.MustCompile(`u[0-9a-f]{4}`)

// number is how an exported ledger writes an id: with the characters that identifier took out, where it would take them out again.
func number(id string) string {
	out := encoded.ReplaceAllStringFunc(id, func(s string) string {
		var r rune
		fmt.Sscanf(s[1:], "%x", &r)
		if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) && identifier(string(r)) == s {
			return string(r)
		}
		return s
	})
	if identifier(out) != id || out == "例" || strings.HasPrefix(out, "記入例") {
		return id
	}
	return out
}

// idForm is that of the document's ids.
var idForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`)

// line makes one line of a cell's text: a line break between Japanese characters was only for the width of the column.
func line(s string) string {
	fields := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	out := ""
	for _, f := range fields {
		f = strings.TrimSpace(f)
		if out != "" && f != "" && lastRune(out) < 0x2e80 && firstRune(f) < 0x2e80 {
			out += " "
		}
		out += f
	}
	return out
}

func lastRune(s string) rune {
	r := []rune(s)
	return r[len(r)-1]
}

// textOf reads a text of the document.
func textOf(c Cell) (string, *Note) {
	s := line(strings.ReplaceAll(c.Text, "\t", " "))
	switch {
	case len(s) > config.MaxText:
		return "", bad("text.long", fmt.Sprint(len(s)), fmt.Sprint(config.MaxText))
	case strings.ContainsRune(s, '\uFFFD'):
		return "", bad("text.gaiji", s)
	case strings.IndexFunc(s, control) >= 0:
		return "", bad("text.control", s)
	}
	return s, nil
}

// errorValues are what a cell shows when its formula failed.
var errorValues = []string{"#REF!", "#N/A", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!", "#SPILL!", "#CALC!"}

func failed(c Cell) bool { return slices.Contains(errorValues, strings.ToUpper(c.Text)) }

// windowDays are the words for days, and the times that a text of a weekly window gives.
var (
	windowDays = map[string][]config.Day{"平日": {1, 2, 3, 4, 5}, "毎日": {1, 2, 3, 4, 5, 6, 7}, "全日": {1, 2, 3, 4, 5, 6, 7}, "土日": {6, 7}, "週末": {6, 7}, "休日": nil, "": {1, 2, 3, 4, 5, 6, 7}}
	anyTime    = map[string]bool{"": true, "常時": true, "終日": true, "24時間": true, "24時間365日": true, "随時": true, "always": true, "24/7": true, "24x7": true, "24h": true, "-": true, "なし": true, "制限なし": true}
	windowForm = regexp.MustCompile(`^(.*?)(\d{1,2})(?::(\d{2})|時(?:(\d{1,2})分)?)(?:-|~|〜|から|―)(翌日?)?(\d{1,2})(?::(\d{2})|時(?:(\d{1,2})分)?)(?:まで)?$`)
	dayRange   = regexp.MustCompile(`^([月火水木金土日])曜?日?(?:-|~|〜|から)([月火水木金土日])曜?日?(?:まで)?$`)
	dayLetters = []rune("月火水木金土日")
)

// weekly is a weekly window as a text gives it.
type weekly struct {
	days     []config.Day
	from, to config.Clock
}

// windowText reads 平日 8:30～17:15, 月～金 22時-翌5時, 月・水・金 9:00-12:00.
func windowText(s string) (w weekly, ok bool) {
	g := windowForm.FindStringSubmatch(strings.Trim(plain(s), "()"))
	if g == nil {
		return w, false
	}
	from, ok1 := clock(g[2], g[3]+g[4])
	to, ok2 := clock(g[6], g[7]+g[8])
	days, ok3 := daysOf(strings.Trim(g[1], "・、,()の "))
	next := to <= from // the day after
	if !ok1 || !ok2 || !ok3 || g[5] != "" && !next || g[5] == "" && next && to != 0 {
		return w, false
	}
	return weekly{days, from, to}, true
}

func clock(h, m string) (config.Clock, bool) {
	n := atoi(h)*60 + atoi(m)
	return config.Clock(n), atoi(m) < 60 && n <= 24*60
}

func daysOf(s string) ([]config.Day, bool) {
	if d, ok := windowDays[s]; ok {
		return d, d != nil
	}
	if g := dayRange.FindStringSubmatch(s); g != nil {
		from, to := slices.Index(dayLetters, []rune(g[1])[0]), slices.Index(dayLetters, []rune(g[2])[0])
		var out []config.Day
		for d := from; ; d = (d + 1) % 7 {
			out = append(out, config.Day(d+1))
			if d == to {
				slices.Sort(out)
				return out, true
			}
		}
	}
	var out []config.Day
	for _, r := range strings.NewReplacer("曜日", "", "曜", "", "・", "", "、", "", ",", "", "/", "").Replace(s) {
		d := slices.Index(dayLetters, r)
		if d < 0 || slices.Contains(out, config.Day(d+1)) {
			return nil, false
		}
		out = append(out, config.Day(d+1))
	}
	slices.Sort(out)
	return out, len(out) > 0
}

// Package honest makes the files that a town hall receives every day: letters, tables, slides, photos, mails and archives, half and more
// of them Japanese, by several programs.
//
// Problem: a sanitizer is judged by what it lets through unharmed, and real files may not lie in a repository. Mechanism: contents are
// made by code from a fixed seed and written by LibreOffice, by Go's own writers and by libraries that the product does not use.
// Life cycle: Make writes all of them once into memory. Invariant: the same call makes the same contents; each file is well-formed
// and holds nothing that has to go but what its writer puts in by itself.
package honest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// File is one honest file.
type File struct {
	Name     string
	Writer   string // the program that wrote it
	Japanese bool
	Body     []byte
}

// Make makes all files. Small leaves out what is large or slow, for tests.
func Make(ctx context.Context, small bool) ([]File, error) {
	office, err := officeFiles(ctx, small)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(office, workbooks(small), texts(small), pictures(small), rare())
	all = append(all, mails(all)...)
	return append(all, archives(all)...), nil
}

// dice of a file: the same name gives the same content.
func dice(name string) *rand.Rand {
	var seed uint64 = 14695981039346656037
	for _, c := range []byte(name) {
		seed = (seed ^ uint64(c)) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, 1))
}

var (
	words     = strings.Fields("関所町 住民税 固定資産税 国民健康保険 介護保険 児童手当 証明書 申請 届出 手続 窓口 受付 審査 決定 通知 納付 還付 更正 督促 予算 決算 議会 条例 規則 要綱 計画 避難所 防災 消防 水道 下水道 道路 公園 学校 保育所 図書館 髙橋 﨑山 渡邉 齋藤 吉田 山田太郎 令和八年度 第一四半期 前年度比 一世帯当たり")
	particles = strings.Fields("の は が を に で と から まで より へ も")
	endings   = []string{"について通知します。", "を実施します。", "のとおり決定しました。", "を添えて提出してください。", "に関する説明会を開催します。", "の見直しを行うものとする。"}
	english   = strings.Fields("council budget resident notice application office form road water school library shelter plan report section head approval deadline payment")
)

// sentence of one language.
func sentence(d *rand.Rand, ja bool) string {
	var b strings.Builder
	for i := range 3 + d.IntN(6) {
		if ja {
			b.WriteString(words[d.IntN(len(words))])
			b.WriteString(particles[d.IntN(len(particles))])
			continue
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(english[d.IntN(len(english))])
	}
	if ja {
		b.WriteString(endings[d.IntN(len(endings))])
	} else {
		b.WriteByte('.')
	}
	return b.String()
}

func paragraph(d *rand.Rand, ja bool) string {
	var all []string
	for range 2 + d.IntN(4) {
		all = append(all, sentence(d, ja))
	}
	if ja {
		return strings.Join(all, "")
	}
	return strings.Join(all, " ")
}

// gaiji are characters that only the town's font knows, and names that need a variation selector.
const gaiji = "外字\uE000\uE757 葛\U000E0100城市 辻\U000E0101 髙﨑"

func title(name string, ja bool) string {
	if ja {
		return fmt.Sprintf("令和八年度 %s（案）", name)
	}
	return "Draft of " + name
}

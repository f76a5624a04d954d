package ledgers

import "time"

// section is a section of the town hall: its stations stand in one segment, one after the other.
type section struct {
	name, segment string
	first, count  int  // of its stations' addresses
	card          byte // of their MAC addresses
	systems       []system
}

// system is what a section uses.
type system struct {
	name, segment string
	host          int
	protos, port  string
	class         string
	purpose       string
	basis         string
	window        string
	several       bool // one row may name several stations; between My Number and LGWAN none may
}

// work is one row: stations of a section that use a system.
type work struct {
	section  *section
	system   system
	stations []int
	names    []string // of hosts that the document has; instead of stations
	remark   string
}

// core is a system in the Government Cloud that conforms to the standard.
func core(name string, host int, purpose, basis string) system {
	return system{name: name, segment: "tokyo", host: host, protos: "TCP", port: "443", class: "core", purpose: purpose, basis: basis, several: true}
}

// asp is a service of the LGWAN.
func asp(name string, host int, protos, port, purpose, basis string) system {
	return system{name: name, segment: "lg-asp-net", host: host, protos: protos, port: port, purpose: purpose, basis: basis}
}

// office is a service of the LGWAN that its own stations use.
func office(name string, host int, protos, port, purpose string) system {
	s := asp(name, host, protos, port, purpose, "")
	s.several = true
	return s
}

var (
	pittari = asp("ぴったりサービス", 27, "TCP", "443", "電子申請の受領", "番号法 附則第6条")
	pattern = asp("ウイルス定義配信", 31, "TCP", "8080", "ウイルス対策ソフトの更新", "")
	wsus    = asp("更新プログラム配信", 32, "TCP", "8530", "端末の更新プログラムの取得", "")
	clock   = asp("時刻配信", 33, "UDP", "123", "端末の時刻合わせ", "")
	chukan  = asp("中間サーバー", 24, "TCP", "443", "特定個人情報の照会と提供", "番号法 第19条第8号")
	nightly = system{name: "業務データ取得", segment: "tokyo", host: 40, protos: "TCP", port: "8443", class: "backup", purpose: "夜間の業務データ取得", window: "毎日 22:00～翌5:00"}
	screen  = system{name: "画面転送", segment: "in-net", host: 41, protos: "TCP", port: "3389", purpose: "インターネットの閲覧（画面転送）", window: "平日 8:30～17:15", several: true}
)

// sections of the town hall in the order of the ledger.
var sections = []section{
	{"税務課", "mn-office", 20, 8, 0x11, []system{
		core("個人住民税", 14, "賦課と収納", "地方税法 第294条"), core("固定資産税", 15, "賦課と評価", "地方税法 第342条"), core("収納管理", 16, "収納と滞納整理", "地方税法 第20条の11"),
		asp("国税連携", 25, "TCP", "443", "所得税申告データの受領", "地方税法 第325条"), chukan, pittari, pattern, wsus, clock, nightly}},
	{"住民課", "mn-office", 30, 8, 0x12, []system{
		core("住民基本台帳", 12, "住民異動と証明書の発行", "住民基本台帳法 第5条"), core("戸籍附票", 13, "附票の作成", "住民基本台帳法 第16条"), core("印鑑登録", 17, "登録と証明", "印鑑条例"), core("国民年金", 18, "届出事務", "国民年金法 第12条"),
		asp("住基ネット", 22, "TCP", "443", "本人確認情報の照会", "住民基本台帳法 第30条の6"), asp("コンビニ交付", 26, "TCP", "8443", "証明書データの送信", "住民基本台帳法 第12条"), chukan, pittari, pattern, wsus, clock}},
	{"福祉課", "mn-office", 40, 7, 0x13, []system{
		core("児童手当", 19, "認定と支給", "児童手当法 第7条"), core("障害者福祉", 20, "手帳と給付", "障害者総合支援法 第20条"), core("生活保護", 21, "決定と支給", "生活保護法 第19条"), core("介護保険", 22, "資格、認定、給付", "介護保険法 第12条"),
		asp("国保連伝送", 28, "TCP", "443", "介護給付費データの伝送", ""), chukan, pittari, pattern, wsus, clock}},
	{"健康増進課", "mn-office", 50, 6, 0x14, []system{
		core("国民健康保険", 23, "資格、給付、賦課", "国民健康保険法 第9条"), core("後期高齢者医療", 24, "資格と徴収", "高齢者医療確保法 第104条"), core("健康管理", 25, "予防接種台帳と母子保健", "予防接種法 第9条の3"),
		asp("広域連合伝送", 29, "TCP", "443", "被保険者情報の連携", "高齢者医療確保法 第138条"), chukan, pattern, wsus, clock}},
	{"総務課", "lg-office", 20, 8, 0x21, []system{
		office("グループウェア", 51, "TCP", "443", "庁内の予定、掲示、連絡"), office("文書管理", 52, "TCP", "443", "収受、起案、電子決裁"), office("庶務事務", 53, "TCP", "443", "勤怠、休暇、給与明細"), office("LGWANメール", 54, "TCP", "587", "LGWAN内のメール"), office("名前解決", 55, "TCP/UDP", "53", "名前解決"),
		pattern, wsus, clock, screen}},
	{"企画財政課", "lg-office", 30, 8, 0x22, []system{
		office("グループウェア", 51, "TCP", "443", "庁内の予定、掲示、連絡"), office("財務会計", 56, "TCP", "443", "予算、支出命令、契約"), office("統計調査", 57, "TCP", "443", "基幹統計調査の報告"), office("名前解決", 55, "TCP/UDP", "53", "名前解決"), pattern, wsus, clock, screen}},
	{"建設課", "lg-office", 40, 7, 0x23, []system{
		office("グループウェア", 51, "TCP", "443", "庁内の予定、掲示、連絡"), office("統合型GIS", 58, "TCP", "443", "道路・上下水道台帳の閲覧"), office("積算システム", 59, "TCP", "1521", "工事の積算"), office("名前解決", 55, "TCP/UDP", "53", "名前解決"), pattern, wsus, clock, screen}},
	{"教育委員会", "lg-office", 50, 7, 0x24, []system{
		office("グループウェア", 51, "TCP", "443", "庁内の予定、掲示、連絡"), office("学籍管理", 60, "TCP", "443", "学齢簿と就学援助"), office("名前解決", 55, "TCP/UDP", "53", "名前解決"), pattern, wsus, clock, screen}},
}

// known are rows about hosts that the lab's document has already, by their names there.
var known = []work{
	{names: []string{"mn-pc2"}, system: system{name: "eLTAX", protos: "TCP", port: "443", class: "core", purpose: "申告内容の照会", basis: "地方税法 第747条の2"}, remark: "窓口の応援用"},
	{names: []string{"mn-pc1", "mn-pc2"}, system: system{name: "住民記録（待機系）", protos: "TCP", port: "443", class: "core", purpose: "切替訓練", basis: "住民基本台帳法 第5条"}},
	{names: []string{"lg-pc1"}, system: system{name: "eLTAX", protos: "TCP", port: "443", purpose: "申告データの照会"}},
	{names: []string{"in-pc1"}, system: system{name: "外部ウェブ", protos: "TCP", port: "443", purpose: "情報収集", window: "平日 8:30～17:15"}},
}

// plan lists n rows: those about known hosts, then of each section its share, in the order of sections.
func plan(n int) []work {
	office := &section{name: "情報管理室"}
	var out []work
	for _, w := range known[:min(n, len(known))] {
		w.section = office
		out = append(out, w)
	}
	n -= len(out)
	left := Most() - len(known)
	for i := range sections {
		all := sections[i].works()
		share := (n*len(all) + left - 1) / max(left, 1)
		out = append(out, all[:share]...)
		n, left = n-share, left-len(all)
	}
	return out
}

// works are all rows of a section: each system from each of its stations, or from pairs of them where a row may name several.
func (s *section) works() []work {
	var out []work
	for n := range s.count {
		for j, sys := range s.systems {
			switch {
			case !sys.several:
				out = append(out, work{section: s, system: sys, stations: []int{n}})
			case (n+j)%2 == 0 && n+1 < s.count:
				out = append(out, work{section: s, system: sys, stations: []int{n, n + 1}, remark: "2台"})
			}
		}
	}
	return out
}

// Most is the number of rows that there are stations and systems for.
func Most() int {
	n := len(known)
	for i := range sections {
		n += len(sections[i].works())
	}
	return n
}

// serial counts days as Excel does.
func serial(year, month, day int) int {
	return int(time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Sub(epoch) / (24 * time.Hour))
}

func dayOf(n int) time.Time { return epoch.AddDate(0, 0, n) }

var epoch = time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)

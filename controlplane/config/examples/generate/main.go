// Command generate writes the example configuration of a city: every section with the segments, stations and designated
// communications that such a section has. The town's example is written by hand; a city's thousand records are not.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
)

func main() {
	out := flag.String("city", "city.yaml", "file to write")
	flag.Parse()
	if err := write(*out); err != nil {
		log.Fatal(err)
	}
}

func write(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	c := &city{w: w}
	c.write()
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// section is a part of the city hall.
type section struct {
	id, ja  string
	mn, lg  bool     // has terminals in the My Number zone, in the LGWAN zone
	systems []string // standard systems that it works with
}

var sections = []section{
	{"shimin", "市民課", true, true, []string{"juki", "koseki", "inkan", "nenkin", "kokuho", "jidou", "kaigo", "senkyo", "shugaku"}},
	{"shiminzei", "市民税課", true, true, []string{"zei", "shuno", "juki", "kokuho", "kaigo"}},
	{"shisanzei", "資産税課", true, true, []string{"kotei", "shuno", "juki", "koseki"}},
	{"nozei", "納税課", true, true, []string{"shuno", "zei", "kotei", "keiji", "juki"}},
	{"hokennenkin", "保険年金課", true, true, []string{"kokuho", "kouki", "nenkin", "juki", "zei", "shuno"}},
	{"kaigohoken", "介護保険課", true, true, []string{"kaigo", "juki", "zei", "shogai", "shuno"}},
	{"shogaifukushi", "障害福祉課", true, true, []string{"shogai", "juki", "zei", "seiho", "kaigo"}},
	{"seikatsufukushi", "生活福祉課", true, true, []string{"seiho", "juki", "zei", "kokuho", "kaigo"}},
	{"kodomo", "こども家庭課", true, true, []string{"jidou", "jifute", "kosodate", "juki", "zei"}},
	{"hoiku", "保育課", true, true, []string{"kosodate", "juki", "zei", "jidou"}},
	{"kenkozukuri", "健康づくり課", true, true, []string{"kenko", "juki", "kokuho", "kouki"}},
	{"gakumu", "学務課", true, true, []string{"shugaku", "juki", "jidou", "zei"}},
	{"senkan", "選挙管理委員会", true, true, []string{"senkyo", "juki"}},
	{"kita", "北支所", true, true, []string{"juki", "koseki", "inkan", "kokuho", "nenkin", "kaigo"}},
	{"minami", "南支所", true, true, []string{"juki", "koseki", "inkan", "kokuho", "nenkin", "kaigo"}},
	{"nishi", "西支所", true, true, []string{"juki", "koseki", "inkan", "kokuho", "nenkin", "kaigo"}},
	{"higashi", "東支所", true, true, []string{"juki", "koseki", "inkan", "kokuho", "nenkin", "kaigo"}},
	{"somu", "総務課", false, true, nil},
	{"jinji", "人事課", false, true, nil},
	{"zaisei", "財政課", false, true, nil},
	{"kanzai", "管財課", false, true, nil},
	{"kikaku", "企画課", false, true, nil},
	{"koho", "広報課", false, true, nil},
	{"bosai", "危機管理課", false, true, nil},
	{"kankyo", "環境課", false, true, nil},
	{"nosei", "農政課", false, true, nil},
	{"shoko", "商工課", false, true, nil},
	{"doro", "道路課", false, true, nil},
	{"toshi", "都市計画課", false, true, nil},
	{"kenchiku", "建築課", false, true, nil},
	{"gesui", "下水道課", false, true, nil},
	{"shogaku", "生涯学習課", false, true, nil},
	{"gikai", "議会事務局", false, true, nil},
}

// host is a system with its place in its segment.
type host struct{ id, ja, addr, port string }

var standard = []host{
	{"juki", "住民基本台帳", "198.51.100.11", "tcp/443"}, {"koseki", "戸籍", "198.51.100.12", "tcp/443"}, {"inkan", "印鑑登録", "198.51.100.13", "tcp/443"},
	{"zei", "個人住民税", "198.51.100.14", "tcp/443"}, {"kotei", "固定資産税", "198.51.100.15", "tcp/443"}, {"keiji", "軽自動車税", "198.51.100.16", "tcp/443"},
	{"shuno", "収納管理", "198.51.100.17", "tcp/443"}, {"kokuho", "国民健康保険", "198.51.100.18", "tcp/443"}, {"kouki", "後期高齢者医療", "198.51.100.19", "tcp/443"},
	{"nenkin", "国民年金", "198.51.100.20", "tcp/443"}, {"kaigo", "介護保険", "198.51.100.21", "tcp/443"}, {"shogai", "障害者福祉", "198.51.100.22", "tcp/443"},
	{"seiho", "生活保護", "198.51.100.23", "tcp/443"}, {"jidou", "児童手当", "198.51.100.24", "tcp/443"}, {"jifute", "児童扶養手当", "198.51.100.25", "tcp/443"},
	{"kosodate", "子ども・子育て支援", "198.51.100.26", "tcp/443"}, {"kenko", "健康管理", "198.51.100.27", "tcp/443"}, {"shugaku", "就学", "198.51.100.28", "tcp/443"},
	{"senkyo", "選挙人名簿管理", "198.51.100.29", "tcp/443"},
}

var behindLGWAN = []host{
	{"eltax", "地方税ポータル eLTAX", "198.19.16.11", "tcp/443"}, {"chukan", "中間サーバー", "198.19.16.12", "tcp/443"}, {"jukinet", "住基ネット", "198.19.16.13", "tcp/443"},
	{"jpki", "公的個人認証", "198.19.16.14", "tcp/443"}, {"conveni", "コンビニ交付", "198.19.16.15", "tcp/443"}, {"pittari", "ぴったりサービス", "198.19.16.16", "tcp/443"},
	{"kokuhoren", "国保連合会", "198.19.16.17", "tcp/443"}, {"nenkinkiko", "年金機構", "198.19.16.18", "tcp/443"}, {"bunsho", "電子文書交換", "198.19.16.19", "tcp/443"},
	{"lgmail", "LGWANメール", "198.19.16.20", "tcp/25"}, {"wsus", "更新プログラム配信", "198.19.16.21", "tcp/443"}, {"jalert", "全国瞬時警報", "198.19.16.22", "tcp/443"},
}

var internal = []host{
	{"groupware", "グループウェア", "198.18.98.11", "tcp/443"}, {"zaimu", "財務会計", "198.18.98.12", "tcp/443"}, {"jinji-sys", "人事給与", "198.18.98.13", "tcp/443"},
	{"shomu", "庶務事務", "198.18.98.14", "tcp/443"}, {"bunshokanri", "文書管理", "198.18.98.15", "tcp/443"}, {"gis", "統合型GIS", "198.18.98.16", "tcp/443"},
	{"keiyaku", "契約管理", "198.18.98.17", "tcp/443"}, {"files", "ファイルサーバー", "198.18.98.18", "tcp/445"}, {"chat", "ビジネスチャット", "198.18.98.19", "tcp/443"},
	{"kaigi", "会議録・例規", "198.18.98.20", "tcp/443"},
}

const perSection = 4 // terminals of a section in each zone

// city writes the document from top to bottom.
type city struct {
	w     io.Writer
	count int
}

func (c *city) line(format string, args ...any) { fmt.Fprintf(c.w, format+"\n", args...) }

func (c *city) write() {
	c.line("# Code generated by examples/generate; DO NOT EDIT. A city of about 200,000 people: 1,400 staff, every section with its own segments.")
	c.line("version: 1\ntown: {ja: あおば市, en: Aoba}\nmodel: alpha\n")
	c.ports()
	c.segments()
	c.stations()
	c.services()
	c.groups()
	c.windows()
	c.communications()
	c.rest()
}

func (c *city) ports() {
	c.line("ports:")
	for _, p := range []string{"mn0: my-number", "mn1: my-number", "lg0: lgwan", "lg1: lgwan", "lga0: lgwan", "in0: internet", "inw0: internet", "mg0: management", "wan0: uplink"} {
		id, zone, _ := strings.Cut(p, ": ")
		c.line("  - {id: %s, zone: %s}", id, zone)
	}
	c.line("")
}

func (c *city) segments() {
	c.line("segments:")
	for i, s := range sections {
		if s.mn {
			c.segment("mn-"+s.id, "my-number", fmt.Sprintf("mn%d", i/14), 100+i, 1+i, s.ja)
		}
	}
	c.segment("mn-server", "my-number", "mn1", 199, 99, "個人番号系サーバー室")
	for i, s := range sections {
		if s.lg {
			c.segment("lg-"+s.id, "lgwan", fmt.Sprintf("lg%d", i/20), 200+i, 41+i, s.ja)
		}
	}
	c.segment("lg-server", "lgwan", "lg1", 299, 98, "LGWAN系サーバー室")
	c.line("  - id: lg-asp\n    zone: lgwan\n    port: lga0\n    prefixes: [198.19.0.0/29, 198.19.16.0/20]\n    gate: [198.19.0.1]\n    strict: true")
	c.line("    routers:\n      - {mac: \"02:53:4b:c1:00:02\", addresses: [198.19.0.2], behind: [198.19.16.0/20]}")
	c.segment("in-office", "internet", "in0", 301, 101, "インターネット端末")
	c.segment("in-branch", "internet", "in0", 302, 102, "支所 インターネット端末")
	c.segment("in-server", "internet", "in0", 303, 103, "画面転送・メール中継")
	c.line("  - {id: in-cloud, zone: internet, port: inw0, prefixes: [203.0.113.0/24], gate: [203.0.113.1], name: {ja: 県セキュリティクラウド}}")
	c.line("  - {id: mg-net, zone: management, port: mg0, prefixes: [198.18.104.0/24], gate: [198.18.104.1], strict: true, name: {ja: 情報システム課 運用}}")
	c.line("  - id: line1\n    zone: uplink\n    port: wan0\n    prefixes: [192.0.2.0/29, 192.0.2.128/25]\n    gate: [192.0.2.1]")
	c.line("    routers:\n      - {mac: \"02:53:4b:c2:00:02\", addresses: [192.0.2.2], behind: [192.0.2.128/25]}")
	c.line("  - {id: tokyo, zone: my-number, tunnel: wg0, prefixes: [198.51.100.0/26], gate: [198.51.100.62], name: {ja: 東京リージョン}}")
	c.line("  - {id: osaka, zone: my-number, tunnel: wg0, prefixes: [198.51.100.64/26], gate: [198.51.100.126], name: {ja: 大阪リージョン}}")
	for i, z := range []string{"my-number", "lgwan", "internet", "management"} {
		c.line("  - {id: %s-portal, zone: %s, portal: true, prefixes: [198.18.%d.0/29], gate: [198.18.%d.1]}", z, z, 110+10*i, 110+10*i)
	}
	c.line("")
}

func (c *city) segment(id, zone, port string, vlan, net int, ja string) {
	c.line("  - {id: %s, zone: %s, port: %s, vlan: %d, prefixes: [198.18.%d.0/24, \"2001:db8:%d::/64\"], gate: [198.18.%d.1, \"2001:db8:%d::1\"], strict: true, name: {ja: %s}}", id, zone, port, vlan, net, net, net, net, ja)
}

func (c *city) stations() {
	c.line("stations:")
	for i, s := range sections {
		for n := 1; n <= perSection; n++ {
			if s.mn {
				c.station(fmt.Sprintf("mn-%s%d", s.id, n), "mn-"+s.id, 1+i, 10+n, s.ja)
			}
			if s.lg {
				c.station(fmt.Sprintf("lg-%s%d", s.id, n), "lg-"+s.id, 41+i, 10+n, s.ja)
			}
		}
	}
	c.station("mn-agent", "mn-server", 99, 11, "情報システム課")
	c.station("lg-agent", "lg-server", 98, 31, "情報システム課")
	c.station("in-vdi1", "in-server", 103, 11, "情報システム課")
	c.station("in-vdi2", "in-server", 103, 12, "情報システム課")
	c.station("in-mail", "in-server", 103, 21, "情報システム課")
	c.station("noc", "mg-net", 104, 11, "情報システム課")
	c.line("  - {id: cloud-print, segment: tokyo, addresses: [198.51.100.51], owner: 情報システム課}")
	c.line("")
}

func (c *city) station(id, segment string, net, host int, owner string) {
	v6 := fmt.Sprintf(", \"2001:db8:%d::%d\"", net, host)
	if net == 104 {
		v6 = ""
	}
	c.line("  - {id: %s, segment: %s, mac: \"%s\", addresses: [198.18.%d.%d%s], owner: %s}", id, segment, mac(net, host), net, host, v6, owner)
}

func mac(net, host int) string { return fmt.Sprintf("02:53:4b:%02x:00:%02x", net, host) }

func (c *city) services() {
	c.line("services:")
	for _, h := range standard {
		c.line("  - {id: %s, segment: tokyo, addresses: [%s], ports: [%s], name: {ja: %s}}", h.id, h.addr, h.port, h.ja)
	}
	for i, h := range standard[:6] {
		c.line("  - {id: %s-standby, segment: osaka, addresses: [198.51.100.%d], ports: [%s], name: {ja: %s（待機系）}}", h.id, 75+i, h.port, h.ja)
	}
	c.line("  - {id: gc-backup, segment: tokyo, addresses: [198.51.100.40], ports: [tcp/8443], name: {ja: 業務データ取得}}")
	for _, h := range behindLGWAN {
		c.line("  - {id: %s, segment: lg-asp, addresses: [%s], ports: [%s], name: {ja: %s}}", h.id, h.addr, h.port, h.ja)
	}
	for i, h := range internal {
		c.line("  - {id: %s, segment: lg-server, mac: \"%s\", addresses: [%s, \"2001:db8:98::%d\"], ports: [%s], name: {ja: %s}}", h.id, mac(98, 11+i), h.addr, 11+i, h.port, h.ja)
	}
	c.line("  - {id: mn-print, segment: mn-server, mac: \"%s\", addresses: [198.18.99.21], ports: [tcp/9100, tcp/631], name: {ja: 大量帳票プリンター}}", mac(99, 21))
	c.line("  - {id: lg-relay, segment: lg-server, mac: \"%s\", addresses: [198.18.98.32], ports: [tcp/25], name: {ja: メールサーバー}}", mac(98, 32))
	c.line("  - {id: vdi, segment: in-server, addresses: [198.18.103.11, \"2001:db8:103::11\"], ports: [tcp/3389], name: {ja: 画面転送}}")
	c.line("  - {id: vdi-branch, segment: in-server, addresses: [198.18.103.12, \"2001:db8:103::12\"], ports: [tcp/3389], name: {ja: 画面転送（支所）}}")
	c.line("  - {id: in-relay, segment: in-server, addresses: [198.18.103.21], ports: [tcp/25], name: {ja: メール中継}}")
	c.line("  - {id: proxy, segment: in-cloud, addresses: [203.0.113.11], ports: [tcp/8080], name: {ja: プロキシ}}")
	c.line("  - {id: dns, segment: in-cloud, addresses: [203.0.113.12], ports: [tcp/53, udp/53], name: {ja: DNS}}")
	c.line("  - {id: cloud-mail, segment: in-cloud, addresses: [203.0.113.13], ports: [tcp/25], name: {ja: 外部メール}}")
	c.line("")
}

func (c *city) groups() {
	c.line("groups:")
	for _, s := range sections {
		if s.mn {
			c.group("mn-"+s.id, s.ja)
		}
		c.group("lg-"+s.id, s.ja)
	}
	c.line("")
}

func (c *city) group(id, ja string) {
	var all []string
	for n := 1; n <= perSection; n++ {
		all = append(all, fmt.Sprintf("%s%d", id, n))
	}
	c.line("  - {id: %s, stations: [%s], name: {ja: %s 全端末}}", id, strings.Join(all, ", "), ja)
}

func (c *city) windows() {
	c.line("windows:")
	c.line("  - {id: office-hours, name: {ja: 開庁時間}, days: [mon, tue, wed, thu, fri], from: \"08:30\", to: \"17:15\"}")
	c.line("  - {id: nights, name: {ja: 夜間処理}, days: [mon, tue, wed, thu, fri, sat, sun], from: \"22:00\", to: \"05:00\"}")
	c.line("")
}

func (c *city) communications() {
	c.line("communications:")
	for _, s := range sections {
		if s.mn {
			c.myNumber(s)
		}
		c.lgwan(s)
	}
	const it = "情報システム課"
	c.during("nights", "gc-backup-take", "stations: [mn-agent]", "gc-backup", "backup", "業務データの夜間取得", it)
	c.communication("cloud-printing", "stations: [cloud-print]", "mn-print", "general", "納税通知書等の一括印刷", it)
	c.communication("chukan-link", "stations: [mn-agent]", "chukan", "core", "特定個人情報の照会と提供", it)
	c.communication("mn-update", "stations: [mn-agent]", "wsus", "", "個人番号系端末の更新", it)
	c.communication("lg-update", "stations: [lg-agent]", "wsus", "", "LGWAN系端末の更新", it)
	c.communication("mail-in", "stations: [in-mail]", "lg-relay", "", "無害化済みテキストメールの中継", it)
	c.communication("mail-out", "stations: [lg-agent]", "in-relay", "", "外部宛メールの中継", it)
	c.communication("mail-cloud", "stations: [in-mail]", "cloud-mail, dns", "", "外部メールの送受信", it)
	c.communication("web-vdi", "stations: [in-vdi1, in-vdi2]", "proxy, dns", "", "画面転送からの閲覧", it)
	c.during("office-hours", "web-office", "segments: [in-office, in-branch]", "proxy, dns", "", "情報収集", it)
	c.line("# %d designated communications\n", c.count)
}

// myNumber writes what a section's terminals in the My Number zone need.
func (c *city) myNumber(s section) {
	for _, sys := range s.systems {
		h := named(standard, sys)
		c.communication(fmt.Sprintf("mn-%s-%s", s.id, sys), "groups: [mn-"+s.id+"]", sys, "core", h.ja+"の利用", s.ja)
		for _, st := range standard[:6] {
			if st.id == sys {
				c.communication(fmt.Sprintf("mn-%s-%s-standby", s.id, sys), "groups: [mn-"+s.id+"]", sys+"-standby", "core", h.ja+"（東京リージョン停止時）", s.ja)
			}
		}
	}
	c.communication("mn-"+s.id+"-print", "groups: [mn-"+s.id+"]", "mn-print", "general", "窓口帳票の印刷", s.ja)
	for i, h := range behindLGWAN[:8] { // one registered station, one service: never the whole section
		if h.id != "chukan" {
			c.communication(fmt.Sprintf("mn-%s-%s", s.id, h.id), fmt.Sprintf("stations: [mn-%s%d]", s.id, 1+i%perSection), h.id, "", h.ja+"との連携", s.ja)
		}
	}
}

// lgwan writes what a section's terminals in the LGWAN zone need.
func (c *city) lgwan(s section) {
	for _, h := range internal {
		c.communication(fmt.Sprintf("lg-%s-%s", s.id, h.id), "groups: [lg-"+s.id+"]", h.id, "", h.ja+"の利用", s.ja)
	}
	c.communication("lg-"+s.id+"-bunsho", "stations: [lg-"+s.id+"1]", "bunsho", "", "公文書の交換", s.ja)
	c.communication("lg-"+s.id+"-lgmail", "stations: [lg-"+s.id+"1, lg-"+s.id+"2]", "lgmail", "", "LGWAN内のメール", s.ja)
	c.communication("lg-"+s.id+"-jalert", "stations: [lg-"+s.id+"1]", "jalert", "", "緊急情報の受信", s.ja)
	vdi := "vdi"
	if strings.HasSuffix(s.ja, "支所") {
		vdi = "vdi-branch"
	}
	c.communication("lg-"+s.id+"-screen", "groups: [lg-"+s.id+"]", vdi, "", "インターネットの閲覧（画面転送）", s.ja)
	for n := 1; n <= perSection; n++ {
		station := fmt.Sprintf("stations: [lg-%s%d]", s.id, n)
		c.communication(fmt.Sprintf("lg-%s-gis%d", s.id, n), station, "gis", "", "所管図面の更新", s.ja)
		c.communication(fmt.Sprintf("lg-%s-keiyaku%d", s.id, n), station, "keiyaku", "", "契約データの登録", s.ja)
	}
}

func (c *city) communication(id, from, service, class, purpose, owner string) {
	c.during("", id, from, service, class, purpose, owner)
}

// during writes a communication that counts only in a window.
func (c *city) during(window, id, from, service, class, purpose, owner string) {
	c.count++
	k := ""
	if class != "" {
		k = ", class: " + class
	}
	if window != "" {
		k += ", window: " + window
	}
	c.line("  - {id: %s, from: {%s}, to: {services: [%s]}%s, purpose: %s, owner: %s, until: 2036-03-31}", id, from, service, k, purpose, owner)
}

func named(hosts []host, id string) host {
	for _, h := range hosts {
		if h.id == id {
			return h
		}
	}
	log.Fatalf("no system %q", id)
	return host{}
}

func (c *city) rest() {
	c.line(`lines:
  - {id: line1, segment: line1, rate: 1Gbit, name: {ja: ガバメントクラウド接続回線}}

classes:
  - {id: core, line: line1, guarantee: 500Mbit, ceiling: 1Gbit, priority: 0, name: {ja: 基幹業務}}
  - {id: general, line: line1, guarantee: 300Mbit, ceiling: 1Gbit, priority: 1, default: true, name: {ja: 一般業務}}
  - {id: backup, line: line1, guarantee: 100Mbit, ceiling: 800Mbit, priority: 3, name: {ja: バックアップ}}

tunnels:
  - {id: wg0, line: line1, listen: 51820}

regions:
  - {id: tokyo, tunnel: wg0, public-key: "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.131:51820", probe: 198.51.100.1, name: {ja: 東京リージョン}}
  - {id: osaka, tunnel: wg0, public-key: "b3Nha2EtcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.195:51820", probe: 198.51.100.65, name: {ja: 大阪リージョン}}

portals:`)
	for i, z := range []string{"my-number", "lgwan", "internet", "management"} {
		var reach []string
		for _, s := range sections {
			switch {
			case z == "my-number" && s.mn:
				reach = append(reach, "mn-"+s.id)
			case z == "lgwan" && s.lg:
				reach = append(reach, "lg-"+s.id)
			}
		}
		switch z {
		case "internet":
			reach = []string{"in-office", "in-branch"}
		case "management":
			reach = []string{"mg-net"}
		}
		c.line("  - {zone: %s, address: 198.18.%d.2, name: %s.portal.aoba.example, reach: [%s]}", z, 110+10*i, z, strings.Join(reach, ", "))
	}
	c.line("\ntransfers:")
	for _, r := range []string{"lgwan internet 50MB 7", "internet lgwan 50MB 7", "my-number lgwan 20MB 3", "lgwan my-number 20MB 3"} {
		f := strings.Fields(r)
		c.line("  - {from: %s, to: %s, approvals: [section-head], formats: [txt, csv, png, jpeg, docx, xlsx, pptx], max-size: %s, keep-days: %s}", f[0], f[1], f[2], f[3])
	}
}

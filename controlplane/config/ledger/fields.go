package ledger

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// Field is what a column of the ledger means.
type Field string

// Fields of a designated communication. From and To take names or ids of what the document holds, or addresses; beside
// addresses or stations a segment column only says where they lie.
const (
	ID          Field = "id"
	Name        Field = "name"
	NameEN      Field = "name-en"
	State       Field = "state"
	From        Field = "from"
	FromSegment Field = "from-segment"
	FromIP      Field = "from-ip"
	FromMAC     Field = "from-mac"
	To          Field = "to"
	ToSegment   Field = "to-segment"
	ToNetwork   Field = "to-network"
	ToIP        Field = "to-ip"
	ToMAC       Field = "to-mac"
	Protocol    Field = "protocol"
	Ports       Field = "ports"
	Class       Field = "class"
	Purpose     Field = "purpose"
	Basis       Field = "basis"
	Owner       Field = "owner"
	ApprovedBy  Field = "approved-by"
	ApprovedOn  Field = "approved-on"
	Since       Field = "since"
	Until       Field = "until"
	Review      Field = "review"
	Window      Field = "window"
	Ignore      Field = "ignore" // remarks and the like: read by people only
)

// Fields lists all fields in the order of an exported ledger.
var Fields = []Field{ID, Name, NameEN, State, From, FromSegment, FromIP, FromMAC, To, ToSegment, ToNetwork, ToIP, ToMAC, Protocol, Ports,
	Class, Purpose, Basis, Owner, ApprovedBy, ApprovedOn, Since, Until, Review, Window, Ignore}

// said is the field's name for a message.
func (f Field) said() string { return "field." + string(f) }

// titles are the usual titles of columns, in the form of titleKey. What is told by side and kind (送信元 + IP) is not here.
var titles = map[Field][]string{
	ID:         {"管理番号", "台帳番号", "整理番号", "番号", "通信番号", "項番", "no", "no.", "№", "id", "通信id", "管理no", "管理no.", "管理id", "recordid", "number", "recordno"},
	Name:       {"通信名称", "通信名", "名称", "件名", "特定通信名", "特定通信名称", "特定通信の名称", "通信の名称", "業務名", "システム名", "name", "communication", "title"},
	NameEN:     {"通信名称(英語)", "通信名称(英)", "英語名称", "英語名", "名称(英語)", "英名", "nameen", "name(en)", "englishname", "name(english)"},
	State:      {"状態", "状況", "ステータス", "運用状態", "運用状況", "区分状態", "有効/無効", "state", "status"},
	Protocol:   {"プロトコル", "プロトコル種別", "protocol", "proto", "通信プロトコル"},
	Ports:      {"ポート番号", "ポート", "宛先ポート", "宛先ポート番号", "送信先ポート番号", "プロトコル・ポート", "プロトコル/ポート", "プロトコル・ポート番号", "プロトコル/ポート番号", "プロトコルポート番号", "サービスポート", "port", "ports", "destinationport", "dstport", "destport", "protocol/port", "portnumber", "icmpタイプ"},
	Class:      {"帯域クラス", "帯域", "帯域区分", "通信クラス", "優先クラス", "優先度", "class", "bandwidthclass", "bandwidth"},
	Purpose:    {"利用目的", "目的", "通信目的", "通信の目的", "用途", "利用用途", "使用目的", "業務内容", "purpose"},
	Basis:      {"根拠", "根拠法令", "根拠法令等", "法的根拠", "法令根拠", "根拠規定", "契約・根拠", "根拠(法令・契約)", "法令・契約", "basis", "legalbasis", "legalorcontractualbasis"},
	Owner:      {"所管課", "所管", "主管課", "担当課", "管理所属", "所管所属", "所管部署", "所属", "担当部署", "部署", "課名", "owner", "ownersection", "section", "department"},
	ApprovedBy: {"承認者", "承認者名", "決裁者", "許可者", "承認", "approvedby", "approver"},
	ApprovedOn: {"承認日", "承認年月日", "決裁日", "許可日", "approvedon", "approvaldate", "dateofapproval"},
	Since:      {"開始日", "開始", "開始年月日", "利用開始日", "有効期間開始", "有効期間(開始)", "有効期間(自)", "有効期間開始日", "適用開始日", "開始日時", "自", "since", "validfrom", "start", "startdate"},
	Until:      {"終了日", "終了", "終了年月日", "利用終了日", "有効期限", "有効期間終了", "有効期間(終了)", "有効期間(至)", "有効期間終了日", "適用終了日", "終了日時", "期限", "至", "until", "validuntil", "validto", "end", "enddate", "expiry", "expires"},
	Review:     {"見直し期限", "見直し日", "見直日", "見直し予定日", "次回見直し", "次回見直し日", "棚卸期限", "棚卸日", "review", "reviewby", "reviewdate", "nextreview"},
	Window:     {"曜日・時間帯", "時間帯", "利用時間帯", "通信時間帯", "曜日時間帯", "曜日/時間帯", "利用時間", "通信時間", "window", "timewindow", "hours", "weeklywindow"},
	Ignore:     {"備考", "摘要", "メモ", "特記事項", "更新日", "更新履歴", "remarks", "remark", "notes", "note", "comment", "comments"},
}

// A title of an end of the communication is made of a side and a kind: 送信元 IPアドレス, source MAC, 宛先セグメント.
var (
	fromWords    = []string{"送信元", "発信元", "接続元", "通信元", "発側", "source", "src", "from", "initiator", "クライアント"}
	toWords      = []string{"宛先", "送信先", "接続先", "通信先", "着側", "あて先", "宛て先", "destination", "dest", "dst", "to", "サーバ"}
	macWords     = []string{"mac", "物理アドレス", "ハードウェアアドレス"}
	ipWords      = []string{"ip", "アドレス", "address"}
	networkWords = []string{"プレフィックス", "ネットワークアドレス", "宛先ネットワーク", "送信先ネットワーク", "接続先ネットワーク", "prefix", "network", "cidr"}
	segmentWords = []string{"セグメント", "vlan", "segment", "subnet", "サブネット"}
	portWords    = []string{"ポート", "port"}
	nameWords    = []string{"端末", "名", "ホスト", "機器", "サーバ", "グループ", "サービス", "システム", "station", "host", "name", "group", "service", "server", "terminal", "device", "client"}
)

var exactTitle = func() map[string]Field {
	m := map[string]Field{}
	for f, list := range titles {
		for _, t := range list {
			m[t] = f
		}
	}
	return m
}()

// titleKey brings a title to one form: full-width letters folded, small letters, no spaces.
func titleKey(s string) string {
	s = strings.ToLower(width.Fold.String(s))
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '_' || r == '※' || r == '*' {
			return -1
		}
		return r
	}, s)
	return s
}

// fieldOf guesses what a column with these titles means, the uppermost first; "" for no guess.
func fieldOf(path []string) Field {
	if len(path) == 0 {
		return ""
	}
	last, all := titleKey(path[len(path)-1]), titleKey(strings.Join(path, ""))
	for _, key := range []string{all, last} {
		if f, ok := exactTitle[key]; ok && !(len(path) > 1 && key == last && sideOf(all) != "" && (f == Name || f == ID)) {
			return f
		}
	}
	side := sideOf(all)
	if side == "" {
		return ""
	}
	has := func(words []string) bool { return contains(all, words) }
	switch {
	case has(portWords):
		if side == "to" {
			return Ports
		}
		return Ignore // source ports are no part of a designated communication
	case has(macWords):
		return Field(side + "-mac")
	case side == "to" && has(networkWords):
		return ToNetwork
	case has(segmentWords) || has(networkWords):
		return Field(side + "-segment")
	case has(ipWords):
		return Field(side + "-ip")
	}
	rest := all
	for _, w := range append(fromWords, toWords...) {
		rest = strings.ReplaceAll(rest, w, "")
	}
	if rest == "" || contains(all, nameWords) {
		return Field(side)
	}
	return ""
}

// sideOf tells which end a title speaks of.
func sideOf(key string) string {
	from, to := indexAny(key, fromWords), indexAny(key, toWords)
	switch {
	case from < 0 && to < 0:
		return ""
	case to < 0 || from >= 0 && from <= to:
		return "from"
	}
	return "to"
}

func indexAny(s string, words []string) int {
	best := -1
	for _, w := range words {
		if i := strings.Index(s, w); i >= 0 && (best < 0 || i < best) {
			if w != "to" || s == "to" || strings.HasPrefix(s, "to(") || strings.HasPrefix(s, "toip") || strings.HasPrefix(s, "tomac") || strings.HasPrefix(s, "tosegment") || strings.HasPrefix(s, "tonetwork") || strings.HasPrefix(s, "toname") {
				best = i
			}
		}
	}
	return best
}

func contains(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

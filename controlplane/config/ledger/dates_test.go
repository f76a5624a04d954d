package ledger

import "testing"

func TestMoments(t *testing.T) {
	for in, want := range map[string]string{
		"令和8年4月1日": "2026-04-01", "令和８年４月１日": "2026-04-01", "令和 8年 4月 1日": "2026-04-01", "令和元年5月1日": "2019-05-01", "R8.4.1": "2026-04-01",
		"r8/04/01": "2026-04-01", "Ｒ８．４．１": "2026-04-01", "R 8. 4. 1": "2026-04-01", "令8.4.1": "2026-04-01", "H31.4.30": "2019-04-30", "平成31年4月30日": "2019-04-30",
		"2026/4/1": "2026-04-01", "2026-04-01": "2026-04-01", "2026.4.1": "2026-04-01", "2026年4月1日": "2026-04-01", "20260401": "2026-04-01",
		"2026年4月1日（水）": "2026-04-01", "令和8年4月1日(水曜日)": "2026-04-01", "46113": "2026-04-01", "46113.5": "2026-04-01 12:00", "46113.71875": "2026-04-01 17:15",
		"2026/4/1 17:15": "2026-04-01 17:15", "2026/04/01　8:30": "2026-04-01 08:30", "2026-04-01T09:00": "2026-04-01 09:00", "令和8年4月1日 17時15分": "2026-04-01 17:15",
		"令和8年4月1日午後5時半": "2026-04-01 17:30", "令和8年4月1日（水）17時": "2026-04-01 17:00", "2026/4/1 24:00": "2026-04-02 00:00", "2026-04-01 00:00": "2026-04-01 00:00",
		"令和8年度末": "2027-03-31", "2026年度末": "2027-03-31", "R8.4.1 9:00": "2026-04-01 09:00", "2026/4/1 12:30:00": "2026-04-01 12:30",
		"": "", "-": "", "－": "", "無期限": "", "期限なし": "", "　": "",
	} {
		m, ok, fault := epoch1900.moment(Cell{Raw: in})
		if fault != nil {
			t.Errorf("%q: %s", in, fault.Say("en"))
		} else if m.String() != want || ok != (want != "") {
			t.Errorf("%q: got %q, want %q", in, m, want)
		}
	}
	if m, _, _ := epoch1904.moment(Cell{Raw: "44651"}); m.String() != "2026-04-01" {
		t.Errorf("1904: got %s", m)
	}
}

func TestMomentsThatAreNone(t *testing.T) {
	for in, code := range map[string]string{
		"平成32年3月31日": "date.era", "令和元年4月1日": "date.era", "令和8年2月30日": "date.day", "2026/2/29": "date.day", "20261301": "date.day", "4月1日": "date.form",
		"2026年4月": "date.form", "来月": "date.form", "2026年4月1日（月）": "date.weekday", "2026/4/1 25:00": "date.clock", "2026/4/1 8:99": "date.clock", "1999/4/1": "date.range",
		"昭和60年4月1日": "date.range", "36": "date.form", "2026/4/117:15": "date.form", "2026/4/1 17:15:30": "date.clock", "2026/4/1 0:00": "date.midnight", "2026/4/1 0:00:00": "date.midnight",
		"99999999": "date.form", "令和0年1月1日": "date.form", "2026/4/1 午後13時": "date.clock", "2026/4/1～2027/3/31": "date.form", "2026/13/1": "date.day",
	} {
		m, _, fault := epoch1900.moment(Cell{Raw: in})
		if fault == nil {
			t.Errorf("%q: read as %s, want %s", in, m, code)
		} else if fault.Code != code {
			t.Errorf("%q: got %s, want %s", in, fault.Code, code)
		}
	}
}

// typed is a cell that shows what somebody typed.
func typed(s string) Cell { return Cell{Text: s, Raw: s} }

func TestPorts(t *testing.T) {
	for _, x := range []struct{ protocol, ports, want string }{
		{"TCP", "443", "tcp/443"}, {"ＴＣＰ", "４４３", "tcp/443"}, {"tcp", "80、443", "tcp/80, tcp/443"}, {"TCP/UDP", "53", "tcp/53, udp/53"}, {"TCP、UDP", "53", "tcp/53, udp/53"},
		{"", "TCP/443", "tcp/443"}, {"", "443/tcp", "tcp/443"}, {"", "HTTPS(443)", "tcp/443"}, {"", "HTTPS（443）", "tcp/443"}, {"", "HTTPS", "tcp/443"}, {"HTTPS", "", "tcp/443"}, {"HTTPS", "TCP/443", "tcp/443"},
		{"TCP", "1024～2048", "tcp/1024-2048"}, {"TCP", "1024〜2048", "tcp/1024-2048"}, {"TCP", "1024-2048", "tcp/1024-2048"}, {"TCP", "1024から2048", "tcp/1024-2048"}, {"UDP", "5000 ～ 5010", "udp/5000-5010"},
		{"", "TCP/80\nTCP/443・UDP/443", "tcp/80, tcp/443, udp/443"}, {"", "DNS", "tcp/53, udp/53"}, {"UDP", "DNS", "udp/53"}, {"", "TCP:443", "tcp/443"}, {"", "TCP443", "tcp/443"}, {"", "443(TCP)", "tcp/443"},
		{"ICMP", "", "icmp/echo"}, {"ICMP", "-", "icmp/echo"}, {"", "ping", "icmp/echo"}, {"", "ICMP/8", "icmp/8"}, {"", "icmp6/128", "icmp6/128"}, {"ICMP", "タイプ8", "icmp/8"}, {"ESP", "", "esp"}, {"", "GRE", "gre"},
		{"TCP", "443, 443", "tcp/443"}, {"TCP", "80,443", "tcp/80, tcp/443"}, {"TCP", "22, 443", "tcp/22, tcp/443"}, {"TCP", "22、443", "tcp/22, tcp/443"}, {"TCP", "22,8443", "tcp/22, tcp/8443"}, {"SCTP", "3868", "sctp/3868"}, {"TCP・UDP", "88", "tcp/88, udp/88"}, {"TCP", "443番", "tcp/443"}, {"TCP", "https(8443)", "tcp/8443"},
		{"", "", ""}, {"-", "なし", ""},
	} {
		specs, own, fault := portsOf(typed(x.protocol), typed(x.ports))
		if fault != nil {
			t.Errorf("%q %q: %s", x.protocol, x.ports, fault.Say("en"))
		} else if got := portList(specs); got != x.want || own {
			t.Errorf("%q %q: got %q, want %q", x.protocol, x.ports, got, x.want)
		}
	}
	if specs, own, fault := portsOf(Cell{}, typed("既定（TCP/80、UDP/443）")); fault != nil || !own || portList(specs) != "tcp/80, udp/443" {
		t.Errorf("got %v %v %v", specs, own, fault)
	}
}

func TestPortsThatAreNone(t *testing.T) {
	for _, x := range []struct{ protocol, ports, code string }{
		{"", "443", "port.noprotocol"}, {"TCP", "", "port.none"}, {"TCP", "すべて", "port.all"}, {"TCP", "ANY", "port.all"}, {"", "TCP/ANY", "port.all"}, {"", "any", "port.all"}, {"TCP", "0-65535", "port.all"},
		{"TCP", "0", "port.refused"}, {"TCP", "65536", "port.refused"}, {"TCP", "2048-1024", "port.refused"}, {"TCP", "1,024", "port.thousands"}, {"TCP", "22,443", "port.thousands"}, {"TCP", "８，４４３", "port.thousands"}, {"", "既定（1,521）", "port.thousands"}, {"TCP", "WEB", "port.form"}, {"UDP", "HTTPS", "port.protocol"},
		{"TCP", "UDP/53", "port.protocol"}, {"HTTPS", "TCP/8080", "port.protocol"}, {"QUIC", "443", "port.noprotocol"}, {"TCP", "443以外", "port.form"}, {"ICMP", "3", "port.refused"}, {"TCP", "-443", "port.form"},
	} {
		specs, _, fault := portsOf(typed(x.protocol), typed(x.ports))
		if fault == nil {
			t.Errorf("%q %q: read as %s, want %s", x.protocol, x.ports, portList(specs), x.code)
		} else if fault.Code != x.code {
			t.Errorf("%q %q: got %s, want %s", x.protocol, x.ports, fault.Code, x.code)
		}
	}
}

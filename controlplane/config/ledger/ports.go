package ledger

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/width"

	"github.com/sekisho/sekisho/controlplane/config"
)

// wellKnown are names that ledgers use in place of numbers, with what they stand for.
var wellKnown = map[string][]string{
	"http": {"tcp/80"}, "https": {"tcp/443"}, "ssl": {"tcp/443"}, "tls": {"tcp/443"}, "smtp": {"tcp/25"}, "submission": {"tcp/587"}, "smtps": {"tcp/465"},
	"pop3": {"tcp/110"}, "pop3s": {"tcp/995"}, "imap": {"tcp/143"}, "imap4": {"tcp/143"}, "imaps": {"tcp/993"}, "ftp": {"tcp/21"}, "ssh": {"tcp/22"},
	"sftp": {"tcp/22"}, "scp": {"tcp/22"}, "telnet": {"tcp/23"}, "dns": {"tcp/53", "udp/53"}, "ntp": {"udp/123"}, "rdp": {"tcp/3389"}, "smb": {"tcp/445"},
	"cifs": {"tcp/445"}, "ldap": {"tcp/389"}, "ldaps": {"tcp/636"}, "kerberos": {"tcp/88", "udp/88"}, "snmp": {"udp/161"}, "snmptrap": {"udp/162"},
	"syslog": {"udp/514"}, "mysql": {"tcp/3306"}, "postgresql": {"tcp/5432"}, "oracle": {"tcp/1521"}, "sqlserver": {"tcp/1433"}, "ica": {"tcp/1494"},
	"lpr": {"tcp/515"}, "lpd": {"tcp/515"}, "ipp": {"tcp/631"}, "raw9100": {"tcp/9100"}, "wsus": {"tcp/8530"}, "vnc": {"tcp/5900"}, "pcoip": {"tcp/4172", "udp/4172"},
	"ping": {"icmp/echo"}, "icmpecho": {"icmp/echo"},
}

var (
	protocols = []string{"tcp", "udp", "sctp", "icmp6", "icmpv6", "icmp", "esp", "ah", "gre"}
	rangeForm = regexp.MustCompile(`^(\d{1,5})(?:(?:-|~|〜|―|から|to)(\d{1,5}))?(?:番|まで)?$`)
	named     = regexp.MustCompile(`^([a-z][a-z0-9]*)\((?:(tcp|udp|sctp)[/:]?)?(\d{1,5}(?:[-~]\d{1,5})?)\)$`)
	allPorts  = map[string]bool{"any": true, "all": true, "*": true, "全て": true, "すべて": true, "全ポート": true, "任意": true, "0-65535": true, "制限なし": true}
	// anyProtocol is what may stand before 全て.
	anyProtocol = regexp.MustCompile(`^(tcp|udp)[/:]`)
	// thousands is how a program shows 22443, and how a person lists 22 and 443.
	thousands = regexp.MustCompile(`^\d{1,3}(,\d{3})+$`)
	ownPorts  = regexp.MustCompile(`^(?:既定|default)(?:\((.*)\))?$`)
)

// protocolsOf reads the protocol column: tcp, udp and the like, or names that bring their port with them.
func protocolsOf(c Cell) (protos []string, specs []config.PortSpec, fault *Note) {
	for _, item := range items(c.Raw, "/・") {
		p := strings.NewReplacer("icmpv6", "icmp6", "icmpv4", "icmp").Replace(plain(item))
		switch {
		case absent(p):
		case slices.Contains(protocols, p):
			protos = append(protos, p)
		default:
			s, fault := portsItem(p, nil)
			if fault != nil {
				return nil, nil, fault
			}
			specs = append(specs, s...)
		}
	}
	return protos, specs, nil
}

// portsOf reads the two columns of protocol and ports together. own: the services' own ports are meant.
func portsOf(protocol, ports Cell) (specs []config.PortSpec, own bool, fault *Note) {
	whole := plain(ports.Raw)
	if g := ownPorts.FindStringSubmatch(whole); g != nil {
		specs, _, fault = portsOf(Cell{}, Cell{Raw: strings.Trim(g[1], "()")})
		return specs, true, fault
	}
	if s := strings.TrimSpace(width.Fold.String(ports.Raw)); thousands.MatchString(s) {
		if n := strings.ReplaceAll(s, ",", ""); len(n) <= 5 && atoi(n) <= math.MaxUint16 {
			return nil, false, bad("port.thousands", s)
		}
	}
	protos, named, fault := protocolsOf(protocol)
	if fault != nil {
		return nil, false, fault
	}
	add := func(list []config.PortSpec) {
		for _, s := range list {
			if !slices.Contains(specs, s) {
				specs = append(specs, s)
			}
		}
	}
	for _, item := range items(ports.Raw, "・") {
		p := strings.ReplaceAll(plain(item), "icmpv6", "icmp6")
		if absent(p) {
			continue
		}
		s, fault := portsItem(p, protos)
		if fault != nil {
			return nil, false, fault
		}
		for _, spec := range s {
			if len(protos) > 0 && !slices.Contains(protos, spec.Proto) {
				return nil, false, bad("port.protocol", item, spec.Proto, strings.Join(protos, ", "))
			}
		}
		add(s)
	}
	switch {
	case len(specs) == 0:
		add(named)
		for _, p := range protos { // protocols without ports; ICMP alone means ping
			switch p {
			case "esp", "ah", "gre":
				add([]config.PortSpec{{Proto: p}})
			case "icmp":
				add([]config.PortSpec{{Proto: "icmp"}})
			case "icmp6":
				add([]config.PortSpec{{Proto: "icmp6", Lo: config.EchoV6, Hi: config.EchoV6}})
			default:
				return nil, false, bad("port.none", p)
			}
		}
	case len(named) > 0: // HTTPS beside 443: they must say the same
		for _, s := range specs {
			if !s.Among(named) {
				return nil, false, bad("port.protocol", s.String(), s.String(), portList(named))
			}
		}
	}
	return specs, false, nil
}

// portsItem reads one item: 443, 1024-2048, tcp/443, 443/tcp, https(443), https, esp. It is plain.
func portsItem(p string, protos []string) ([]config.PortSpec, *Note) {
	if allPorts[anyProtocol.ReplaceAllString(p, "")] {
		return nil, bad("port.all", p)
	}
	if g := named.FindStringSubmatch(p); g != nil && wellKnown[g[1]] != nil {
		return protocolAndNumber(p, cmp.Or(g[2], protocolOf(g[1], protos)), g[3])
	}
	if known := wellKnown[p]; known != nil {
		var out []config.PortSpec
		for _, k := range known {
			var s config.PortSpec
			if err := s.UnmarshalText([]byte(k)); err == nil && (len(protos) == 0 || slices.Contains(protos, s.Proto)) {
				out = append(out, s)
			}
		}
		if len(out) == 0 {
			return nil, bad("port.protocol", p, strings.Join(known, ", "), strings.Join(protos, ", "))
		}
		return out, nil
	}
	for _, proto := range protocols {
		if rest, ok := strings.CutPrefix(p, proto); ok {
			rest = strings.Trim(rest, "/:() ")
			rest = strings.TrimPrefix(strings.TrimPrefix(rest, "タイプ"), "type")
			return protocolAndNumber(p, strings.ReplaceAll(proto, "icmpv6", "icmp6"), rest)
		}
		if rest, ok := strings.CutSuffix(strings.TrimRight(p, ")"), proto); ok && rest != "" {
			return protocolAndNumber(p, strings.ReplaceAll(proto, "icmpv6", "icmp6"), strings.Trim(rest, "/:("))
		}
	}
	if len(protos) == 0 {
		return nil, bad("port.noprotocol", p)
	}
	var out []config.PortSpec
	for _, proto := range protos {
		s, fault := protocolAndNumber(p, proto, strings.TrimPrefix(strings.TrimPrefix(p, "タイプ"), "type"))
		if fault != nil {
			return nil, fault
		}
		out = append(out, s...)
	}
	return out, nil
}

// protocolOf is the protocol that a name stands for, or the only one given beside it.
func protocolOf(name string, protos []string) string {
	if len(protos) == 1 {
		return protos[0]
	}
	proto, _, _ := strings.Cut(wellKnown[name][0], "/")
	return proto
}

func protocolAndNumber(item, proto, number string) ([]config.PortSpec, *Note) {
	text := proto
	switch {
	case number == "" && (proto == "tcp" || proto == "udp" || proto == "sctp"):
		return nil, bad("port.none", item)
	case number == "" && proto == "icmp" || proto == "icmp" && (number == "echo" || number == "エコー"):
		text = "icmp/echo"
	case number == "" && proto == "icmp6" || proto == "icmp6" && number == "echo":
		text = "icmp6/128"
	case number != "":
		g := rangeForm.FindStringSubmatch(number)
		if g == nil {
			return nil, bad("port.form", item)
		}
		text = proto + "/" + g[1]
		if g[2] != "" && g[2] != g[1] {
			text += "-" + g[2]
		}
		if proto == "icmp" || proto == "icmp6" {
			text = proto + "/" + number
		}
	}
	var s config.PortSpec
	if err := s.UnmarshalText([]byte(text)); err != nil {
		return nil, bad("port.refused", item, err.Error())
	}
	return []config.PortSpec{s}, nil
}

func portList(list []config.PortSpec) string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.String()
	}
	return strings.Join(out, ", ")
}

// absent tells a plain cell that says there is nothing.
func absent(p string) bool {
	return p == "" || p == "-" || p == "―" || p == "ー" || p == "—" || p == "なし" || p == "無し" || p == "無"
}

// items splits a cell that lists several things: lines, commas of both scripts, semicolons, and what else is given.
func items(s, more string) []string {
	s = width.Fold.String(s)
	var out []string
	for _, item := range strings.FieldsFunc(s, func(r rune) bool {
		return strings.ContainsRune("\n\r,、;､，；"+more, r)
	}) {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

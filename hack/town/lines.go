package town

import (
	"bytes"
	"fmt"
)

// secondLine is what makes the example's town one on two lines: the regions are reached by either, every class has its place on
// both, and the first is used as long as it stands. Each text stands once in the example.
var secondLine = []struct{ old, new string }{
	{"  - {id: wan0, zone: uplink, name: {ja: クラウド接続回線, en: Cloud line}}\n",
		"  - {id: wan0, zone: uplink, name: {ja: クラウド接続回線, en: Cloud line}}\n  - {id: wan1, zone: uplink, name: {ja: 予備回線, en: Second line}}\n"},
	{"  - {id: line1, zone: uplink, port: wan0, prefixes: [192.0.2.0/24], gate: [192.0.2.1]}\n",
		"  - {id: line-a, zone: uplink, port: wan0, prefixes: [192.0.2.0/24], gate: [192.0.2.1]}\n  - {id: line-b, zone: uplink, port: wan1, prefixes: [198.18.60.0/24], gate: [198.18.60.1]}\n"},
	{"  - {id: line1, segment: line1, rate: 50Mbit, name: {ja: クラウド接続回線, en: Cloud line}}\n",
		`  - {id: line-a, segment: line-a, rate: 50Mbit, kind: ip-vpn, contact: {ja: "閉域網 保守窓口", en: "Closed network, maintenance desk"}, name: {ja: クラウド接続回線, en: Cloud line}}
  - {id: line-b, segment: line-b, rate: 20Mbit, kind: ethernet, contact: {ja: "広域イーサネット 故障受付", en: "Wide-area Ethernet, fault desk"}, name: {ja: 予備回線, en: Second line}}
`},
	{"{id: core, line: line1, guarantee: 25Mbit, ceiling: 50Mbit, priority: 0,",
		"{id: core, lines: [{line: line-a, guarantee: 25Mbit}, {line: line-b, guarantee: 10Mbit}], ceiling: 50Mbit, priority: 0, latency: interactive,"},
	{"{id: general, line: line1, guarantee: 15Mbit, ceiling: 50Mbit, priority: 1,",
		"{id: general, lines: [{line: line-a, guarantee: 15Mbit}, {line: line-b, guarantee: 5Mbit}], ceiling: 50Mbit, priority: 1,"},
	{"{id: backup, line: line1, guarantee: 5Mbit, ceiling: 50Mbit, priority: 2,",
		"{id: backup, lines: [{line: line-a, guarantee: 5Mbit}, {line: line-b, guarantee: 1Mbit}], ceiling: 50Mbit, priority: 2, latency: bulk,"},
	{"  - {id: wg0, line: line1, listen: 51820}\n",
		"  - {id: wg0, line: line-a, listen: 51820}\n  - {id: wg1, line: line-b, listen: 51821}\n"},
	{`  - {id: tokyo, tunnel: wg0, public-key: "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.11:51820", probe: 198.51.100.1, name: {ja: 東京リージョン, en: Tokyo region}}
`, `  - id: tokyo
    name: {ja: 東京リージョン, en: Tokyo region}
    probe: 198.51.100.1
    ends:
      - {id: tokyo-a, tunnel: wg0, public-key: "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.11:51820"}
      - {id: tokyo-b, tunnel: wg1, public-key: "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "198.18.60.11:51821"}
`},
	{`  - {id: osaka, tunnel: wg0, public-key: "b3Nha2EtcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.12:51820", probe: 198.51.100.65, name: {ja: 大阪リージョン, en: Osaka region}}
`, `  - id: osaka
    name: {ja: 大阪リージョン, en: Osaka region}
    probe: 198.51.100.65
    ends:
      - {id: osaka-a, tunnel: wg0, public-key: "b3Nha2EtcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.12:51820"}
      - {id: osaka-b, tunnel: wg1, public-key: "b3Nha2EtcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "198.18.60.12:51821"}
`},
}

// onTwoLines puts the second line into the example configuration.
func onTwoLines(doc []byte) ([]byte, error) {
	for _, p := range secondLine {
		if n := bytes.Count(doc, []byte(p.old)); n != 1 {
			return nil, fmt.Errorf("example configuration of the lab: %q stands %d times in it, want once", p.old, n)
		}
		doc = bytes.Replace(doc, []byte(p.old), []byte(p.new), 1)
	}
	return doc, nil
}

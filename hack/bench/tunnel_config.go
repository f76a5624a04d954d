package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"text/template"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
)

// labShape is how the lab stands for one measurement.
type labShape struct {
	rate      uint64 // bit/s of each line, in both directions
	unlimited bool   // carriers have no limit of their own
	unshaped  bool   // nobody shapes
	both      bool   // a second line and a second region are there, too
	alone     bool   // the gate has no tunnels
}

// labClass is one of the four classes. Its services: UDP and TCP ports of the application server.
type labClass struct {
	name      string
	number    uint8
	share     float64 // guarantee, of the line
	priority  uint8
	tcp, udp  uint16
	isDefault bool
}

var labClasses = []labClass{
	{"core", 1, 0.40, 0, 8001, 6001, false},
	{"calls", 2, 0.10, 1, 8002, 6002, false},
	{"general", 3, 0.25, 2, 8003, 6003, true},
	{"backup", 4, 0.15, 3, 8004, 6004, false},
}

func (c labClass) guarantee(rate uint64) float64 { return float64(rate) * c.share }

var (
	labStation = netip.MustParseAddr("198.18.10.11")
	labOffice  = netip.MustParsePrefix("198.18.10.0/24")
	labApp     = netip.MustParseAddr("198.51.100.11")
)

const (
	labMTU = 1420
	labMAC = "02:53:4b:10:00:11"
)

// labDevices are the tunnels, one on each line.
var labDevices = []labDevice{{"wg0", 51820, "192.0.2.1"}, {"wg1", 51821, "192.0.2.129"}}

type labDevice struct {
	tunnel string
	listen uint16
	gate   string // outer address
}

// devices are those that the shape has.
func (s labShape) devices() []labDevice {
	if s.both {
		return labDevices
	}
	return labDevices[:1]
}

// The records are those of a small town; the class of a packet is that of its record, found by the packet core.
var labText = template.Must(template.New("").Parse(`version: 1
town: {ja: 測定, en: Measuring}
model: alpha
ports: [{id: mn0, zone: my-number}, {id: wan0, zone: uplink}, {id: wan1, zone: uplink}]
segments:
  - {id: office, zone: my-number, port: mn0, prefixes: [198.18.10.0/24], gate: [198.18.10.1], strict: true}
  - {id: line-a, zone: uplink, port: wan0, prefixes: [192.0.2.0/25], gate: [192.0.2.1]}
  - {id: line-b, zone: uplink, port: wan1, prefixes: [192.0.2.128/25], gate: [192.0.2.129]}
  - {id: tokyo, zone: my-number, tunnel: wg0, prefixes: [198.51.100.0/26], gate: [198.51.100.62]}
{{- if .Both}}
  - {id: osaka, zone: my-number, tunnel: wg0, prefixes: [198.51.100.64/26], gate: [198.51.100.126]}
{{- end}}
stations:
  - {id: pc, segment: office, mac: "` + labMAC + `", addresses: [198.18.10.11], owner: 住民課}
services:
{{- range .Classes}}
  - {id: {{.Name}}-app, segment: tokyo, addresses: [198.51.100.11], ports: [tcp/{{.TCP}}, udp/{{.UDP}}]}
{{- end}}
communications:
{{- range .Classes}}
  - {id: {{.Name}}-use, from: {stations: [pc]}, to: {services: [{{.Name}}-app]}, class: {{.Name}}, purpose: 測定, owner: 住民課}
{{- end}}
lines:
  - {id: line-a, segment: line-a, rate: {{.Rate}}Mbit, kind: ip-vpn}
{{- if .Both}}
  - {id: line-b, segment: line-b, rate: {{.Rate}}Mbit, kind: ip-vpn}
{{- end}}
classes:
{{- range .Classes}}
  - {id: {{.Name}}, guarantee: {{.Guarantee}}kbit, ceiling: {{$.Rate}}Mbit, priority: {{.Priority}}{{if .Default}}, default: true{{end}}, latency: {{.Latency}}}
{{- end}}
tunnels:
  - {id: wg0, line: line-a, listen: 51820, mtu: 1420}
{{- if .Both}}
  - {id: wg1, line: line-b, listen: 51821, mtu: 1420}
{{- end}}
regions:
  - id: tokyo
    probe: 198.51.100.1
    share: {{if .Both}}9{{else}}1{{end}}
    ends:
      - {id: tokyo-a, tunnel: wg0, public-key: "{{index .Keys 0}}", endpoint: "192.0.2.11:51820"}
{{- if .Both}}
      - {id: tokyo-b, tunnel: wg1, public-key: "{{index .Keys 1}}", endpoint: "192.0.2.139:51821"}
  - id: osaka
    probe: 198.51.100.65
    ends:
      - {id: osaka-a, tunnel: wg0, public-key: "{{index .Keys 2}}", endpoint: "192.0.2.12:51820"}
      - {id: osaka-b, tunnel: wg1, public-key: "{{index .Keys 3}}", endpoint: "192.0.2.140:51821"}
{{- end}}
`))

// labConfig is the town's configuration. keys: public keys of tokyo's two ends and of osaka's.
func labConfig(s labShape, keys []string) (*config.Config, error) {
	type class struct {
		Name, Latency string
		Guarantee     uint64
		Priority      uint8
		Default       bool
		TCP, UDP      uint16
	}
	values := struct {
		Rate    uint64
		Both    bool
		Keys    []string
		Classes []class
	}{s.rate / 1e6, s.both, keys, nil}
	for _, c := range labClasses {
		latency := bandwidth.Bulk
		if c.priority < 2 {
			latency = bandwidth.Interactive
		}
		guarantee := c.guarantee(s.rate)
		if s.both { // what is left for the smaller region must still hold all guarantees in proportion
			guarantee *= 0.9
		}
		values.Classes = append(values.Classes, class{c.name, latency, uint64(guarantee / 1e3), c.priority, c.isDefault, c.tcp, c.udp})
	}
	var b bytes.Buffer
	if err := labText.Execute(&b, values); err != nil {
		return nil, err
	}
	c, errs := config.Parse(b.Bytes())
	if err := errs.Err(); err != nil {
		return nil, fmt.Errorf("the configuration that is measured: %w", err)
	}
	return c, nil
}

package monitor

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/isolation"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Metrics serves everything in Prometheus' form: base units (bytes, seconds), `_total` on counters and on nothing else, the
// handshake as the time it happened. What the packet core counts comes from its pinned maps and survives restarts of every daemon;
// classes count from when their line was set up and records from when their policy came into force, so those begin again at
// zero, as Prometheus expects of counters. A rule of several records counts for each of them.
func (m *Monitor) Metrics() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("sekisho_"+name, help, labels, nil)
}

var (
	dataplaneUp    = desc("dataplane_up", "1 when the dataplane answered the last poll.")
	daemonUp       = desc("daemon_up", "1 when the daemon accepts on its socket.", "daemon")
	policyInfo     = desc("policy_info", "Policy in force; always 1.", "revision", "hash")
	policyEpoch    = desc("policy_epoch", "Number of the tables in force.")
	policyProven   = desc("policy_proven", "1 when control proved the very tables that are in force.")
	records        = desc("designated_communications", "Records in the configuration that are active.")
	droppedPackets = desc("dropped_packets_total", "Packets dropped, by reason.", "reason")
	droppedBytes   = desc("dropped_bytes_total", "Bytes of the packets dropped, by reason.", "reason")
	passedPackets  = desc("passed_packets_total", "Packets passed, by zones.", "from", "to")
	passedBytes    = desc("passed_bytes_total", "Bytes passed, by zones.", "from", "to")
	segmentPackets = desc("segment_passed_packets_total", "Packets passed, by segments; what a pair without a counter of its own passed is under empty names.", "from", "to")
	segmentBytes   = desc("segment_passed_bytes_total", "Bytes passed, by segments.", "from", "to")
	recordPackets  = desc("record_packets_total", "Packets passed by a record, since its policy came into force.", "record")
	recordBytes    = desc("record_bytes_total", "Bytes passed by a record, since its policy came into force.", "record")
	recordUsed     = desc("record_last_used_timestamp_seconds", "Last packet of the record's live flows; without any, when its last flow ended. Under the policy in force; records that let none pass are not there.", "record")
	flowsLive      = desc("flows_live", "Flows in the table.")
	flowsCapacity  = desc("flows_capacity", "Flows that the table holds at most.")
	flowsOpened    = desc("flows_opened_total", "Flows that were opened.")
	notices        = desc("notices_total", "What is no drop but worth telling, by kind.", "kind")
	failedFrames   = desc("redirect_failed_frames_total", "Frames that were allowed and came to nothing, by the device where, by kind (redirect, action, send) and the kernel's error.", "device", "kind", "error")
	failuresSeen   = desc("redirect_failures_watched", "1 when such failures are counted.")
	eventsLost     = desc("events_lost_total", "Sampled drop events that found no room.")
	portUp         = desc("port_up", "1 when the port is up.", "port", "zone")
	portNative     = desc("port_native_xdp", "1 when native XDP guards the port.", "port", "zone")
	deviceGuarded  = desc("device_guarded", "1 when every program that the device needs is attached; tunnel devices have no XDP.", "device")
	tunnelUp       = desc("tunnel_up", "1 when probe and handshake say that the region is reached by this end.", "device", "region", "end")
	tunnelRTT      = desc("tunnel_probe_rtt_seconds", "Round trip of the last probe inside the tunnel.", "device", "region", "end")
	handshake      = desc("tunnel_handshake_timestamp_seconds", "Time of the last handshake; 0 when there was none.", "device", "region", "end")
	classGuarantee = desc("class_guarantee_bytes_per_second", "Guaranteed rate of the bandwidth class.", "device", "class")
	classCeiling   = desc("class_ceiling_bytes_per_second", "Highest rate of the bandwidth class.", "device", "class")
	classRate      = desc("class_delivered_bytes_per_second", "Rate delivered over the last seconds.", "device", "class")
	classSent      = desc("class_sent_bytes_total", "Bytes sent in the bandwidth class.", "device", "class")
	classDrops     = desc("class_dropped_packets_total", "Packets dropped in the bandwidth class.", "device", "class")
	isolatedZone   = desc("zone_isolated", "1 when people have cut the zone off; of the uplink, every tunnel.", "zone")
	isolatedSince  = desc("zone_isolated_since_timestamp_seconds", "Time at which the zone was cut off; only while it is.", "zone")
	isolatedUntil  = desc("zone_isolated_until_timestamp_seconds", "Time at which the zone is given back by itself; only while that is planned.", "zone")
	scannerUp      = desc("antivirus_up", "1 when the antivirus program answers the broker and its signatures are young enough: otherwise no file passes.")
	scannerMade    = desc("antivirus_signatures_timestamp_seconds", "Time at which the virus signatures were made; only while the antivirus program answers.")
	scannerLevel   = desc("antivirus_alarm_level", "1, 2 and 3 when the virus signatures are over 1, 3 and 7 days old, 4 when no file passes.")
	auditEvents    = desc("audit_events_total", "Events recorded and sealed.")
	auditSealed    = desc("audit_checkpoint_timestamp_seconds", "Time of the newest checkpoint.")
)

// Describe makes the monitor a prometheus.Collector.
func (m *Monitor) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect gives the last poll.
func (m *Monitor) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	st, err := m.Status(context.Background())
	if err != nil {
		return
	}
	m.mu.RLock()
	now, s := m.now, m.last
	m.mu.RUnlock()
	gauge(dataplaneUp, truth(now.up))
	for _, d := range st.Daemons {
		gauge(daemonUp, truth(d.Up), d.Name)
	}
	gauge(policyProven, truth(st.Proven))
	gauge(records, float64(st.Records))
	if now.up {
		gauge(policyInfo, 1, st.Revision, st.Hash)
		gauge(policyEpoch, float64(st.Epoch))
	}
	for _, p := range st.Ports {
		gauge(portUp, truth(p.Up), p.ID, p.Zone.String())
		gauge(portNative, truth(p.Native), p.ID, p.Zone.String())
	}
	for _, p := range now.status.Ports {
		gauge(deviceGuarded, truth(p.Guarded()), p.Name)
	}
	for _, t := range now.status.Tunnels {
		gauge(tunnelUp, truth(t.Up), t.Device, t.Region, t.Peer)
		gauge(tunnelRTT, t.ProbeRTT/1000, t.Device, t.Region, t.Peer)
		at := 0.0
		if !t.Handshake.IsZero() {
			at = float64(t.Handshake.UnixMilli()) / 1000
		}
		gauge(handshake, at, t.Device, t.Region, t.Peer)
	}
	if a := st.Antivirus; a != nil {
		gauge(scannerUp, truth(a.Level != antivirus.Blocking))
		gauge(scannerLevel, float64(a.Level))
		if !a.Made.IsZero() {
			gauge(scannerMade, float64(a.Made.Unix()))
		}
	}
	if size, sealed := m.o.AuditSize(); !sealed.IsZero() {
		count(auditEvents, uint64(size))
		gauge(auditSealed, float64(sealed.UnixMilli())/1000)
	}
	if !s.up {
		return
	}
	for _, z := range isolation.Zones {
		i := slices.IndexFunc(st.Isolated, func(c web.Cut) bool { return c.Zone == z })
		gauge(isolatedZone, truth(i >= 0), z.String())
		if i < 0 {
			continue
		}
		gauge(isolatedSince, float64(st.Isolated[i].Since.Unix()), z.String())
		if until := st.Isolated[i].Until; !until.IsZero() {
			gauge(isolatedUntil, float64(until.Unix()), z.String())
		}
	}
	m.collectEvidence(gauge, count)
	for reason, c := range s.counters.Reasons {
		count(droppedPackets, c.Packets, reason)
		count(droppedBytes, c.Bytes, reason)
	}
	for pair, p := range s.counters.Pairs {
		count(passedPackets, p.Packets, pair[0].String(), pair[1].String())
		count(passedBytes, p.Bytes, pair[0].String(), pair[1].String())
	}
	for _, p := range s.counters.Segments {
		from, to := s.names.Segments[p.From].Name, s.names.Segments[p.To].Name
		if p.From|p.To != 0 && (from == "" || to == "") {
			continue // of a segment that is no more
		}
		count(segmentPackets, p.Packets, from, to)
		count(segmentBytes, p.Bytes, from, to)
	}
	for record, c := range s.byRecord() {
		count(recordPackets, c.Packets, record)
		count(recordBytes, c.Bytes, record)
	}
	for record, at := range s.lastUsed() {
		gauge(recordUsed, float64(at.Unix()), record)
	}
	gauge(flowsLive, float64(s.counters.Flows.Live))
	gauge(flowsCapacity, float64(s.counters.Flows.Capacity))
	for kind, c := range s.counters.Notices {
		count(notices, c.Packets, kind)
	}
	for _, f := range s.counters.Redirects {
		count(failedFrames, f.Frames, f.Device, f.Kind, f.Error)
	}
	gauge(failuresSeen, truth(s.counters.Unseen == ""))
	count(flowsOpened, s.counters.Opened)
	count(eventsLost, s.counters.EventsLost)
	for _, c := range s.status.Classes {
		gauge(classGuarantee, float64(c.Guarantee)/8, c.Device, c.Name)
		gauge(classCeiling, float64(c.Ceiling)/8, c.Device, c.Name)
		gauge(classRate, float64(c.Rate)/8, c.Device, c.Name)
		count(classSent, c.Bytes, c.Device, c.Name)
		count(classDrops, c.Drops, c.Device, c.Name)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// byRecord adds up what the rules of each record passed; records that passed nothing are not there.
func (s snapshot) byRecord() map[string]packet.Count {
	out := map[string]packet.Count{}
	for rule, n := range s.counters.Rules {
		if n.Packets == 0 {
			continue
		}
		for _, record := range s.names.Rules[rule] {
			c := out[record]
			out[record] = packet.Count{Packets: c.Packets + n.Packets, Bytes: c.Bytes + n.Bytes}
		}
	}
	return out
}

// lastUsed is when the last packet of each record passed.
func (s snapshot) lastUsed() map[string]time.Time {
	out := map[string]time.Time{}
	for rule, at := range s.counters.LastUsed {
		for _, record := range s.names.Rules[rule] {
			if at.After(out[record]) {
				out[record] = at
			}
		}
	}
	return out
}

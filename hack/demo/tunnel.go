package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sekisho/sekisho/hack/town"
)

const (
	payload   = 1200              // bytes of UDP payload in a packet of the flood
	onLine    = payload + 28 + 60 // what such a packet takes of the line: UDP and IPv4 header, WireGuard over IPv4
	guarantee = 25e6              // bit/s of the class core in the example configuration, outer packets counted
	lineRate  = 50e6              // bit/s
)

// tunnel is step 3.
func (j *job) tunnel(ctx context.Context) error {
	j.section(3, "The tunnels to the regions come up, keep their guarantees, and outlive a line")
	if err := j.must(ctx, "tunnels to both regions", "up, by probe and handshake", func() (string, bool, error) {
		var seen []string
		err := j.town.Poll(ctx, 30*time.Second, "the tunnels to come up", func(ctx context.Context) error {
			s, err := j.status(ctx)
			if err != nil {
				return err
			}
			seen = nil
			for _, t := range s.Tunnels {
				if !t.Up || t.Handshake.IsZero() {
					return fmt.Errorf("region %s is not up: %s", t.Region, t.Reason)
				}
				seen = append(seen, fmt.Sprintf("%s up, probe %.1f ms", t.Region, t.ProbeRTT))
			}
			if len(seen) < 2 {
				return fmt.Errorf("%d tunnels, want 2", len(seen))
			}
			return nil
		})
		return strings.Join(seen, "; "), err == nil, err
	}); err != nil {
		return err
	}
	j.check("mn-pc1 opens the resident records in the region", "passes", func() (string, bool, error) {
		body, err := j.fetch(ctx, "mn-pc1", "https://198.51.100.11/")
		return body, strings.HasPrefix(body, "region1-app answers 198.18.10.11:"), err
	})
	j.check("backup floods a 50 Mbit/s line, core business beside it", "core gets 95 % of its 25 Mbit/s, or more", func() (string, bool, error) {
		return j.guaranteed(ctx)
	})
	return j.failover(ctx)
}

// maxTries bounds how often a busy machine is asked again, 7 s each.
const maxTries = 15

// guaranteed floods the line and looks at what the class core got. A measurement in which the line was not full, or core
// could not even send what it is guaranteed, because this machine was busy with something else, says nothing about a
// guarantee and is made again.
func (j *job) guaranteed(ctx context.Context) (seen string, held bool, err error) {
	for try := 1; try <= maxTries; try++ {
		got, err := j.flood(ctx, 5*time.Second, []stream{
			{name: "core", host: "mn-pc1", port: 5201, offered: 30e6},
			{name: "general", host: "mn-pc1", port: 5202, offered: 20e6},
			{name: "backup", host: "mn-pc2", port: 5203, offered: 60e6},
		})
		if err != nil {
			return "", false, err
		}
		var words []string
		total := 0.0
		for _, g := range got {
			words = append(words, fmt.Sprintf("%s %.1f of %.1f", g.name, g.delivered/1e6, g.sent/1e6))
			total += g.delivered
		}
		seen = fmt.Sprintf("Mbit/s: %s; core at %.0f %% of its guarantee", strings.Join(words, ", "), got[0].delivered/guarantee*100)
		if total > 1.02*lineRate {
			return seen + "; the line gave more than it has", false, nil
		}
		if total >= 0.9*lineRate && got[0].sent >= guarantee {
			return seen, got[0].delivered >= 0.95*guarantee, nil
		}
		seen += fmt.Sprintf("; too little was sent to fill the line or core's part of it in %d tries", try)
	}
	return seen, false, nil
}

// stream is UDP at a steady rate from a host to the region's application server. Rates in bit/s as the line counts them.
type stream struct {
	name, host string
	port       uint16
	offered    float64 // asked of the sender
	sent       float64 // what the sender came to, on a busy machine less
	delivered  float64
}

// flood sends all streams at once and measures what arrives at the far end once the queues are full.
func (j *job) flood(ctx context.Context, measured time.Duration, streams []stream) ([]stream, error) {
	const settle = 1500 * time.Millisecond // bursts of the shaper and the queues have passed
	app, err := town.HostNamed("region1-app")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, settle+measured+200*time.Millisecond)
	defer cancel()
	var sinks, senders sync.WaitGroup
	sent, bytes := make([]atomic.Int64, len(streams)), make([]atomic.Int64, len(streams))
	errs := make([]error, len(streams))
	for i, s := range streams {
		to := netip.AddrPortFrom(app.Addr4(), s.port)
		var sink net.PacketConn
		if err := town.In(j.name.Netns(app.Name), func() (err error) {
			sink, err = net.ListenPacket("udp4", to.String())
			return err
		}); err != nil {
			return nil, err
		}
		defer sink.Close()
		sinks.Go(func() { drain(sink, &bytes[i]) })
		var source net.Conn
		if err := town.In(j.name.Netns(s.host), func() (err error) {
			source, err = net.Dial("udp4", to.String())
			return err
		}); err != nil {
			return nil, err
		}
		defer source.Close()
		senders.Go(func() { errs[i] = pace(ctx, source, s.offered/8/onLine, &sent[i]) })
	}
	mark := func() (marks [][2]float64) { // what was sent and what came, in bits on the line
		for i := range streams {
			marks = append(marks, [2]float64{float64(sent[i].Load()) / payload * onLine * 8, float64(bytes[i].Load()) / payload * onLine * 8})
		}
		return marks
	}
	if err := sleep(ctx, settle); err != nil {
		return nil, err
	}
	first, start := mark(), time.Now()
	if err := sleep(ctx, measured); err != nil {
		return nil, err
	}
	last, span := mark(), time.Since(start).Seconds()
	cancel()
	senders.Wait()
	for i := range streams {
		streams[i].sent, streams[i].delivered = (last[i][0]-first[i][0])/span, (last[i][1]-first[i][1])/span
	}
	return streams, errors.Join(errs...)
}

func drain(c net.PacketConn, n *atomic.Int64) {
	b := make([]byte, 2048)
	for {
		got, _, err := c.ReadFrom(b)
		if err != nil {
			return // closed
		}
		n.Add(int64(got))
	}
}

// pace sends packets at a steady rate (per second) until ctx ends. It catches up at most 20 ms, so that a stall of this
// machine is no burst, and counts in sent the bytes that it came to.
func pace(ctx context.Context, c net.Conn, rate float64, sent *atomic.Int64) error {
	b := make([]byte, payload)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	owed, last := 0.0, time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			owed = min(owed+rate*now.Sub(last).Seconds(), rate*0.02)
			for last = now; owed >= 1; owed-- {
				if _, err := c.Write(b); err != nil {
					return fmt.Errorf("flood: %w", err)
				}
				sent.Add(payload)
			}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

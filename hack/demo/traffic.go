package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sekisho/sekisho/hack/town"
)

// traffic is what people do while daemons die: mn-pc1 asks lg-asp a hundred times a second on one open connection, opens a
// new one twenty times a second, and sends into the tunnel.
type traffic struct {
	job    *job
	cancel context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex
	now    stretch
	counts tcpCounts // of both hosts at the beginning of the stretch
}

// stretch is the traffic of one span of time.
type stretch struct {
	asked, answered int // on the open connection
	tried, opened   int // new connections
	tcp             tcpCounts
	slowest         time.Duration
	trouble         error
}

func (s stretch) lossless() bool {
	return s.asked > 0 && s.answered == s.asked && s.tried > 0 && s.opened == s.tried && s.tcp.lost() == 0 && s.trouble == nil
}

func (s stretch) String() string {
	return fmt.Sprintf("%d of %d answered on an open connection, %d of %d new ones opened, %d packets lost, slowest %.0f ms",
		s.answered, s.asked, s.opened, s.tried, s.tcp.lost(), float64(s.slowest.Microseconds())/1000)
}

func (j *job) startTraffic(ctx context.Context) (*traffic, error) {
	asp, err := town.HostNamed("lg-asp")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	t := &traffic{job: j, cancel: cancel}
	browser := j.browser("mn-pc1", nil)
	browser.Timeout = 5 * time.Second
	url := "https://" + netip.AddrPortFrom(asp.Addr4(), 443).String() + "/"
	if _, err := ask(ctx, browser, url); err != nil {
		cancel()
		return nil, fmt.Errorf("traffic: %w", err)
	}
	if t.counts, err = j.tcpCounts(); err != nil {
		cancel()
		return nil, err
	}
	t.repeat(ctx, 10*time.Millisecond, func() {
		start := time.Now()
		fresh, err := ask(ctx, browser, url)
		if err == nil && fresh {
			err = errors.New("the open connection was lost")
		}
		t.note(ctx, start, err, func(s *stretch, ok int) { s.asked++; s.answered += ok })
	})
	turn := 0
	t.repeat(ctx, 50*time.Millisecond, func() {
		turn++
		start := time.Now()
		c, err := j.dial(ctx, "mn-pc1", netip.Addr{}, netip.AddrPortFrom(families[turn%2].of(asp), 443))
		t.note(ctx, start, err, func(s *stretch, ok int) { s.tried++; s.opened += ok })
		if err == nil {
			c.Close()
		}
	})
	t.repeat(ctx, 50*time.Millisecond, func() {
		// While the tunnel's daemon is dead this vanishes, or the kernel says so; what counts is watched on the uplink.
		_ = j.whisper("mn-pc1", "198.51.100.11:5201")
	})
	return t, nil
}

func (t *traffic) repeat(ctx context.Context, every time.Duration, act func()) {
	t.done.Go(func() {
		for sleep(ctx, every) == nil {
			act()
		}
	})
}

func (t *traffic) note(ctx context.Context, start time.Time, err error, count func(s *stretch, ok int)) {
	if ctx.Err() != nil {
		return // ended by us
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	ok := 1
	if err != nil {
		ok, t.now.trouble = 0, err
	}
	count(&t.now, ok)
	t.now.slowest = max(t.now.slowest, time.Since(start))
}

// next ends a stretch of traffic and begins another.
func (t *traffic) next() (stretch, error) {
	counts, err := t.job.tcpCounts()
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.now
	last.tcp = tcpCounts{counts.resent - t.counts.resent, counts.twice - t.counts.twice}
	t.now, t.counts = stretch{}, counts
	return last, errors.Join(err, last.trouble)
}

func (t *traffic) stop() {
	t.cancel()
	t.done.Wait()
}

// ask gets a page and tells whether that took a new connection.
func ask(ctx context.Context, c *http.Client, url string) (fresh bool, err error) {
	trace := &httptrace.ClientTrace{GotConn: func(g httptrace.GotConnInfo) { fresh = !g.Reused }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return fresh, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return fresh, errors.Join(err, resp.Body.Close())
}

// whisper sends one UDP packet from a host.
func (j *job) whisper(host, to string) error {
	return town.In(j.name.Netns(host), func() error {
		c, err := net.Dial("udp", to)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("resident 12345, in clear"))
		return err
	})
}

// tcpCounts are the figures that tell a lost packet from a late one. A host sends a segment again when no answer came in
// time; had the first one only been late, as on a busy machine, the other end says that it has it twice (RFC 2883).
type tcpCounts struct{ resent, twice uint64 }

func (c tcpCounts) lost() uint64 { return c.resent - min(c.resent, c.twice) }

// tcpCounts sums the figures of mn-pc1 and lg-asp since they exist.
func (j *job) tcpCounts() (tcpCounts, error) {
	var c tcpCounts
	for _, host := range []string{"mn-pc1", "lg-asp"} {
		if err := town.In(j.name.Netns(host), func() error {
			for _, f := range []struct {
				file, group, name string
				into              *uint64
			}{
				{"snmp", "Tcp:", "RetransSegs", &c.resent},
				{"netstat", "TcpExt:", "TCPDSACKRecv", &c.twice},
				{"netstat", "TcpExt:", "TCPDSACKOfoRecv", &c.twice},
			} {
				b, err := os.ReadFile("/proc/thread-self/net/" + f.file)
				if err != nil {
					return err
				}
				n, err := figure(string(b), f.group, f.name)
				if err != nil {
					return fmt.Errorf("/proc/net/%s: %w", f.file, err)
				}
				*f.into += n
			}
			return nil
		}); err != nil {
			return c, err
		}
	}
	return c, nil
}

// figure reads one from the pairs of lines, names and values, of /proc/net/snmp and netstat.
func figure(text, group, name string) (uint64, error) {
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != group {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i := range min(len(names), len(fields)) {
			if names[i] == name {
				return strconv.ParseUint(fields[i], 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("no %s %s", group, name)
}

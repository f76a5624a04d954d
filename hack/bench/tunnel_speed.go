package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// throughputFigures are of TCP from the station to the application, Mbit/s.
type throughputFigures struct {
	Gate  float64 `json:"gate"`
	Bare  float64 `json:"bare"`  // wireguard-go on a TUN of the same kind, behind a gate that only forwards
	Stock float64 `json:"stock"` // wireguard-go as it comes
}

const (
	speedRounds  = 3
	speedSeconds = 3
)

var bareApp = netip.MustParseAddr("203.0.113.11")

func (f *throughputFigures) measure(l *tunnelLab) error {
	var all [3][]float64
	for round := range speedRounds {
		for i, measure := range []func() (float64, error){
			func() (float64, error) { return l.iperf(labApp, labClasses[2].tcp) },
			func() (float64, error) { return l.bareSpeed(false) },
			func() (float64, error) { return l.bareSpeed(true) },
		} {
			if i == 2 && round > 0 {
				continue // it is there for comparison only
			}
			x, err := measure()
			if err != nil {
				return err
			}
			all[i] = append(all[i], x)
		}
	}
	f.Gate, f.Bare, f.Stock = median(all[0]), median(all[1]), median(all[2])
	return nil
}

// iperf measures one TCP connection.
func (l *tunnelLab) iperf(to netip.Addr, port uint16) (float64, error) {
	server := exec.Command("iperf3", "-s", "-1", "-p", strconv.Itoa(int(port)), "-B", to.String())
	if err := within(l.app, server.Start); err != nil {
		return 0, err
	}
	defer func() {
		server.Process.Kill()
		server.Wait()
	}()
	var out []byte
	err := patiently(5*time.Second, func() (err error) {
		var complaint bytes.Buffer
		c := exec.Command("iperf3", "-c", to.String(), "-p", strconv.Itoa(int(port)), "-t", strconv.Itoa(speedSeconds), "-O", "1", "-J")
		c.Stderr = &complaint
		err = within(l.station, func() error {
			out, err = c.Output()
			return err
		})
		if err != nil {
			err = fmt.Errorf("iperf3: %w: %s%s", err, complaint.Bytes(), out)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	var r struct {
		End struct {
			Received struct {
				Bits float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return 0, fmt.Errorf("read what iperf3 says: %w", err)
	}
	return r.End.Received.Bits / 1e6, nil
}

// bareSpeed measures a tunnel of nothing but wireguard-go, over a bridge like the gate's carrier.
func (l *tunnelLab) bareSpeed(stock bool) (float64, error) {
	var ends [2]*exec.Cmd
	keys := [2]wgtypes.Key{}
	for i := range keys {
		var err error
		if keys[i], err = wgtypes.GeneratePrivateKey(); err != nil {
			return 0, err
		}
	}
	defer func() {
		for _, e := range ends {
			if e != nil && e.Process != nil {
				e.Process.Kill()
				e.Wait()
			}
		}
	}()
	places := []struct {
		listen   uint16
		endpoint string
		route    string
	}{{51900, "192.0.3.2:51901", "203.0.113.0/24"}, {51901, "192.0.3.1:51900", "198.18.30.0/24"}}
	for i, p := range places {
		ns := l.plainGate
		if i == 1 {
			ns = l.tokyo
		}
		text, err := json.Marshal(bareEnd{Device: "bare0", Key: keys[i], Peer: keys[1-i].PublicKey(), Listen: p.listen, Endpoint: p.endpoint, Stock: stock})
		if err != nil {
			return 0, err
		}
		if ends[i], err = l.start(ns, bareCommand, string(text)); err != nil {
			return 0, err
		}
		if err := patiently(5*time.Second, func() error {
			return runAll(ns, "ip link set bare0 mtu "+strconv.Itoa(labMTU)+" up\nip route replace "+p.route+" dev bare0")
		}); err != nil {
			return 0, err
		}
	}
	return l.iperf(bareApp, 5201)
}

// failoverFigures are the longest seconds from a line that carries nothing any more, though its link is up, to the first packet on
// the other, and to the first bytes of a TCP connection that was there before.
type failoverFigures struct {
	First float64   `json:"first"`
	TCP   float64   `json:"tcp"`
	All   []float64 `json:"all"`
}

const failoverRounds = 2 // each makes the gate wait longer until it trusts the line again

func (f *failoverFigures) measure(l *tunnelLab) error {
	var tcp []float64
	for range failoverRounds {
		if err := l.home(); err != nil {
			return err
		}
		first, again, err := l.failover()
		if err != nil {
			return err
		}
		f.All, tcp = append(f.All, first), append(tcp, again)
	}
	f.First, f.TCP = slices.Max(f.All), slices.Max(tcp)
	return nil
}

// failover cuts the first line at its carrier, measures, and mends it.
func (l *tunnelLab) failover() (first, again float64, err error) {
	s, err := l.listen(labClasses[0].tcp)
	if err != nil {
		return 0, 0, err
	}
	defer s.Close()
	go func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c) //nolint:errcheck // ends with the connection
			}()
		}
	}()
	c, err := l.dial(labClasses[0].tcp)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	t, err := l.begin(offer{up: {"core": 1e6}})
	if err != nil {
		return 0, 0, err
	}
	time.Sleep(time.Second)
	if _, err := echoOver(c, time.Second); err != nil {
		return 0, 0, errors.Join(fmt.Errorf("before the cut: %w", err), t.end())
	}
	cut := time.Now()
	if err := runAll(l.carrier, "ip link set b0 nomaster"); err != nil {
		return 0, 0, errors.Join(err, t.end())
	}
	took, err := echoOver(c, 20*time.Second)
	time.Sleep(time.Until(cut.Add(3 * time.Second)))
	if err = errors.Join(err, t.end()); err == nil {
		again = took.Sub(cut).Seconds()
		first, err = firstAfter(t.traces[up]["core"], cut)
	}
	return first, again, errors.Join(err, runAll(l.carrier, "ip link set b0 master br0"))
}

// firstAfter finds the end of the gap that begins with the cut, s.
func firstAfter(tr *trace, cut time.Time) (float64, error) {
	const late = 50 * time.Millisecond // what was on its way arrives within
	for _, a := range tr.arrivals {
		if a.at > cut.Add(late).UnixNano() {
			return float64(a.at-cut.UnixNano()) / 1e9, nil
		}
	}
	return 0, errors.New("no packet came by the other line")
}

// echoOver sends a word and waits for it, and tells when it was there.
func echoOver(c net.Conn, limit time.Duration) (time.Time, error) {
	word := []byte("still there")
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return time.Time{}, err
	}
	if _, err := c.Write(word); err != nil {
		return time.Time{}, err
	}
	_, err := io.ReadFull(c, make([]byte, len(word)))
	return time.Now(), err
}

// home waits until the region is reached by its first line again.
func (l *tunnelLab) home() error {
	return patiently(40*time.Second, func() error {
		first, err := netlink.LinkByName(labDevices[0].tunnel)
		if err != nil {
			return err
		}
		routes, err := netlink.RouteGet(labApp.AsSlice())
		if err != nil || len(routes) != 1 || routes[0].LinkIndex != first.Attrs().Index {
			return fmt.Errorf("the first line does not carry the region again: routes %v: %w", routes, err)
		}
		return nil
	})
}

func (f failoverFigures) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "failover, s: %.2f; TCP went on after %.2f\n", f.All, f.TCP)
	return err
}

// idleFigures are fractions of a core while nothing but probes goes over two lines to two regions.
type idleFigures struct {
	With    float64 `json:"with"`    // the gate's process and its engines
	Without float64 `json:"without"` // the same gate without tunnels: it still watches ports, rules and routes
	Engines float64 `json:"engines"` // these alone
}

const (
	idleRounds = 3
	idleSpan   = 8 * time.Second
)

// tunnels is what they cost, with their engines: the difference.
func (f idleFigures) tunnels() float64 { return f.With - f.Without }

func (f *idleFigures) measure(l *tunnelLab) error {
	shape := l.shape
	var with, without, engines []float64
	for range idleRounds {
		for _, alone := range []bool{true, false} {
			shape.alone = alone
			if err := l.become(shape); err != nil {
				return err
			}
			time.Sleep(2 * time.Second)
			own, encrypting, err := idleCost()
			if err != nil {
				return err
			}
			if alone {
				without = append(without, own+encrypting)
			} else {
				with, engines = append(with, own+encrypting), append(engines, encrypting)
			}
		}
	}
	f.With, f.Without, f.Engines = median(with), median(without), median(engines)
	return nil
}

// idleCost is what the gate's process and its engines take, of a core.
func idleCost() (own, engines float64, err error) {
	ownBefore, enginesBefore, err := cpuTimes()
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	time.Sleep(idleSpan)
	ownAfter, enginesAfter, err := cpuTimes()
	span := float64(time.Since(begin))
	return float64(ownAfter-ownBefore) / span, float64(enginesAfter-enginesBefore) / span, err
}

// cpuTimes are those of this process and of the engines, which are its children under another user. Far ends are not the gate's.
func cpuTimes() (own, engines time.Duration, err error) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, 0, err
	}
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err != nil {
			continue // a process that has just ended
		}
		t, err := cpuTime(filepath.Dir(f))
		if err != nil {
			continue
		}
		switch {
		case filepath.Base(filepath.Dir(f)) == strconv.Itoa(os.Getpid()):
			own = t
		case strings.HasPrefix(string(line), "sekisho-dataplane\x00"):
			engines += t
		}
	}
	if own == 0 || engines == 0 {
		return 0, 0, errors.New("the gate's processes are not found")
	}
	return own, engines, nil
}

// cpuTime reads the time that a process's threads have run.
func cpuTime(process string) (time.Duration, error) {
	tasks, err := filepath.Glob(filepath.Join(process, "task/*/schedstat"))
	if err != nil {
		return 0, err
	}
	var all time.Duration
	for _, t := range tasks {
		b, err := os.ReadFile(t)
		if err != nil {
			continue
		}
		var ns int64
		if _, err := fmt.Sscan(string(b), &ns); err != nil {
			return 0, err
		}
		all += time.Duration(ns)
	}
	return all, nil
}

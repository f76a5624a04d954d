package region

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/bandwidth/lend"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
)

// The test binary is also the gate's engine and the far end.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == tunnel.ChildCommand {
		os.Exit(tunnel.Child(context.Background(), os.Stderr))
	}
	if len(os.Args) > 2 && os.Args[1] == "region" {
		again := make(chan os.Signal, 1)
		signal.Notify(again, syscall.SIGHUP)
		fmt.Fprintln(os.Stderr, Run(context.Background(), os.Args[2], Options{Again: again}))
		os.Exit(1)
	}
	os.Exit(netlab.Main(m))
}

const mbit = 1_000_000

// bench is a gate (the test's namespace) with two lines to a far end, behind which an application stands.
type bench struct {
	file   string // of the far end
	conf   map[string]any
	far    *exec.Cmd
	secret map[string]talk.Secret // by device
	run    uint64                 // the gate's
	peer   uint64                 // the far end's, as last heard
	seq    uint64
}

const station = "198.18.10.1"

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	netlab.New(t, "region")
	netlab.New(t, "app")
	netlab.Veth(t, "app", "eth0", "region", "app0")
	netlab.Run(t, "app", "ip", "addr", "add", "198.51.100.11/32", "dev", "eth0")
	netlab.Run(t, "region", "ip", "addr", "add", "198.51.100.12/32", "dev", "app0")
	netlab.Run(t, "app", "ip", "route", "add", "198.51.100.12/32", "dev", "eth0")
	netlab.Run(t, "app", "ip", "route", "add", "default", "via", "198.51.100.12")
	netlab.Run(t, "region", "ip", "route", "add", "198.51.100.11/32", "dev", "app0")
	netlab.Run(t, "region", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
	netlab.Run(t, "", "ip", "addr", "add", station+"/32", "dev", "lo")
	t.Cleanup(func() { netlab.Run(t, "", "ip", "addr", "del", station+"/32", "dev", "lo") })

	b := &bench{file: filepath.Join(dir, "region.yaml"), secret: map[string]talk.Secret{}, run: uint64(time.Now().UnixNano())}
	o := tunnel.Options{Control: filepath.Join(dir, "control"), Keys: filepath.Join(dir, "keys"), User: place.TunnelUser, Probe: 100 * time.Millisecond}
	s := tunnel.New(o)
	devices := []string{"wg0", "wg1"}
	public, err := s.PublicKeys(devices)
	if err != nil {
		t.Fatal(err)
	}
	var specs []tunnel.Spec
	var ends []map[string]any
	for i, d := range devices {
		netlab.Veth(t, "", fmt.Sprintf("wan%d", i), "region", fmt.Sprintf("eth%d", i))
		netlab.Run(t, "", "ip", "addr", "add", fmt.Sprintf("192.0.2.%d/28", 16*i+1), "dev", fmt.Sprintf("wan%d", i))
		netlab.Run(t, "region", "ip", "addr", "add", fmt.Sprintf("192.0.2.%d/28", 16*i+2), "dev", fmt.Sprintf("eth%d", i))
		key, err := wgtypes.GeneratePrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, map[string]any{"device": "far" + d[2:], "private-key": key.String(), "listen": 51820 + i,
			"gate": map[string]any{"device": d, "public-key": public[d], "allowed": []string{"198.51.100.62/32", "198.18.10.0/24"}}})
		specs = append(specs, tunnel.Spec{Device: d, Line: fmt.Sprintf("wan%d", i), Listen: uint16(51820 + i), MTU: 1420, Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.62")},
			Peers: []tunnel.Peer{{ID: fmt.Sprint("tokyo", i), Region: "tokyo", PublicKey: key.PublicKey().String(), Endpoint: netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:%d", 16*i+2, 51820+i)),
				Allowed: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/26")}, Probe: netip.MustParseAddrPort("198.51.100.1:7"), Plain: true}}})
		if b.secret[d], err = talk.Key(key, wgtypes.Key(parseKey(t, public[d]))); err != nil {
			t.Fatal(err)
		}
	}
	b.conf = map[string]any{"version": 1, "devices": ends, "addresses": []string{"198.51.100.1/32"}, "state": filepath.Join(dir, "state")}
	b.start(t)
	if err := s.Apply(t.Context(), specs); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		if err := tunnel.Remove(o, devices); err != nil {
			t.Error(err)
		}
	})
	netlab.Run(t, "", "ip", "route", "replace", "198.51.100.0/26", "dev", "wg0", "src", "198.51.100.62")
	for _, d := range devices {
		netlab.Run(t, "", "sysctl", "-q", "-w", "net.ipv4.conf."+d+".rp_filter=2")
	}
	for _, d := range devices {
		netlab.Until(t, 15*time.Second, "the far end answers on "+d, func() bool {
			r, err := b.ask(d, 0, &talk.Request{}, 300*time.Millisecond)
			return err == nil && r != nil
		})
	}
	return b
}

func parseKey(t *testing.T, s string) wgtypes.Key {
	t.Helper()
	k, err := wgtypes.ParseKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// start writes the far end's file and starts it.
func (b *bench) start(t *testing.T) {
	t.Helper()
	b.write(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b.far = netlab.Start(t, "region", exe, "region", b.file)
}

func (b *bench) write(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(b.conf)
	if err == nil {
		err = os.WriteFile(b.file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// head numbers the next message.
func (b *bench) head(class uint8) talk.Header {
	b.seq++
	return talk.Header{Class: class, Gate: b.run, Far: b.peer, Seq: b.seq}
}

// ask sends a message as the gate by one device and waits for the answer; nil: silence.
func (b *bench) ask(device string, class uint8, m talk.Message, limit time.Duration) (talk.Message, error) {
	h := b.head(class)
	switch m := m.(type) {
	case *talk.Request:
		m.Header = h
	case *talk.Part:
		m.Header = h
	case *talk.Psk:
		m.Header = h
	case *talk.Size:
		m.Header = h
	}
	raw, err := talk.Marshal(m, b.secret[device])
	if err != nil {
		return nil, err
	}
	answer, err := exchange(device, class, raw, limit)
	if answer == nil || err != nil {
		return nil, err
	}
	r, err := talk.Parse(answer, b.secret[device])
	if err == nil {
		b.peer = talk.HeaderOf(r).Far
	}
	return r, err
}

func exchange(device string, class uint8, raw []byte, limit time.Duration) ([]byte, error) {
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(198, 51, 100, 62)}, Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), device) }), err)
	}}
	c, err := d.Dial("udp4", fmt.Sprintf("198.51.100.1:%d", talk.Port+int(class)))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := c.Write(raw); err != nil {
		return nil, err
	}
	if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	buf := make([]byte, talk.MaxMessage)
	n, err := c.Read(buf)
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, unix.ECONNREFUSED) {
		return nil, nil
	}
	return buf[:n], err
}

func (b *bench) request(t *testing.T, device string, q talk.Request) *talk.Reply {
	t.Helper()
	m, err := b.ask(device, 0, &q, 2*time.Second)
	r, ok := m.(*talk.Reply)
	if err != nil || !ok {
		t.Fatalf("request on %s: %v, %v", device, m, err)
	}
	return r
}

func examplePlan(t *testing.T, edit func(*plan.Plan)) plan.Plan {
	t.Helper()
	tree := func(d string) plan.Device {
		return plan.Device{Device: d, Rate: 30 * mbit, Overhead: 60, Classes: []bandwidth.Class{
			{ID: 1, Name: "core", Guarantee: 10 * mbit, Ceiling: 50 * mbit, Latency: bandwidth.Interactive},
			{ID: 2, Name: "general", Guarantee: 6 * mbit, Ceiling: 50 * mbit, Priority: 1, Default: true},
			{ID: 3, Name: "backup", Guarantee: 2 * mbit, Ceiling: 50 * mbit, Priority: 2}}}
	}
	p := plan.Plan{Region: "tokyo", Devices: []plan.Device{tree("wg0"), tree("wg1")}, Matches: []plan.Match{
		{From: netip.MustParsePrefix("198.51.100.11/32"), To: netip.MustParsePrefix("198.18.10.0/24"), Proto: 17, Ports: plan.Ports{Lo: 443, Hi: 443}, Class: 1},
		{From: netip.MustParsePrefix("198.51.100.0/26"), To: netip.MustParsePrefix("198.18.10.0/24"), Proto: 17, Dest: plan.Ports{Lo: 514, Hi: 520}, Class: 3},
	}}
	if edit != nil {
		edit(&p)
	}
	if err := p.Seal(); err != nil {
		t.Fatal(err)
	}
	return p
}

// give sends a plan as the gate does.
func (b *bench) give(t *testing.T, p plan.Plan) {
	t.Helper()
	raw, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	parts := plan.Parts(raw)
	for i, x := range parts {
		if m, err := b.ask("wg0", 0, &talk.Part{Hash: p.Hash, Index: uint16(i), Count: uint16(len(parts)), Bytes: x}, 5*time.Second); err != nil || m == nil {
			t.Fatalf("part %d of %d: %v, %v", i, len(parts), m, err)
		}
	}
	if r := b.request(t, "wg0", talk.Request{Plan: p.Hash}); r.Plan != p.Hash {
		t.Fatalf("plan in force is %016x, want %016x", r.Plan, p.Hash)
	}
}

// packets sends some from the application (or, in namespace region, from the far end itself) to the station, by one flow.
func packets(t *testing.T, ns, from string, source, dest int) {
	t.Helper()
	netlab.Do(t, ns, func() error {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from), Port: source}) // unconnected: nobody listens there, and no refusal shall stop it
		if err != nil {
			return err
		}
		defer c.Close()
		for range 10 {
			if _, err := c.WriteTo(make([]byte, 500), &net.UDPAddr{IP: net.ParseIP(station), Port: dest}); err != nil {
				return err
			}
			time.Sleep(2 * time.Millisecond)
		}
		return nil
	})
}

// sent is how many packets each class of the far end's device has sent.
func sent(t *testing.T, device string) map[uint8]uint64 {
	t.Helper()
	out := map[uint8]uint64{}
	netlab.Do(t, "region", func() error {
		all, err := bandwidth.Read(bandwidth.Tree{Device: device, Classes: examplePlan(t, nil).Devices[0].Classes})
		for _, c := range all {
			out[c.ID] = c.Packets
		}
		return err
	})
	return out
}

// Each packet falls into the class that the plan says, by the line that the gate says.
func TestPlanDecidesClassAndWay(t *testing.T) {
	b := newBench(t)
	p := examplePlan(t, nil)
	b.give(t, p)
	cases := []struct {
		name         string
		ns, from     string
		source, dest int
		class        uint8
	}{
		{"service to station", "app", "198.51.100.11", 443, 5000, 1},
		{"flow that the region opens", "app", "198.51.100.11", 4000, 514, 3},
		{"end of the port range", "app", "198.51.100.11", 4001, 520, 3},
		{"no match", "app", "198.51.100.11", 4002, 521, 2},
		{"the first match decides", "app", "198.51.100.11", 443, 514, 1},
		{"from the far end itself", "region", "198.51.100.1", 4003, 514, 3},
		{"another service's port", "region", "198.51.100.1", 443, 5000, 2},
	}
	for _, way := range []struct{ use0, use1 uint64 }{{^uint64(0), 0}, {1<<0 | 1<<2 | 1<<3, 1 << 1}, {1 << 1, 1<<0 | 1<<2 | 1<<3}, {0, ^uint64(0)}} {
		b.request(t, "wg0", talk.Request{Use: way.use0})
		b.request(t, "wg1", talk.Request{Use: way.use1})
		for _, c := range cases {
			bit := uint64(1) << c.class
			if c.class == 2 { // no mark
				bit = 1
			}
			device := "far0"
			if way.use1&bit != 0 {
				device = "far1"
			}
			before := sent(t, device)
			packets(t, c.ns, c.from, c.source, c.dest)
			after := sent(t, device)
			for class := range after {
				if got := after[class] - before[class]; (got >= 10) != (class == c.class) {
					t.Errorf("%s, by %s: %d packets in class %d, want them in class %d", c.name, device, got, class, c.class)
				}
			}
		}
	}
	// The answer to a question leaves by the device on which it was asked, in the queue of its class.
	for _, d := range []string{"wg0", "wg1"} {
		far := "far" + d[2:]
		before := sent(t, far)
		for range 5 {
			if m, err := b.ask(d, 1, &talk.Request{}, time.Second); m == nil || err != nil {
				t.Fatalf("class 1 on %s: %v, %v", d, m, err)
			}
		}
		if got := sent(t, far)[1] - before[1]; got < 5 {
			t.Errorf("%d of 5 answers in class 1 of %s", got, far)
		}
	}
}

func TestGrantChangesTheRootAndEndsWithSilence(t *testing.T) {
	b := newBench(t)
	p := examplePlan(t, nil)
	b.give(t, p)
	root := func() string {
		return netlab.Run(t, "region", "tc", "class", "show", "dev", "far0", "classid", "1:1")
	}
	for _, c := range []struct {
		grant, want uint64
		tc          string
	}{{0, 30 * mbit, "rate 29700Kbit"}, {48 * mbit, 48 * mbit, "rate 47520Kbit"}, {4 * mbit, 4 * mbit, "rate 3960Kbit"}, {40 * mbit, 40 * mbit, "rate 39600Kbit"}} {
		b.request(t, "wg0", talk.Request{Grant: c.grant})
		if r := b.request(t, "wg0", talk.Request{Grant: c.grant}); r.Root != c.want || !strings.Contains(root(), c.tc) {
			t.Errorf("grant %d: root %d, want %d; the kernel has %s", c.grant, r.Root, c.want, root())
		}
	}
	if got := netlab.Run(t, "region", "tc", "class", "show", "dev", "far1", "classid", "1:1"); !strings.Contains(got, "rate 29700Kbit") {
		t.Errorf("the grant of one line changed the other: %s", got)
	}
	netlab.Until(t, lend.Forgotten+2*time.Second, "the region's own share after the gate fell silent", func() bool { return strings.Contains(root(), "rate 29700Kbit") })
}

// Nobody but the gate, in this run, with its newest word, changes anything.
func TestOnlyTheGatesNewestWordCounts(t *testing.T) {
	b := newBench(t)
	b.give(t, examplePlan(t, nil))
	b.request(t, "wg0", talk.Request{Grant: 20 * mbit})
	want := func(what string) {
		t.Helper()
		if r := b.request(t, "wg1", talk.Request{}); r.Root != 30*mbit {
			t.Errorf("%s: other device's root %d", what, r.Root)
		}
		got := netlab.Run(t, "region", "tc", "class", "show", "dev", "far0", "classid", "1:1")
		if !strings.Contains(got, "rate 19800Kbit") {
			t.Errorf("%s: %s", what, got)
		}
	}
	raw := func(edit func(*talk.Request), s talk.Secret) []byte {
		q := &talk.Request{Header: b.head(0), Grant: 50 * mbit}
		edit(q)
		m, err := talk.Marshal(q, s)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	late := raw(func(*talk.Request) {}, b.secret["wg0"])
	b.request(t, "wg0", talk.Request{Grant: 20 * mbit})
	cases := []struct {
		name     string
		msg      []byte
		class    uint8
		answered bool
	}{
		{"overtaken by a newer one", late, 0, true},
		{"the same again", late, 0, false},
		{"key of the other line", raw(func(*talk.Request) {}, b.secret["wg1"]), 0, false},
		{"to another run of the far end", raw(func(q *talk.Request) { q.Far++ }, b.secret["wg0"]), 0, true},
		{"for the port of another class", raw(func(*talk.Request) {}, b.secret["wg0"]), 2, false},
		{"garbage", []byte("ST\x01\x01 grant me all of it, please, and quickly, thank you very much"), 0, false},
		{"nothing", nil, 0, false},
	}
	for _, c := range cases {
		answer, err := exchange("wg0", c.class, c.msg, 300*time.Millisecond)
		if err != nil || (answer != nil) != c.answered {
			t.Errorf("%s: answer %x, %v", c.name, answer, err)
		}
		want(c.name)
	}
	bad := examplePlan(t, func(p *plan.Plan) { p.Devices[0].Classes[0].Guarantee = 29 * mbit })
	text, err := json.Marshal(bad)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range plan.Parts(text) {
		_, err = b.ask("wg0", 0, &talk.Part{Hash: bad.Hash, Index: uint16(i), Count: uint16(len(plan.Parts(text))), Bytes: x}, 300*time.Millisecond)
	}
	if r := b.request(t, "wg0", talk.Request{Grant: 20 * mbit}); err != nil || r.Plan == bad.Hash {
		t.Errorf("a plan whose guarantees exceed its rate: %v, in force: %v", err, r.Plan == bad.Hash)
	}
}

// The plan and the pre-shared key outlive the process, a new file changes what it changes, a bad one nothing.
func TestStateIsKeptAndFileReadAgain(t *testing.T) {
	b := newBench(t)
	p := examplePlan(t, nil)
	b.give(t, p)
	if m, err := b.ask("wg1", 0, &talk.Psk{ID: 7, Key: [32]byte{1, 2, 3}}, time.Second); err != nil || m.(*talk.PskAck).ID != 7 {
		t.Fatalf("pre-shared key: %v, %v", m, err)
	}
	state := b.conf["state"].(string)
	if fi, err := os.Stat(filepath.Join(state, pskFile)); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("kept key: %v, %v", fi, err)
	}
	if err := b.far.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = b.far.Wait() // killed
	b.start(t)
	netlab.Until(t, 30*time.Second, "the plan in force again", func() bool {
		m, err := b.ask("wg0", 0, &talk.Request{}, 300*time.Millisecond)
		r, ok := m.(*talk.Reply)
		return err == nil && ok && r.Plan == p.Hash && r.Root == 30*mbit
	})
	before := sent(t, "far0")[1]
	packets(t, "app", "198.51.100.11", 443, 5000)
	if got := sent(t, "far0")[1] - before; got < 10 {
		t.Errorf("%d packets in class 1 after the restart, want 10", got)
	}
	listens := func() string { return netlab.Run(t, "region", "ss", "-Hlun") }
	b.conf["addresses"] = []string{"198.51.100.1/32", "198.51.100.2/32"}
	b.write(t)
	hup := func() {
		if err := b.far.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	hup()
	netlab.Until(t, 5*time.Second, "the new address is listened on", func() bool { return strings.Contains(listens(), "198.51.100.2%far0:7000") })
	if got := sent(t, "far0")[1]; got < before+10 {
		t.Errorf("class 1 counts %d packets after the file was read again, %d before: the tree was made anew", got, before+10)
	}
	b.conf["addresses"] = []string{}
	b.conf["echo"] = 70000
	b.write(t)
	hup()
	time.Sleep(300 * time.Millisecond)
	if got := listens(); !strings.Contains(got, "198.51.100.2%far0:7000") {
		t.Errorf("a bad file changed what was in force:\n%s", got)
	}
	b.conf["addresses"], b.conf["echo"], b.conf["devices"] = []string{"198.51.100.1/32"}, 7, b.conf["devices"].([]map[string]any)[:1]
	b.write(t)
	hup()
	netlab.Until(t, 5*time.Second, "the second line is gone", func() bool {
		return !strings.Contains(listens(), "far1") && !strings.Contains(listens(), "198.51.100.2%")
	})
	if r := b.request(t, "wg0", talk.Request{}); r.Plan != p.Hash {
		t.Errorf("plan %016x after the second line went, want %016x", r.Plan, p.Hash)
	}
}

// As many matches as there may be fit into the kernel, and are gone with the plan.
func TestFullPlanFitsTheKernel(t *testing.T) {
	p := examplePlan(t, func(p *plan.Plan) {
		p.Matches = nil
		for i := range plan.MaxMatches {
			from := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
			p.Matches = append(p.Matches, plan.Match{From: netip.PrefixFrom(from, 32), To: netip.MustParsePrefix("198.18.10.0/24"), Proto: 6, Ports: plan.Ports{Lo: 443, Hi: 443}, Class: 1})
		}
		p.Matches[0].From, p.Matches[0].To = netip.MustParsePrefix("2001:db8:1::/48"), netip.MustParsePrefix("2001:db8:2::/47")
	})
	if err := classify(&p, []string{"wg0"}); err != nil {
		t.Fatal(err)
	}
	rules := netlab.Run(t, "", "nft", "list", "table", "inet", tableName)
	for _, want := range []string{"2001:db8:1::/48 . 2001:db8:2::/47 . tcp . 443 . 0-65535 : ", "198.18.15.255 . 198.18.10.0/24 . tcp . 443"} {
		if !strings.Contains(rules, want) {
			t.Errorf("want %q in the rules:\n%.3000s", want, rules)
		}
	}
	if err := classify(nil, nil); err != nil {
		t.Fatal(err)
	}
	if got := netlab.Run(t, "", "nft", "list", "tables"); slices.Contains(strings.Fields(got), tableName) {
		t.Errorf("rules are left: %s", got)
	}
}

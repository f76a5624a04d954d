package packet

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// serve answers TCP connections on a host's port until the test ends.
func (w *town) serve(name, port string) {
	w.t.Helper()
	cmd := w.in(name, "socat", "TCP6-LISTEN:"+port+",fork,reuseaddr,ipv6only=0", "SYSTEM:echo served")
	if err := cmd.Start(); err != nil {
		w.t.Fatalf("start socat on %s: %v", name, err)
	}
	w.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for range 200 {
		out, err := w.in(name, "ss", "-Hltn", "sport", "=", ":"+port).Output()
		if err == nil && len(out) > 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.t.Fatalf("%s does not listen on %s", name, port)
}

// reaches tells whether a host gets an answer from addr:port within a second.
func (w *town) reaches(from, addr, port string) bool {
	ctx, stop := context.WithTimeout(context.Background(), 4*time.Second)
	defer stop()
	target := "TCP:" + addr + ":" + port
	if strings.Contains(addr, ":") {
		target = "TCP6:[" + addr + "]:" + port
	}
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", w.hosts[from].ns, "socat", "-T1", "-u", target+",connect-timeout=0.9", "-")
	out, err := cmd.Output()
	return err == nil && strings.Contains(string(out), "served")
}

// passes is reaches with patience: a neighbour that just failed to be resolved is asked for again only after a second.
func (w *town) passes(from, addr, port string) bool {
	for range 5 {
		if w.reaches(from, addr, port) {
			return true
		}
	}
	return false
}

func (w *town) drops(c *Core, reason string) uint64 {
	w.t.Helper()
	n, err := c.Counters()
	if err != nil {
		w.t.Fatal(err)
	}
	return n.Reasons[reason].Packets
}

func TestOnlyWhatACellAllowsCrosses(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	w.serve("lgasp", "443")
	w.serve("lgasp", "80")
	w.serve("mnpc", "443")
	w.serve("inweb", "443")

	if w.reaches("mnpc", "198.18.21.11", "443") {
		t.Error("a connection crossed before any policy was loaded")
	}
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1}))
	for _, to := range []string{"198.18.21.11", "2001:db8:21::11"} {
		if !w.passes("mnpc", to, "443") {
			n, _ := c.Counters()
			t.Fatalf("mnpc does not reach %s:443, which a cell allows; counters %+v", to, n)
		}
	}
	for _, x := range []struct{ what, from, to, port, reason string }{
		{"another port", "mnpc", "198.18.21.11", "80", "no-cell"},
		{"another port over IPv6", "mnpc", "2001:db8:21::11", "80", "no-cell"},
		{"the opposite direction", "lgasp", "198.18.10.11", "443", "no-cell"},
		{"My Number to internet", "mnpc", "203.0.113.11", "443", "zone-pair"},
		{"internet to My Number over IPv6", "inweb", "2001:db8:10::11", "443", "zone-pair"},
	} {
		before := w.drops(c, x.reason)
		if w.reaches(x.from, x.to, x.port) {
			t.Errorf("%s: %s reached %s:%s", x.what, x.from, x.to, x.port)
		}
		if w.drops(c, x.reason) == before {
			t.Errorf("%s: counter %s did not rise", x.what, x.reason)
		}
	}

	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if !w.passes("mnpc", "198.18.21.11", "443") || w.reaches("mnpc", "203.0.113.11", "443") {
		t.Error("with every handle closed the same must pass and the same must not")
	}
}

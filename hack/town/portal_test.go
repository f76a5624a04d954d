package town_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/hack/town"
)

// A portal that was fully taken over is a process with the portal's user in the portal's namespace. It must find no way to
// anybody: not to hosts of other zones, not to those of its own, not to other portals, not to other daemons' sockets.
func TestATakenOverPortalFindsNoWay(t *testing.T) {
	n := fresh(t, "h")
	lab(t, "up", "--name", string(n))
	i := n.Instance()
	portals, err := town.Portals()
	if err != nil {
		t.Fatal(err)
	}
	var doors []string
	for _, h := range town.Hosts() {
		if err := town.In(n.Netns(h.Name), func() error {
			l, err := net.Listen("tcp", ":8443") // somebody is at home
			if err == nil {
				t.Cleanup(func() { l.Close() })
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, a := range h.Addrs {
			doors = append(doors, netip.AddrPortFrom(a.Addr(), 8443).String(), netip.AddrPortFrom(a.Addr(), 443).String())
		}
	}
	for _, z := range place.PortalZones {
		own := []string{}
		for _, p := range portals {
			if p.Zone != z {
				own = append(own, netip.AddrPortFrom(p.Addr, 443).String())
			}
		}
		sockets := []string{i.DataplaneSocket(), i.BrokerSocket(), i.AdminSocket()}
		for _, other := range place.PortalZones {
			if other != z {
				sockets = append(sockets, i.ControlSocket(other))
			}
		}
		reached := takenOver(t, n, z, attempts{TCP: append(own, doors...), Sockets: sockets})
		if len(reached) > 0 {
			t.Errorf("the portal of %s reaches %s", z, strings.Join(reached, ", "))
		}
		// The same process reaches what is its own: what it could not do is no fault of the test.
		if got := takenOver(t, n, z, attempts{TCP: []string{"127.0.0.1:443"}, Sockets: []string{i.ControlSocket(z)}}); len(got) != 2 {
			t.Errorf("the portal of %s reaches only %v of its own", z, got)
		}
	}
}

// attempts are addresses to try; the answer lists those that were reached.
type attempts struct{ TCP, Sockets []string }

func takenOver(t *testing.T, n town.Name, z anchors.Zone, a attempts) (reached []string) {
	t.Helper()
	cred, err := town.Credential(place.PortalUser(z))
	if err != nil {
		t.Fatal(err)
	}
	in, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestIntruder$")
	cmd.Env = []string{"TOWN_INTRUDER=" + string(in), "TOWN_OWNER=none"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	var out []byte
	if err := town.In(n.Instance().PortalNetns(z), func() error {
		out, err = cmd.Output()
		return err
	}); err != nil {
		t.Fatalf("intruder in the portal of %s: %v\n%s", z, err, out)
	}
	done := false
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "reached "); ok {
			reached = append(reached, name)
		}
		done = done || strings.HasPrefix(line, "tried all")
	}
	if !done {
		t.Fatalf("intruder in the portal of %s did not try all:\n%s", z, out)
	}
	return reached
}

// TestIntruder is the process that takenOver starts; by itself it does nothing.
func TestIntruder(t *testing.T) {
	text := os.Getenv("TOWN_INTRUDER")
	if text == "" {
		return
	}
	var a attempts
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, addr := range a.TCP {
		all.Go(func() {
			if c, err := net.DialTimeout("tcp", addr, 3*time.Second); err == nil {
				c.Close()
				fmt.Println("reached " + addr)
			}
		})
	}
	for _, path := range a.Sockets {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			// Whoever is let in gets an answer of the daemon's own, whatever it is; 403 is the door's.
			var answer any
			err := town.Get(ctx, path, "/sign-in", &answer)
			if err == nil || !strings.Contains(err.Error(), "403") && !strings.Contains(err.Error(), "connect:") {
				fmt.Println("reached " + path)
			}
		})
	}
	all.Wait()
	fmt.Println("tried all")
}

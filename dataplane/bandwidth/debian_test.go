//go:build vlandevices

package bandwidth_test

import (
	"strings"
	"testing"

	. "github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// The appliance's kernel has WireGuard and fair queues of its own: both are used, and each latency class has its target.
func TestFairQueuesOnTheAppliancesKernel(t *testing.T) {
	region := newTunnel(t)
	p := plan()
	p.Classes[0].Latency, p.Classes[2].Latency = Interactive, Bulk
	for range 2 { // made, then changed in place
		if err := Apply(p); err != nil {
			t.Fatal(err)
		}
	}
	for ns, dev := range map[string]string{"": "wg0", region: "wg0"} {
		if link := netlab.Run(t, ns, "ip", "-d", "link", "show", "dev", dev); !strings.Contains(link, "wireguard") {
			t.Errorf("device in %q is not the kernel's WireGuard: %s", ns, link)
		}
	}
	qdiscs := netlab.Run(t, "", "tc", "qdisc", "show", "dev", "wg0")
	for _, want := range []string{"parent 1:11 limit", "target 5ms interval 100ms", "target 15ms interval 150ms"} {
		if !strings.Contains(qdiscs, want) {
			t.Errorf("want %q in:\n%s", want, qdiscs)
		}
	}
	if n := strings.Count(qdiscs, "fq_codel"); n != 3 {
		t.Errorf("%d fair queues, want 3:\n%s", n, qdiscs)
	}
}

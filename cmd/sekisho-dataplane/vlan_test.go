package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// A tagged segment in which the gate has an address needs a VLAN device of the kernel: without 8021q the daemon says so and
// opens nothing; with it, the device has the address. A stranger under the device's name is no way for packets.
func TestTaggedSegments(t *testing.T) {
	doc := bytes.Replace(examples.Lab, []byte("port: in0,"), []byte("port: in0, vlan: 31,"), 1)
	w := newTownOf(t, doc)
	_, err := netlab.Try("", "ip", "link", "add", "link", "lo", "name", "probe0", "type", "vlan", "id", "7")
	able := err == nil
	if able {
		netlab.Run(t, "", "ip", "link", "del", "probe0")
	}
	refused := func(want string) {
		t.Helper()
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		cmd := exec.Command("timeout", "20", exe, "run", "--name", string(w.instance))
		cmd.Stderr = &said
		if err := cmd.Run(); err == nil || !strings.Contains(said.String(), want) || !strings.Contains(said.String(), "in-office") {
			t.Errorf("the daemon ended with %v and said %s; want it to refuse, with %q and the segment", err, said.String(), want)
		}
		for _, p := range []string{"mn0", "in0"} {
			expectNoForwarding(t, p)
		}
	}
	netlab.Run(t, "", "ip", "link", "add", "in0.31", "up", "type", "bridge")
	refused("in0.31 is not the device of VLAN 31")
	if out := netlab.Run(t, "", "ip", "-o", "link", "show", "in0.31"); strings.Contains(out, ",UP") {
		t.Errorf("a stranger under the VLAN device's name is up: %s", out)
	}
	netlab.Run(t, "", "ip", "link", "del", "in0.31")
	if !able {
		refused("8021q")
		return
	}
	w.start(t)
	netlab.Until(t, 5*time.Second, "the VLAN device with the gate's address", func() bool {
		out, _ := netlab.Try("", "ip", "-o", "addr", "show", "dev", "in0.31")
		return strings.Contains(out, "198.18.30.1/24")
	})
}

// expectNoForwarding: no packet of a station crosses while there is no accepted generation.
func expectNoForwarding(t *testing.T, port string) {
	t.Helper()
	if out, _ := netlab.Try("", "ip", "route", "show", "dev", port); out != "" {
		t.Errorf("routes by %s: %s", port, out)
	}
}

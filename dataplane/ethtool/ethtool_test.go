package ethtool

import (
	"os"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

func TestMain(m *testing.M) { os.Exit(netlab.Main(m)) }

// What is switched here is what the ethtool program shows, both ways.
func TestSetAndActive(t *testing.T) {
	netlab.New(t, "far")
	netlab.Veth(t, "", "a0", "far", "eth0")
	shown := map[string]string{TxVLAN: "tx-vlan-offload", RxVLAN: "rx-vlan-offload", RxGRO: "generic-receive-offload",
		TxChecksum: "tx-checksum-ip-generic", TxTCP: "tx-tcp-segmentation", TxGSO: "generic-segmentation-offload", TxSCTP: "tx-checksum-sctp"}
	for _, on := range []bool{true, false, true} {
		var names []string
		for name := range shown {
			names = append(names, name)
		}
		if err := Set("a0", on, names...); err != nil {
			t.Fatal(err)
		}
		active, err := Active("a0")
		if err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: ": on", false: ": off"}[on]
		out := netlab.Run(t, "", "ethtool", "-k", "a0")
		for name, long := range shown {
			if active[name] != on || !strings.Contains(out, long+want) {
				t.Errorf("%s set to %v: read %v; ethtool shows\n%s", name, on, active[name], out)
			}
		}
	}
	if err := Set("a0", false, "no-such-feature"); err != nil {
		t.Errorf("a feature that the kernel does not know is off already: %v", err)
	}
	if err := Set("a0", true, "no-such-feature"); err == nil || !strings.Contains(err.Error(), "no-such-feature") {
		t.Errorf("turned on a feature that does not exist: %v", err)
	}
	if _, err := Active("nobody0"); err == nil || !strings.Contains(err.Error(), "nobody0") {
		t.Errorf("features of a device that is not there: %v", err)
	}
}

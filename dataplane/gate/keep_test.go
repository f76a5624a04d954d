package gate

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/tunnel"
)

func TestGenerationIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dataplane", "generation.json")
	if g, err := readGeneration(path); g != nil || err != nil {
		t.Fatalf("before the first: %v, %v, want none", g, err)
	}
	first := Generation{Revision: "1",
		Tables:  packet.Tables{Revision: "1", Cells: []packet.Cell{{Src: 1, Dst: 2, Port: 3, Rule: 4}}},
		Routes:  []Route{{Prefix: netip.MustParsePrefix("198.18.0.0/15"), Unreachable: true}, {Prefix: netip.MustParsePrefix("2001:db8::/32"), Port: "mn0"}},
		Tunnels: []tunnel.Spec{{Device: "wg0", Peers: []tunnel.Peer{{ID: "tokyo", Endpoint: netip.MustParseAddrPort("192.0.2.11:51820")}}}}}
	commit, err := prepareGeneration(path, kept{Generation: first})
	if err != nil {
		t.Fatal(err)
	}
	if g, err := readGeneration(path); g != nil || err != nil {
		t.Fatalf("prepared but not committed: %v, %v, want none", g, err)
	}
	if err := commit(); err != nil {
		t.Fatal(err)
	}
	g, err := readGeneration(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&kept{Generation: first}, g, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{})); d != "" {
		t.Errorf("read back differs (-want +got):\n%s", d)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v: want 0600", fi, err)
	}
	// What is damaged is neither guessed at nor overwritten silently.
	if err := os.WriteFile(path, []byte(`{"revision": "1", "tab`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readGeneration(path); err == nil {
		t.Error("a damaged file was accepted")
	}
}

// Who compares generations by digest must see that a class goes another way.
func TestDigestCountsPreferences(t *testing.T) {
	one := Generation{Preferences: []tunnel.Preference{{Class: 4, Devices: []string{"wg0", "wg1"}}}}
	other := Generation{Preferences: []tunnel.Preference{{Class: 4, Devices: []string{"wg1", "wg0"}}}}
	if one.Digest() == other.Digest() || one.Digest() == (Generation{}).Digest() {
		t.Error("generations whose classes go other ways have one digest")
	}
}

// Peers that the next generation changes in any way are gone before the tables change.
func TestCommonKeepsOnlyWhatStays(t *testing.T) {
	peer := func(id, key, endpoint, allowed string) tunnel.Peer {
		return tunnel.Peer{ID: id, PublicKey: key, Endpoint: netip.MustParseAddrPort(endpoint), Allowed: []netip.Prefix{netip.MustParsePrefix(allowed)}}
	}
	now := []tunnel.Spec{{Device: "wg0", Peers: []tunnel.Peer{
		peer("stays", "A", "192.0.2.1:1", "198.51.100.0/26"),
		peer("moves", "B", "192.0.2.2:1", "198.51.100.64/26"),
		peer("shrinks", "C", "192.0.2.3:1", "198.51.100.128/26"),
		peer("goes", "D", "192.0.2.4:1", "198.51.100.192/26")}}, {Device: "wg1"}}
	next := []tunnel.Spec{{Device: "wg0", Peers: []tunnel.Peer{
		peer("stays", "A", "192.0.2.1:1", "198.51.100.0/26"),
		peer("moves", "B", "192.0.2.9:1", "198.51.100.64/26"),
		peer("shrinks", "C", "192.0.2.3:1", "198.51.100.128/27"),
		peer("comes", "E", "192.0.2.5:1", "198.51.100.192/26")}}}
	got := common(now, next)
	if len(got) != 1 || len(got[0].Peers) != 1 || got[0].Peers[0].ID != "stays" {
		t.Errorf("common part %+v: want wg0 with the peer that stays", got)
	}
	// The session outlives a change of what the peer may carry for others; the right goes first and comes last.
	a, b := peer("tokyo", "A", "192.0.2.1:1", "198.51.100.0/26"), peer("tokyo", "A", "192.0.2.1:1", "198.51.100.0/26")
	a.TakesOver, b.TakesOver = []string{"osaka", "nagoya"}, []string{"osaka", "sendai"}
	got = common([]tunnel.Spec{{Device: "wg0", Peers: []tunnel.Peer{a}}}, []tunnel.Spec{{Device: "wg0", Peers: []tunnel.Peer{b}}})
	if d := cmp.Diff([]string{"osaka"}, got[0].Peers[0].TakesOver); d != "" {
		t.Errorf("what the peer may carry in between differs (-want +got):\n%s", d)
	}
}

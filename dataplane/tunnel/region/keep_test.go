package region

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// The key that the gate gave counts until the operator enters another key or another gate.
func TestFileBeatsAKeyOfBefore(t *testing.T) {
	key := func() wgtypes.Key {
		k, err := wgtypes.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	entered, given, later := key(), key(), key()
	gate, other := key().String(), key().String()
	for _, c := range []struct {
		name string
		edit func(t *testing.T, e *end)
		want wgtypes.Key
	}{
		{"nothing changed", func(*testing.T, *end) {}, given},
		{"file gone", func(t *testing.T, e *end) { remove(t, e.Gate.Preshared) }, given},
		{"another gate", func(_ *testing.T, e *end) { e.Gate.PublicKey = other }, entered},
		{"another key", func(t *testing.T, e *end) { write(t, e.Gate.Preshared, later.String()) }, later},
		{"no key any more", func(_ *testing.T, e *end) { e.Gate.Preshared = "" }, wgtypes.Key{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			e := &end{Device: Device{Name: "wg0", Gate: Gate{Device: "wg0", PublicKey: gate, Preshared: filepath.Join(dir, "psk")}}}
			write(t, e.Gate.Preshared, entered.String()+"\n")
			f := &far{log: slog.New(slog.DiscardHandler), file: File{State: dir}}
			if got, err := f.preshared(e); err != nil || got != entered {
				t.Fatalf("at first %v, want the file's key", err)
			}
			if err := f.keepPsk(e, 7, given); err != nil {
				t.Fatal(err)
			}
			c.edit(t, e)
			again := &far{log: f.log, file: f.file, psks: loadPsks(dir, f.log)} // after a restart
			if got, err := again.preshared(e); err != nil || got != c.want {
				t.Errorf("another key than wanted is in use (%v)", err)
			}
			if _, told := again.psks["wg0"]; told != (c.want == given) {
				t.Errorf("the gate is told that its key is in force: %v", told)
			}
		})
	}
	e := &end{Device: Device{Name: "wg0", Gate: Gate{Device: "wg0", PublicKey: gate, Preshared: "/nowhere/psk"}}}
	if _, err := (&far{log: slog.New(slog.DiscardHandler)}).preshared(e); err == nil {
		t.Error("no key of the gate and no file: want an error, not a tunnel without a key")
	}
}

func TestGatesPrefixesLieElsewhere(t *testing.T) {
	netlab.Run(t, "", "ip", "addr", "add", "192.0.2.201/28", "dev", "lo")
	t.Cleanup(func() { netlab.Run(t, "", "ip", "addr", "del", "192.0.2.201/28", "dev", "lo") })
	file := func(name, prefix string) File {
		return File{Devices: []Device{{Name: name, Gate: Gate{Allowed: []netip.Prefix{netip.MustParsePrefix(prefix)}}}}}
	}
	for _, c := range []struct {
		name, prefix string
		refused      bool
	}{{"wg0", "192.0.2.192/28", true}, {"wg0", "128.0.0.0/1", true}, {"wg0", "198.18.10.0/24", false}, {"lo", "192.0.2.192/28", false}} {
		if err := elsewhere(file(c.name, c.prefix)); (err != nil) != c.refused {
			t.Errorf("%s into %s: %v, refused: want %v", c.prefix, c.name, err, c.refused)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

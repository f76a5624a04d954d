package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

func TestRegionVerbs(t *testing.T) {
	gate, err := wgtypes.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	text := `{version: 1, devices: [{device: wg0, private-key-file: "` + dir + `/wg0.key", gate: {public-key: "` + gate.PublicKey().String() + `", allowed: [198.18.10.0/24]}}]}`
	if err := os.WriteFile(good, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bad, []byte(strings.Replace(text, "198.18.10.0/24", "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		says string // on stderr
	}{
		{[]string{"region", "check", "--config", good}, 0, ""},
		{[]string{"region", "check", "--config", bad}, 1, "no allowed prefixes"},
		{[]string{"region", "key", "--config", good}, 0, ""},
		{[]string{"region", "--unit"}, 0, ""},
		{[]string{"region", "check"}, 2, "usage"},
		{[]string{"region", "sing", "--config", good}, 2, "usage"},
	} {
		var stderr bytes.Buffer
		if code := dispatch(t.Context(), c.args, &stderr); code != c.code || !strings.Contains(stderr.String(), c.says) {
			t.Errorf("%v: code %d, %s; want %d and %q", c.args, code, &stderr, c.code, c.says)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "wg0.key")); err != nil {
		t.Errorf("region key made none: %v", err)
	}
	for _, want := range []string{"ExecStart=/usr/local/bin/sekisho-dataplane region --config", "DynamicUser=yes", "CAP_NET_ADMIN"} {
		if !strings.Contains(regionUnit, want) {
			t.Errorf("the unit lacks %q", want)
		}
	}
}

package region

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

func TestRead(t *testing.T) {
	key, err := wgtypes.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	other, err := wgtypes.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	gate := `{public-key: "` + other.PublicKey().String() + `", allowed: [198.18.10.0/24]}`
	own := `{public-key: "` + key.PublicKey().String() + `", allowed: [198.18.10.0/24]}`
	private := `private-key: "` + key.String() + `"`
	cases := []struct {
		name, text string
		want       []string // all of them in the error; none: no error
	}{
		{"one device, as before", `{` + private + `, listen: 51820, gate: ` + gate + `}`, nil},
		{"version 1", `{version: 1, devices: [{device: wg0, ` + private + `, gate: ` + gate + `}, {device: wg1, private-key-file: /nowhere, listen: 1, gate: ` + gate + `}]}`, nil},
		{"both forms", `{version: 1, ` + private + `, devices: [{device: wg0, ` + private + `, gate: ` + gate + `}]}`, []string{"within devices"}},
		{"a newer version", `{version: 2, devices: [{device: wg0, ` + private + `, gate: ` + gate + `}]}`, []string{"version 2"}},
		{"nothing", `{version: 1}`, []string{"0 devices"}},
		{"a word that is none", `{version: 1, devises: []}`, []string{"devises"}},
		{"own key as the gate's", `{version: 1, devices: [{device: wg0, ` + private + `, gate: ` + own + `}]}`, []string{"the device's own"}},
		{"everything into the tunnel", `{version: 1, devices: [{device: wg0, ` + private + `, gate: ` + strings.Replace(gate, "198.18.10.0/24", `0.0.0.0/0, "::/0"`, 1) + `}]}`, []string{"0.0.0.0/0 would lead everything", "::/0 would lead everything"}},
		{"everything by a route", `{version: 1, routes: [0.0.0.0/0], devices: [{device: wg0, ` + private + `, gate: ` + gate + `}]}`, []string{"0.0.0.0/0 would lead everything"}},
		{"the gate's endpoint into the tunnel", `{version: 1, devices: [{device: wg0, ` + private + `, gate: ` + strings.Replace(gate, "{", `{endpoint: "198.18.10.1:51820", `, 1) + `}]}`, []string{"covers the gate's endpoint"}},
		{"its own address into the tunnel", `{version: 1, addresses: [198.18.10.7/32], devices: [{device: wg0, ` + private + `, gate: ` + gate + `}]}`, []string{"covers 198.18.10.7, which is this machine's own"}},
		{"all errors at once", `{version: 1, devices: [{device: wg0, listen: 5, gate: {public-key: x}}, {device: wg0, private-key: y, listen: 5, mtu: 9, gate: ` + gate + `}, {device: "a/b", ` + private + `, gate: ` + gate + `}]}`,
			[]string{"twice", "port 5", "mtu 9", `public-key of the gate "x"`, "no allowed", "private-key", "a/b", "far end on wg0 already"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "region.yaml")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := Read(path)
			if c.want == nil {
				if err != nil || f.Devices[0].Name != "wg0" || f.Devices[0].MTU != 1420 || f.Devices[0].Gate.Device != "wg0" || len(f.Routes) != 1 || f.Echo != 7 {
					t.Errorf("got %+v, %v", f, err)
				}
				return
			}
			for _, w := range c.want {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("got %v, want %q in it", err, w)
				}
			}
		})
	}
}

// The file holds keys: what is told of a slip in it, to the terminal and to the journal, must not show them.
func TestErrorsShowNoKeys(t *testing.T) {
	key, err := wgtypes.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"wrong indentation":   "version: 1\ndevices:\n- device: wg0\n  private-key: " + key.String() + "\n listen: 5\n",
		"wrong type after it": "version: 1\ndevices:\n- private-key: " + key.String() + "\n  listen: many\n",
		"no space":            "{version: 1, devices: [{private-key:" + key.String() + "}]}",
		"word that is none":   "version: 1\nprivat-key: " + key.String() + "\n",
		"list for a word":     "version: 1\ndevices:\n- private-key: [" + key.String() + "]\n",
		"unclosed quote":      "version: 1\ndevices:\n- private-key: \"" + key.String() + "\n",
		"key as a number":     "version: 1\ndevices:\n- {listen: " + key.String() + "}\n",
		"key as an address":   "version: 1\naddresses: [\"" + key.String() + "\"]\n",
		"key twice":           "version: 1\nprivate-key: " + key.String() + "\nprivate-key: " + key.String() + "\n",
		"key as a key":        "{" + key.String() + ": 1, " + key.String() + ": 2}",
	} {
		path := filepath.Join(t.TempDir(), "region.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || strings.Contains(err.Error(), key.String()[:6]) {
			t.Errorf("%s: %v; want an error without the key", name, err)
		}
	}
}

func TestKeysAreMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "wg0.key")
	f := File{Devices: []Device{{Name: "wg0", PrivateKeyFile: path}}}
	a, err := f.PublicKeys()
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.PublicKeys()
	if err != nil || a["wg0"] == "" || a["wg0"] != b["wg0"] {
		t.Errorf("%v and then %v, %v", a, b, err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", fi, err)
	}
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.PublicKeys(); err == nil {
		t.Error("a damaged key was replaced in silence: the gate would refuse us without a word")
	}
}

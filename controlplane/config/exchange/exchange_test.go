package exchange

import (
	"bytes"
	"image/png"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/dataplane/tunnel/region"
)

const (
	one   = "bmV3LXRva3lvLXJlZ2lvbi1rZXktMDEyMzQ1Njc4OTA="
	other = "bmV3LXNlY29uZC1yZWdpb24ta2V5LTAxMjM0NTY3OCE="
)

func keys(t *testing.T, of, name string, byDevice map[string]string) Keys {
	t.Helper()
	k, err := New(of, name, byDevice)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	k := keys(t, Gate, "岬町", map[string]string{"wg1": other, "wg0": one})
	got, err := Parse(k.Text())
	if err != nil || !reflect.DeepEqual(got, k) {
		t.Fatalf("got %+v, %v; want %+v", got, err, k)
	}
	if !strings.Contains(string(k.Text()), k.Fingerprint()) || len(k.Fingerprint()) != 24 {
		t.Errorf("got fingerprint %q in\n%s", k.Fingerprint(), k.Text())
	}
	changed := keys(t, Gate, "岬町", map[string]string{"wg1": one, "wg0": other})
	if changed.Fingerprint() == k.Fingerprint() {
		t.Error("keys that are exchanged have the same fingerprint")
	}
}

func TestPlainLinesAreRead(t *testing.T) {
	got, err := Parse([]byte("# tokyo\nwg0 " + one + "\nwg1 " + other + "\n"))
	want := Keys{Version: 1, Of: Region, Keys: []Key{{"wg0", one}, {"wg1", other}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	whole := string(keys(t, Region, "tokyo", map[string]string{"wg0": one}).Text())
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "0 keys"},
		{"another version", strings.Replace(whole, "sekisho-keys: 1", "sekisho-keys: 2", 1), "reads version 1"},
		{"unknown key", whole + "secret: 1\n", "secret"},
		{"of nobody", strings.Replace(whole, "of: region", "of: stranger", 1), "want gate or region"},
		{"short key", strings.Replace(whole, one, one[:40], 1), "32 bytes in base64"},
		{"device that is none", strings.Replace(whole, "device: wg0", "device: ../x", 1), "want a device's name"},
		{"device twice", "wg0 " + one + "\nwg0 " + other, "each once"},
		{"something else", "hello there everybody", "want a document"},
		{"too long", strings.Repeat("#\n", MaxBytes), "at most"},
	} {
		if _, err := Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("sekisho-keys: 1\nof: region\nname: tokyo\nkeys: [{device: wg0, public-key: \"" + one + "\"}]\n"))
	f.Add([]byte("wg0 " + one))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(k.Text())
		if err != nil || k.Fingerprint() != again.Fingerprint() {
			t.Fatalf("%q was read, and what was written of it gives %v", b, err)
		}
	})
}

func TestPutKeepsEverythingElse(t *testing.T) {
	k := keys(t, Region, "tokyo", map[string]string{"wg0": one})
	out, changes, err := Put(examples.Lines, k, "", "")
	if err != nil || len(changes) != 1 || changes[0].End != "tokyo-a" {
		t.Fatalf("got %+v, %v", changes, err)
	}
	was, is := bytes.Split(examples.Lines, []byte("\n")), bytes.Split(out, []byte("\n"))
	for i := range was {
		if bytes.Equal(was[i], is[i]) == (i+1 == changes[0].Line) {
			t.Errorf("line %d: %q became %q", i+1, was[i], is[i])
		}
	}
	cfg, _ := config.Parse(out)
	if cfg.Regions[0].Ends[0].PublicKey != one {
		t.Errorf("got %s", cfg.Regions[0].Ends[0].PublicKey)
	}
	if again, none, err := Put(out, k, "", ""); err != nil || len(none) > 0 || !bytes.Equal(again, out) {
		t.Errorf("put again: got %v, %v", none, err)
	}
	short, _, err := Put(examples.Lab, k, "osaka", "")
	if cfg, _ := config.Parse(short); err != nil || cfg.Regions[1].PublicKey != one {
		t.Errorf("a region that is its own end: %v", err)
	}
}

func TestPutRefuses(t *testing.T) {
	tokyo := "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY="
	for _, c := range []struct {
		name       string
		of         string
		devices    map[string]string
		region, id string
		want       string
	}{
		{"a gate's keys", Gate, map[string]string{"wg0": one}, "tokyo", "", "holds those of regions"},
		{"an unknown region", Region, map[string]string{"wg0": one}, "tokio", "", "did you mean tokyo?"},
		{"a tunnel without an end", Region, map[string]string{"wg7": one}, "tokyo", "", "no end on tunnel wg7"},
		{"several ends on a tunnel", Region, map[string]string{"wg1": one}, "tokyo", "", "several ends on tunnel wg1 (tokyo-b, tokyo-c): say which"},
		{"an end of another tunnel", Region, map[string]string{"wg1": one}, "tokyo", "tokyo-a", "no end tokyo-a on tunnel wg1"},
		{"another region's key", Region, map[string]string{"wg0": tokyo}, "osaka", "", "would not hold"},
	} {
		if _, _, err := Put(examples.Lines, keys(t, c.of, c.region, c.devices), "", c.id); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
}

// Two ends of one machine on one line of text: which of the two equal keys is meant cannot be told from the text.
func TestPutDoesNotGuess(t *testing.T) {
	from := bytes.Index(examples.Lines, []byte("      - {id: osaka-a"))
	to := from + bytes.Index(examples.Lines[from:], []byte("  - {id: prefecture"))
	ends := strings.Split(strings.TrimSpace(string(examples.Lines[from:to])), "\n")
	for i := range ends {
		ends[i] = strings.TrimPrefix(strings.TrimSpace(ends[i]), "- ")
	}
	doc := strings.Replace(string(examples.Lines), "    ends:\n"+string(examples.Lines[from:to]), "    ends: ["+strings.Join(ends, ", ")+"]\n", 1)
	if _, _, err := Put([]byte(doc), keys(t, Region, "osaka", map[string]string{"wg1": one}), "", ""); err == nil || !strings.Contains(err.Error(), "by hand") {
		t.Errorf("got %v, want that it is for people to write", err)
	}
}

func TestFarFile(t *testing.T) {
	cfg, errs := config.Parse(examples.Lines)
	if errs != nil {
		t.Fatal(errs)
	}
	gate := keys(t, Gate, "岬町", map[string]string{"wg0": one, "wg1": other})
	b, err := FarFile(cfg, gate, "osaka", FarState)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "region.yaml")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := region.Read(path); err != nil {
		t.Errorf("the far end does not take it: %v\n%s", err, b)
	}
	var f struct {
		Version int
		Devices []struct {
			Device string
			Listen uint16
			MTU    int `yaml:"mtu"`
			Gate   struct {
				PublicKey string `yaml:"public-key"`
				Endpoint  string
				Allowed   []string
			}
		}
		Addresses []string
	}
	if err := yaml.Unmarshal(b, &f); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	if f.Version != 1 || len(f.Devices) != 2 || len(f.Addresses) != 1 || f.Addresses[0] != "198.51.100.65/32" {
		t.Fatalf("got\n%s", b)
	}
	d := f.Devices[1]
	if d.Device != "wg1" || d.Listen != 51821 || d.MTU != 1394 || d.Gate.PublicKey != other || d.Gate.Endpoint != "192.0.2.129:51821" || !reflect.DeepEqual(d.Gate.Allowed, []string{"198.18.10.0/24", "198.51.100.126/32", "198.51.100.62/32", "203.0.113.0/24"}) {
		t.Errorf("got device %+v", d)
	}
	if strings.Contains(string(b), "private-key:") {
		t.Error("there is a private key in it")
	}
	tokyo, err := FarFile(cfg, gate, "tokyo-a", FarState)
	if err != nil || !strings.Contains(string(tokyo), `"203.0.113.0/24"`) || strings.Contains(string(tokyo), "198.18.10.0/24") || !strings.Contains(string(tokyo), "preshared: /var/lib/sekisho-region/wg0.preshared") {
		t.Errorf("translated towards tokyo: got %v\n%s", err, tokyo)
	}
	for id, want := range map[string]string{"kyoto": "no region or end", "prefecture": "of another make", "osaka-c": "did you mean osaka?"} {
		if _, err := FarFile(cfg, gate, id, FarState); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", id, err, want)
		}
	}
	usual := cfg.Regions[1].Ends[1].Endpoint
	cfg.Regions[1].Ends[1].Endpoint = netip.MustParseAddrPort("192.0.2.141:51820")
	if _, err := FarFile(cfg, gate, "osaka", FarState); err == nil || !strings.Contains(err.Error(), "both to listen at port 51820") {
		t.Errorf("one port for two devices: got %v", err)
	}
	cfg.Regions[1].Ends[1].Endpoint = usual
	if _, err := FarFile(cfg, keys(t, Gate, "x", map[string]string{"wg0": one}), "osaka", FarState); err == nil || !strings.Contains(err.Error(), "key of tunnel wg1") {
		t.Errorf("without a key: got %v", err)
	}
}

// What a record joins with a region comes out of its tunnel also when it lies in another region; but what the far end's own side
// holds, by itself or by taking over, is never sent back into the tunnel.
func TestFarFileOfJoinedRegions(t *testing.T) {
	const tokyo, osaka = `"198.51.100.0/26"`, `"198.51.100.64/26"`
	gate := keys(t, Gate, "岬町", map[string]string{"wg0": one, "wg1": other})
	record := "communications:\n  - {id: between, from: {stations: [mn-region]}, to: {services: [resident-standby]}, purpose: p, owner: o}\n"
	for _, c := range []struct {
		name, old, new string
		of             string
		want, not      []string
	}{
		{"not joined", "communications:\n", "communications:\n", "osaka", nil, []string{tokyo, osaka, "takes it over"}},
		{"joined, opened from there", "communications:\n", record, "tokyo-a", []string{osaka}, []string{tokyo, "takes it over"}},
		{"joined, opened towards it", "communications:\n", record, "osaka", []string{tokyo}, []string{osaka, "takes it over"}},
		{"taken over", "communications:\n", record, "osaka", []string{"# The addresses of region tokyo are not among those allowed: region osaka takes it over"}, []string{tokyo, osaka}},
	} {
		doc := strings.Replace(string(examples.Lines), c.old, c.new, 1)
		if c.name != "taken over" {
			doc = strings.Replace(doc, "    takes-over: [tokyo]\n", "", 1)
		}
		cfg, errs := config.Parse([]byte(doc))
		if errs != nil {
			t.Fatal(c.name, errs)
		}
		b, err := FarFile(cfg, gate, c.of, FarState)
		if err != nil {
			t.Fatal(c.name, err)
		}
		for _, w := range c.want {
			if !strings.Contains(string(b), w) {
				t.Errorf("%s: %s is not in\n%s", c.name, w, b)
			}
		}
		for _, n := range c.not {
			if strings.Contains(string(b), n) {
				t.Errorf("%s: %s is in\n%s", c.name, n, b)
			}
		}
	}
}

func TestCodesAreDrawn(t *testing.T) {
	c, err := keys(t, Gate, "岬町", map[string]string{"wg0": one, "wg1": other}).QR()
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(c.PNG()))
	if err != nil {
		t.Fatal(err)
	}
	// All three drawings say the same, pixel by pixel.
	rows := strings.Split(strings.TrimRight(c.Terminal(), "\n"), "\n")
	scale := picture.Bounds().Dx() / c.size()
	for y := range c.size() {
		row := []rune(strings.TrimSuffix(strings.TrimPrefix(rows[y/2], "\x1b[30;107m"), "\x1b[0m"))
		for x := range c.size() {
			r, _, _, _ := picture.At(x*scale+scale/2, y*scale+scale/2).RGBA()
			half := map[bool]string{true: "▀█", false: "▄█"}[y%2 == 0]
			if drawn := strings.ContainsRune(half, row[x]); drawn != (r == 0) || drawn != c.black(x, y) {
				t.Fatalf("pixel %d, %d: terminal %v, picture %v", x, y, drawn, r == 0)
			}
		}
	}
	if svg := string(c.SVG()); !strings.HasPrefix(svg, "<svg") || !strings.Contains(svg, "M4 4h7v1H4z") {
		t.Errorf("the drawing does not begin with the finder pattern: %.200s", svg)
	}
}

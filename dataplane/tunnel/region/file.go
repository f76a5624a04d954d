package region

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/dataplane/durable"
)

// File is what a far end knows by itself; everything else it is told by the gate.
type File struct {
	Version   int            `yaml:"version"`   // 1; 0 is the form with one device
	Devices   []Device       `yaml:"devices"`   // one for each of the gate's lines
	Addresses []netip.Prefix `yaml:"addresses"` // on the first device; the gate probes them
	Routes    []netip.Prefix `yaml:"routes"`    // what lies behind the gate; default: what it may send from
	Echo      uint16         `yaml:"echo"`      // UDP port of the echo; default 7
	State     string         `yaml:"state"`     // directory for the plan and keys; default "/var/lib/sekisho-region"

	// The form with one device.
	OneDevice  string `yaml:"device"`
	PrivateKey string `yaml:"private-key"`
	Listen     uint16 `yaml:"listen"`
	MTU        int    `yaml:"mtu"`
	Gate       *Gate  `yaml:"gate"`
}

// Device is the far end of one of the gate's tunnels.
type Device struct {
	Name           string `yaml:"device"`
	PrivateKey     string `yaml:"private-key"`      // base64, or
	PrivateKeyFile string `yaml:"private-key-file"` // a file with it, made if it is missing
	Listen         uint16 `yaml:"listen"`
	MTU            int    `yaml:"mtu"` // default 1420
	Gate           Gate   `yaml:"gate"`
}

// Gate is the gate as one device sees it.
type Gate struct {
	Device    string         `yaml:"device"` // the gate's name of the tunnel; default: the same name
	PublicKey string         `yaml:"public-key"`
	Endpoint  netip.AddrPort `yaml:"endpoint"` // not needed: the gate begins
	Allowed   []netip.Prefix `yaml:"allowed"`
	Preshared string         `yaml:"preshared"` // file with a pre-shared key in base64 to begin with; the gate may change it
}

const (
	defaultState = "/var/lib/sekisho-region"
	defaultMTU   = 1420
	echoPort     = 7
	maxDevices   = 16
)

// Read reads and checks a far end's file; all that is wrong with it is told at once.
func Read(path string) (File, error) {
	var f File
	b, err := os.ReadFile(path)
	if err != nil {
		return f, fmt.Errorf("region: %w", err)
	}
	if err := yaml.UnmarshalWithOptions(b, &f, yaml.Strict()); err != nil {
		return f, fmt.Errorf("region %s: %s", path, withoutKeys(err))
	}
	if f.Version == 0 && f.Gate != nil {
		f.Devices = []Device{{Name: f.OneDevice, PrivateKey: f.PrivateKey, Listen: f.Listen, MTU: f.MTU, Gate: *f.Gate}}
		if f.OneDevice == "" {
			f.Devices[0].Name = "wg0"
		}
	} else if f.OneDevice != "" || f.PrivateKey != "" || f.Listen != 0 || f.MTU != 0 || f.Gate != nil {
		return f, fmt.Errorf("region %s: device, private-key, listen, mtu and gate stand within devices in version 1", path)
	}
	f.defaults()
	if err := f.check(); err != nil {
		return f, fmt.Errorf("region %s: %w", path, err)
	}
	return f, nil
}

var (
	likeKey = regexp.MustCompile(`[A-Za-z0-9+/]{20,}=*`)
	quoted  = regexp.MustCompile(`"[^"]*"`)
)

// withoutKeys is what is wrong with the text, without the lines around it, which may hold keys; so may what the error itself quotes.
func withoutKeys(err error) string {
	s := yaml.FormatError(err, false, false)
	if likeKey.MatchString(s) {
		s = likeKey.ReplaceAllString(quoted.ReplaceAllString(s, "(hidden)"), "(hidden)")
	}
	return s
}

func (f *File) defaults() {
	if f.Echo == 0 {
		f.Echo = echoPort
	}
	if f.State == "" {
		f.State = defaultState
	}
	for i := range f.Devices {
		d := &f.Devices[i]
		if d.MTU == 0 {
			d.MTU = defaultMTU
		}
		if d.Gate.Device == "" {
			d.Gate.Device = d.Name
		}
	}
	if f.Routes == nil {
		for _, d := range f.Devices {
			for _, p := range d.Gate.Allowed {
				if !slices.Contains(f.Routes, p) {
					f.Routes = append(f.Routes, p)
				}
			}
		}
	}
}

func (f File) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if f.Version != 0 && f.Version != 1 {
		fail("version %d: want 1; a newer file needs a newer program", f.Version)
	}
	if len(f.Devices) == 0 || len(f.Devices) > maxDevices {
		fail("%d devices: want 1..%d", len(f.Devices), maxDevices)
	}
	for i, d := range f.Devices {
		if d.Name == "" || len(d.Name) >= unix.IFNAMSIZ || strings.ContainsAny(d.Name, "/ \"") {
			fail("device %d: name %q will not do: want 1..%d letters and digits", i, d.Name, unix.IFNAMSIZ-1)
		}
		for _, e := range f.Devices[:i] {
			if e.Name == d.Name {
				fail("device %s is there twice", d.Name)
			}
			if e.Gate.Device == d.Gate.Device {
				fail("device %s: the gate's device %s has its far end on %s already", d.Name, d.Gate.Device, e.Name)
			}
			if e.Listen == d.Listen && d.Listen != 0 {
				fail("device %s: port %d is that of device %s", d.Name, d.Listen, e.Name)
			}
		}
		if d.MTU < 576 || d.MTU > 65535 {
			fail("device %s: mtu %d: want 576..65535", d.Name, d.MTU)
		}
		if _, err := wgtypes.ParseKey(d.Gate.PublicKey); err != nil {
			fail("device %s: public-key of the gate %q: %w", d.Name, d.Gate.PublicKey, err)
		}
		if len(d.Gate.Allowed) == 0 {
			fail("device %s: gate: no allowed prefixes: nothing would come through", d.Name)
		}
		if (d.PrivateKey == "") == (d.PrivateKeyFile == "") {
			fail("device %s: want private-key or private-key-file", d.Name)
		} else if d.PrivateKey != "" {
			if k, err := wgtypes.ParseKey(d.PrivateKey); err != nil {
				fail("device %s: private-key: %w", d.Name, err)
			} else if k.PublicKey().String() == d.Gate.PublicKey {
				fail("device %s: public-key of the gate is the device's own: ask the gate for its own (sekisho tunnel key)", d.Name)
			}
		}
	}
	for _, p := range slices.Concat(f.Addresses, f.Routes) {
		if !p.IsValid() {
			fail("addresses or routes: want prefixes such as 198.51.100.1/32")
		}
	}
	for _, d := range f.Devices {
		for _, p := range slices.Concat(d.Gate.Allowed, f.Routes) {
			switch {
			case !p.IsValid():
			case p.Bits() == 0:
				fail("device %s: %s would lead everything into the tunnel: want the gate's prefixes", d.Name, p)
			case p.Contains(d.Gate.Endpoint.Addr()):
				fail("device %s: %s covers the gate's endpoint %s: the tunnel would lead into itself", d.Name, p, d.Gate.Endpoint.Addr())
			}
		}
	}
	for _, a := range f.Addresses {
		errs = append(errs, f.takes(a.Addr(), "addresses"))
	}
	return errors.Join(errs...)
}

// takes tells that the gate's prefixes cover an address that is this machine's own.
func (f File) takes(a netip.Addr, where string) error {
	for _, d := range f.Devices {
		for _, p := range slices.Concat(d.Gate.Allowed, f.Routes) {
			if p.IsValid() && p.Contains(a) {
				return fmt.Errorf("device %s: %s covers %s, which is this machine's own (%s): want the gate's prefixes", d.Name, p, a, where)
			}
		}
	}
	return nil
}

// key is the device's private key.
func (d Device) key() (wgtypes.Key, error) {
	if d.PrivateKey != "" {
		return wgtypes.ParseKey(d.PrivateKey) // checked when the file was read
	}
	b, err := os.ReadFile(d.PrivateKeyFile)
	if err == nil {
		k, err := wgtypes.ParseKey(strings.TrimSpace(string(b)))
		if err != nil {
			return k, fmt.Errorf("private key %s of device %s: %w; restore it, or remove it and tell the gate the new public key", d.PrivateKeyFile, d.Name, err)
		}
		return k, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return wgtypes.Key{}, fmt.Errorf("private key of device %s: %w", d.Name, err)
	}
	k, err := wgtypes.GeneratePrivateKey()
	if err == nil {
		err = os.MkdirAll(filepath.Dir(d.PrivateKeyFile), 0o700)
	}
	if err == nil {
		err = durable.Replace(d.PrivateKeyFile, []byte(k.String()+"\n"), 0o600)
	}
	if err != nil {
		return wgtypes.Key{}, fmt.Errorf("make the private key of device %s: %w", d.Name, err)
	}
	return k, nil
}

// PublicKeys are what the gate must know, by device. Keys that are missing are made.
func (f File) PublicKeys() (map[string]string, error) {
	out := map[string]string{}
	for _, d := range f.Devices {
		k, err := d.key()
		if err != nil {
			return nil, err
		}
		out[d.Name] = k.PublicKey().String()
	}
	return out, nil
}

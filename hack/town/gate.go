package town

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/config/exchange"
	"github.com/sekisho/sekisho/dataplane/antivirus/clamtest"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// gate installs the appliance and starts its daemons, those first that others wait for.
func (t *Town) gate(ctx context.Context) error {
	keys := map[string]wgtypes.Key{}
	for _, r := range regions() {
		key, err := wgtypes.GeneratePrivateKey()
		if err != nil {
			return fmt.Errorf("key of region %s: %w", r.segment, err)
		}
		keys[r.segment] = key
	}
	if err := t.install(ctx, keys); err != nil {
		return err
	}
	t.say("starting dataplane, both regions, %s", strings.Join(Daemons()[1:], ", "))
	if err := t.Start(ctx, t.daemon("dataplane")); err != nil {
		return err
	}
	if err := t.regions(ctx, keys); err != nil {
		return err
	}
	for _, name := range Daemons()[1:] {
		if err := t.Start(ctx, t.daemon(name)); err != nil {
			return err
		}
	}
	return t.Poll(ctx, 20*time.Second, "the first revision to be in force", func(ctx context.Context) error {
		var s struct {
			Revision string `json:"revision"`
		}
		if err := Get(ctx, t.Name.Instance().DataplaneSocket(), "/status", &s); err != nil {
			return err
		}
		if s.Revision == "" {
			return errors.New("no revision is in force yet")
		}
		return nil
	})
}

// document is the example configuration on two lines, with the keys of this town's regions.
func document(keys map[string]wgtypes.Key) ([]byte, error) {
	doc, err := onTwoLines(examples.Lab)
	if err != nil {
		return nil, err
	}
	cfg, errs := config.Parse(doc)
	if err := errs.Err(); err != nil {
		return nil, fmt.Errorf("example configuration of the lab: %w", err)
	}
	for i := range cfg.Regions {
		r := &cfg.Regions[i]
		key, ok := keys[r.ID]
		if !ok {
			return nil, fmt.Errorf("example configuration of the lab: region %s is none of the town's", r.ID)
		}
		for _, e := range r.Reached() { // one machine, whatever the line
			doc = bytes.ReplaceAll(doc, []byte(e.PublicKey), []byte(key.PublicKey().String()))
		}
	}
	return doc, nil
}

// ConfigFile is where the town's configuration stands, for people and for `sekisho check`.
func (n Name) ConfigFile() string { return filepath.Join(n.Instance().Run(), "lab", "town.yaml") }

func (t *Town) install(ctx context.Context, keys map[string]wgtypes.Key) error {
	doc, err := document(keys)
	if err != nil {
		return err
	}
	file := t.Name.ConfigFile()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, doc, 0o644); err != nil {
		return err
	}
	people := filepath.Join(filepath.Dir(file), "people.yaml")
	if err := os.WriteFile(people, roll, 0o644); err != nil {
		return err
	}
	if err := t.copyPrograms(); err != nil {
		return err
	}
	t.say("installing the gate %s", t.Name)
	out, err := t.Sekisho(ctx, "init", "--name", string(t.Name), "--config", file, "--people", people)
	if err != nil {
		return err
	}
	if err := clamtest.Signatures(t.Name.Instance().Signatures(), time.Now()); err != nil {
		return err
	}
	var installed struct {
		People []Person `json:"people"`
	}
	if err := json.Unmarshal([]byte(out), &installed); err != nil {
		return fmt.Errorf("sekisho init: %w", err)
	}
	return t.Name.note(func(r *Record) { r.People = installed.People })
}

// copyPrograms puts the programs where every daemon's user may execute them; a checkout may lie below a home that is closed.
func (t *Town) copyPrograms() error {
	to := filepath.Join(t.Name.Instance().State(), "bin")
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	programs, err := filepath.Glob(filepath.Join(t.bin, "sekisho*"))
	if err != nil || len(programs) < 7 {
		return fmt.Errorf("programs in %s: %d found; make build makes them (%v)", t.bin, len(programs), err)
	}
	for _, from := range programs {
		b, err := os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("install a program: %w", err)
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(from)), b, 0o755); err != nil {
			return fmt.Errorf("install a program: %w", err)
		}
	}
	t.bin = to
	return nil
}

// Sekisho runs the operator's command line as root in the gate's namespace and gives what it wrote to standard output.
func (t *Town) Sekisho(ctx context.Context, args ...string) (string, error) {
	return t.SekishoWith(ctx, "", args...)
}

// SekishoWith is Sekisho with something typed in.
func (t *Town) SekishoWith(ctx context.Context, typed string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(t.bin, "sekisho"), args...)
	cmd.Stdin = strings.NewReader(typed)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := In(t.Name.Netns(Gate), cmd.Run); err != nil {
		return stdout.String(), fmt.Errorf("sekisho %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// Daemons lists the gate's daemons in the order in which they start.
func Daemons() []string {
	names := []string{"dataplane", "release", "clamd", "broker", "control"}
	for _, z := range place.PortalZones {
		names = append(names, "portal-"+z.Short())
	}
	return names
}

// daemon says how one of the gate's daemons is run.
func (t *Town) daemon(name string) Program {
	i := t.Name.Instance()
	program := func(p string, args ...string) []string {
		return append([]string{filepath.Join(t.bin, p)}, args...)
	}
	p := Program{Name: name, Host: Gate}
	switch name {
	case "dataplane":
		// Tunnels keep their figures while sandboxes are busy, as a service manager would see to.
		p.Args = append([]string{"nice", "-n", "-10"}, program("sekisho-dataplane", "run", "--name", string(t.Name))...)
		p.Ready = dials(i.DataplaneSocket())
	case "release":
		p.User = place.ReleaseUser
		p.Prepare = program("sekisho-release", "prepare", "--name", string(t.Name))
		p.Args = program("sekisho-release", "--name", string(t.Name))
		p.Ready = dials(i.ReleaseSocket())
	case "clamd": // one for the whole town, on signatures that know nothing but tests
		p.User = place.ClamdUser
		p.Args = program("sekisho-broker", "clamd", "--name", string(t.Name))
		p.Ready = dials(i.ClamdSocket())
	case "broker":
		p.User = place.BrokerUser
		p.Prepare = program("sekisho-broker", "prepare", "--name", string(t.Name))
		p.Args = program("sekisho-broker", "--name", string(t.Name))
		p.Ready = dials(i.BrokerSocket())
	case "control":
		p.User = place.ControlUser
		p.Prepare = program("sekisho-control", "prepare", "--name", string(t.Name))
		p.Args = program("sekisho-control", "--name", string(t.Name))
		p.Ready = dials(i.AdminSocket())
	default:
		for _, z := range place.PortalZones {
			if name == "portal-"+z.Short() {
				p.Host, p.User, p.Caps = name, place.PortalUser(z), []uintptr{unix.CAP_NET_BIND_SERVICE}
				p.Args = program("sekisho-portal", "--name", string(t.Name), "--zone", z.String())
				p.Ready = listens(i.PortalNetns(z), ":443")
			}
		}
	}
	return p
}

// regions starts the far ends of the tunnels, now that the gate has its keys.
func (t *Town) regions(ctx context.Context, keys map[string]wgtypes.Key) error {
	var gateKeys map[string]string
	if err := Get(ctx, t.Name.Instance().DataplaneSocket(), "/tunnel-keys", &gateKeys); err != nil {
		return err
	}
	doc, err := os.ReadFile(t.Name.ConfigFile())
	if err != nil {
		return err
	}
	cfg, errs := config.Parse(doc)
	if err := errs.Err(); err != nil {
		return fmt.Errorf("configuration of the lab: %w", err)
	}
	public, err := exchange.New(exchange.Gate, string(t.Name), gateKeys)
	if err != nil {
		return err
	}
	for _, r := range regions() {
		if err := t.region(ctx, r, cfg, public, keys[r.segment]); err != nil {
			return fmt.Errorf("far end %s: %w", r.host, err)
		}
	}
	return nil
}

// region starts one far end, on a machine with a device for each line.
func (t *Town) region(ctx context.Context, r region, cfg *config.Config, gate exchange.Keys, key wgtypes.Key) error {
	dir := filepath.Join(t.Name.Instance().State(), r.host)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	doc, err := exchange.FarFile(cfg, gate, r.segment, dir)
	if err != nil {
		return err
	}
	for _, x := range gate.Keys {
		if err := os.WriteFile(filepath.Join(dir, x.Device+".key"), []byte(key.String()+"\n"), 0o600); err != nil {
			return err
		}
	}
	file := filepath.Join(t.Name.Instance().Run(), "lab", r.host+".yaml")
	if err := os.WriteFile(file, doc, 0o600); err != nil {
		return err
	}
	return t.Start(ctx, Program{Name: r.host, Host: r.host, Args: []string{filepath.Join(t.bin, "sekisho-dataplane"), "region", "--config", file}})
}

// Get asks one of the daemons' sockets.
func Get(ctx context.Context, sock, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gate"+path, nil)
	if err != nil {
		return err
	}
	c := socket.Client(sock)
	defer c.CloseIdleConnections()
	resp, err := c.Do(req)
	if err != nil {
		return fmt.Errorf("GET %s of %s: %w", path, sock, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s of %s: %s", path, sock, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("GET %s of %s: %w", path, sock, err)
	}
	return nil
}

// Poll waits until try succeeds; what it waits for is named in the error.
func (t *Town) Poll(ctx context.Context, limit time.Duration, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %v for %s: %w", limit, what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// AuditLog is the folder of the gate's audit log.
func (n Name) AuditLog() string { return n.Instance().AuditLog() }

package town

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// Town is a town that this process made and owns until Keep or Down.
type Town struct {
	Name    Name
	bin     string // folder of the programs
	say     func(format string, args ...any)
	janitor *Janitor
	running map[string]*Running
}

// Options of Up.
type Options struct {
	Bin      string    // folder with lab, sekisho, sekisho-dataplane, ...
	Progress io.Writer // one line a step
	NetOnly  bool      // hosts and wires, no daemon: for tests of the lab itself
}

// Up makes a town. On an error everything that it made so far is removed again.
func Up(ctx context.Context, n Name, o Options) (*Town, error) {
	t := &Town{Name: n, bin: o.Bin, running: map[string]*Running{}}
	t.say = func(format string, args ...any) { fmt.Fprintf(o.Progress, format+"\n", args...) }
	if err := n.claim(); err != nil {
		return nil, err
	}
	err := t.build(ctx, o)
	if err == nil {
		err = t.Name.note(func(r *Record) { r.Outcome = "up" })
	}
	if err != nil {
		n.TailLogs(o.Progress)
		if derr := t.Down(); derr != nil {
			err = fmt.Errorf("%w; %w", err, derr)
		}
		return nil, err
	}
	return t, nil
}

func (t *Town) build(ctx context.Context, o Options) error {
	var err error
	if t.janitor, err = hireJanitor(t.Name, filepath.Join(o.Bin, "lab")); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(t.Name.Log("x")), 0o755); err != nil {
		return err
	}
	t.say("making %d hosts", len(Hosts())+1)
	if err := t.hosts(ctx); err != nil {
		return err
	}
	if o.NetOnly {
		return nil
	}
	return t.gate(ctx)
}

// hosts makes namespaces and wires and starts the application servers.
func (t *Town) hosts(ctx context.Context) error {
	if err := addNetns(t.Name.Netns(Gate)); err != nil {
		return err
	}
	for _, h := range Hosts() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := addNetns(t.Name.Netns(h.Name)); err != nil {
			return err
		}
	}
	for _, w := range wires() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.Name.lay(w); err != nil {
			return err
		}
	}
	for _, r := range regions() {
		if err := configure(t.Name.Netns(r.host), "lan0", []netip.Prefix{r.inner}, nil); err != nil {
			return err
		}
		if err := sysctl(t.Name.Netns(r.host), "net/ipv4/ip_forward", "1"); err != nil {
			return err
		}
	}
	for _, h := range Hosts() {
		if len(h.Serves) == 0 {
			continue
		}
		ns := t.Name.Netns(h.Name)
		p := Program{Name: h.Name, Host: h.Name, Args: append([]string{filepath.Join(t.bin, "lab"), "serve", "--as", h.Name}, h.Serves...),
			Ready: listens(ns, net.JoinHostPort("127.0.0.1", h.Serves[len(h.Serves)-1]))}
		if err := t.Start(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// Start runs a program in the town and waits until it is ready.
func (t *Town) Start(ctx context.Context, p Program) error {
	r, err := t.Name.start(p)
	if err != nil {
		return err
	}
	t.running[p.Name] = r
	return r.wait(ctx, 20*time.Second)
}

// Keep lets the town outlive this process.
func (t *Town) Keep() error { return t.janitor.Dismiss() }

// Down removes the town.
func (t *Town) Down() error {
	if err := Down(t.Name); err != nil {
		return err // the janitor tries again when this process ends
	}
	if t.janitor == nil {
		return nil
	}
	return t.janitor.Dismiss()
}

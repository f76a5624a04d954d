package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Tunnels are measured with the real gate and a real far end, in a process of its own: it is the first of a PID namespace, so
// that engines, which outlive whoever starts them, end with it, and its network namespace is the gate's.

// tunnelFigures is what that process hands back.
type tunnelFigures struct {
	Guarantee  guaranteeFigures  `json:"guarantee"`
	Delay      delayFigures      `json:"delay"`
	Page       pageFigures       `json:"page"`
	Throughput throughputFigures `json:"throughput"`
	Failover   failoverFigures   `json:"failover"`
	Idle       idleFigures       `json:"idle"`
	Floods     []flood           `json:"floods"` // shaped, unshaped
}

// inGate is set in the process of the gate.
const inGate = "SEKISHO_BENCH_GATE"

// measureTunnels runs this program again as the gate's process.
func measureTunnels(only string) (tunnelFigures, error) {
	var f tunnelFigures
	dir, err := os.MkdirTemp("", "sekisho-bench-")
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return f, err
	}
	file := filepath.Join(dir, "figures.json")
	c := exec.Command(self, "-tunnel", file, "-part", only)
	c.Env = append(os.Environ(), inGate+"=1")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: unix.SIGKILL}
	runtime.LockOSThread() // the process dies with this thread
	defer runtime.UnlockOSThread()
	if err := c.Run(); err != nil {
		return f, fmt.Errorf("measure tunnels: %w", err)
	}
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	return f, err
}

// printTunnels measures tunnels alone. only: one of the measurements; "" all.
func printTunnels(only, plot string) error {
	f, err := measureTunnels(only)
	if err != nil {
		return err
	}
	return errors.Join(f.print(os.Stdout), printMeasurements(os.Stdout, f.summary()), writeFloods(plot, f.Floods))
}

// tunnels is the process of the gate: it measures and writes the figures to a file. only: one of the measurements; "" all.
func tunnels(file, only string) error {
	if os.Getenv(inGate) == "" {
		return errors.New("-tunnel is for the process that bench starts by itself")
	}
	if err := ownFolders(); err != nil {
		return err
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	var f tunnelFigures
	parts := []struct {
		name, what string
		lab        labShape
		measure    func(*tunnelLab) error
		unshaped   func(*tunnelLab) error // the same beside it, with nobody shaping; nil: not so
	}{
		{"guarantee", "guarantees in both directions, 20 Mbit/s", labShape{rate: 20e6}, f.Guarantee.shaped, f.Guarantee.unshaped},
		{"flood", "what a backup leaves to the others, 20 Mbit/s", labShape{rate: 20e6}, f.flooded, f.flooded},
		{"delay", "delay beside a backup, 100 Mbit/s", labShape{rate: 100e6}, f.Delay.shaped, f.Delay.unshaped},
		{"page", "a page beside a backup, 100 Mbit/s", labShape{rate: 100e6}, f.Page.shaped, f.Page.unshaped},
		{"throughput", "throughput beside bare wireguard-go", labShape{rate: 10e9, unlimited: true}, f.Throughput.measure, nil},
		{"failover", "failover", labShape{rate: 50e6, both: true}, f.Failover.measure, nil},
		{"idle", "the cost of waiting", labShape{rate: 100e6, both: true}, f.Idle.measure, nil},
	}
	l, err := newTunnelLab()
	defer l.close()
	if err != nil {
		return err
	}
	// All that is shaped at one rate comes first: a far end that was unshaped by hand takes no plan that it has already.
	for i, p := range parts {
		for j := i; j < len(parts) && parts[j].lab == p.lab && (i == 0 || parts[i-1].lab != p.lab); j++ {
			if err := l.part(parts[j].name, only, parts[j].what, p.lab, parts[j].measure); err != nil {
				return err
			}
		}
		if i+1 < len(parts) && parts[i+1].lab == p.lab {
			continue
		}
		without := p.lab
		without.unshaped = true
		for j := range parts[:i+1] {
			if parts[j].lab == p.lab && parts[j].unshaped != nil {
				if err := l.part(parts[j].name, only, parts[j].what+", unshaped", without, parts[j].unshaped); err != nil {
					return err
				}
			}
		}
	}
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o644)
}

// part makes one measurement.
func (l *tunnelLab) part(name, only, what string, s labShape, measure func(*tunnelLab) error) error {
	if only != "" && only != name {
		return nil
	}
	progress("measuring %s", what)
	err := l.become(s)
	if err == nil {
		err = measure(l)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// ownFolders hides the machine's folders of gates, and shows processes and devices of the own namespaces.
func ownFolders() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for _, m := range [][2]string{{"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/run"}, {"tmpfs", "/var/lib"}} {
		if err := unix.Mount(m[0], m[1], m[0], 0, ""); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m[0], m[1], err)
		}
	}
	etc := "/var/lib/etc" // a copy of what the system's libraries read, with room for the gate's folder
	if err := os.MkdirAll(etc, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"passwd", "group", "nsswitch.conf"} {
		b, err := os.ReadFile(filepath.Join("/etc", name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(etc, name), b, 0o644); err != nil {
			return err
		}
	}
	if err := unix.Mount(etc, "/etc", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s on /etc: %w", etc, err)
	}
	return nil
}

func (f tunnelFigures) summary() []measurement {
	g, d := f.Guarantee, f.Delay
	const unshaped = "the same without shaping"
	return []measurement{
		plain("tunnel.guarantee_mean_min", "of it", g.Mean, unshaped, g.UnshapedMean, atLeast(0.98)),
		plain("tunnel.guarantee_worst_second", "of it", g.Worst, unshaped, g.UnshapedWorst, atLeast(0.95)),
		plain("tunnel.line_used", "of the contract", g.Used, unshaped, g.UnshapedUsed, atLeast(0.97)),
		plain("tunnel.core_p99_added_ms", "ms", d.Flooded-d.Idle, unshaped, d.Unshaped-d.Idle, atMost(20)),
		over("tunnel.page_over_idle", f.Page.Flooded, "the idle line; unshaped: "+f.Page.without(), f.Page.Idle, "s", atMost(1.5)),
		over("tunnel.throughput_over_wireguard_go", f.Throughput.Gate, "bare wireguard-go on the same kind of device; as it comes: "+figure(f.Throughput.Stock), f.Throughput.Bare, "Mbit/s", atLeast(0.95)),
		plain("tunnel.failover_s", "s", f.Failover.First, "the same, until TCP went on", f.Failover.TCP, atMost(1)),
		plain("tunnel.idle_cpu", "of a core", f.Idle.All, "its engines alone", f.Idle.Engines, atMost(0.01)),
	}
}

// print writes what the summary has no room for.
func (f tunnelFigures) print(w io.Writer) error {
	return errors.Join(f.Guarantee.print(w), f.Delay.print(w), f.Failover.print(w))
}

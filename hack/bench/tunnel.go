package main

import (
	"context"
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
	"time"

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
	Floods     []flood           `json:"floods"`  // shaped, unshaped
	Missing    map[string]string `json:"missing"` // why a part was not measured, by its name; the unshaped half of one by "PART unshaped"
}

// inGate is set in the process of the gate.
const inGate = "SEKISHO_BENCH_GATE"

// courtesy is the nice value of the process that makes the traffic.
const courtesy = 10

// tunnelLimit is when whatever hangs is ended; all together takes four minutes on a quiet machine.
const tunnelLimit = 15 * time.Minute

// measureTunnels runs this program again as the gate's process. What that process did not get to is missing from the figures, whose
// err names it. only: one of the measurements; "" all.
func measureTunnels(only string) tunnelFigures {
	var f tunnelFigures
	if err := f.fromProcess(only); err != nil {
		if f.Missing == nil {
			f.Missing = map[string]string{}
			for _, s := range tunnelSteps(f.parts(), only) {
				f.Missing[s.name] = "the measurement did not begin"
			}
		}
		f.Missing["the process"] = err.Error()
	}
	return f
}

func (f *tunnelFigures) fromProcess(only string) error {
	dir, err := os.MkdirTemp("", "sekisho-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "figures.json")
	ctx, cancel := context.WithTimeout(context.Background(), tunnelLimit)
	defer cancel()
	c := exec.CommandContext(ctx, self, "-tunnel", file, "-part", only)
	c.Env = append(os.Environ(), inGate+"=1")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: unix.SIGKILL}
	runtime.LockOSThread() // the process dies with this thread
	defer runtime.UnlockOSThread()
	// Stations and servers, which are other machines, share this machine's processors with the gate here.
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, courtesy); err != nil {
		return fmt.Errorf("step back behind the engines: %w", err)
	}
	defer unix.Setpriority(unix.PRIO_PROCESS, 0, 0) //nolint:errcheck // to what it was
	ended := c.Run()
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, f)
	}
	if ended != nil {
		return fmt.Errorf("measure tunnels: %w", ended)
	}
	return err
}

// printTunnels measures tunnels alone. only: one of the measurements; "" all.
func printTunnels(only, plot string) error {
	f := measureTunnels(only)
	return errors.Join(f.print(os.Stdout), printMeasurements(os.Stdout, f.summary()), writeFloods(plot, f.Floods), f.err())
}

// parts are all measurements.
func (f *tunnelFigures) parts() []tunnelPart {
	return []tunnelPart{
		{"guarantee", "guarantees in both directions, 20 Mbit/s", labShape{rate: 20e6}, f.Guarantee.shaped, f.Guarantee.unshaped},
		{"flood", "what a backup leaves to the others, 20 Mbit/s", labShape{rate: 20e6}, f.flooded, f.flooded},
		{"delay", "delay beside a backup, 100 Mbit/s", labShape{rate: 100e6}, f.Delay.shaped, f.Delay.unshaped},
		{"page", "a page beside a backup, 100 Mbit/s", labShape{rate: 100e6}, f.Page.shaped, f.Page.unshaped},
		{"throughput", "throughput beside bare wireguard-go", labShape{rate: 10e9, unlimited: true}, f.Throughput.measure, nil},
		{"failover", "failover", labShape{rate: 50e6, both: true}, f.Failover.measure, nil},
		{"idle", "the cost of waiting", labShape{rate: 100e6, both: true}, f.Idle.measure, nil},
	}
}

// tunnels is the process of the gate: it measures and writes the figures to a file, anew after each step. only: one of the
// measurements; "" all.
func tunnels(file, only string) error {
	if os.Getenv(inGate) == "" {
		return errors.New("-tunnel is for the process that bench starts by itself")
	}
	if err := ownFolders(); err != nil {
		return err
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	var f tunnelFigures
	var l *tunnelLab
	defer func() { l.close() }()
	return each(tunnelSteps(f.parts(), only), func(s tunnelStep) (err error) {
		progress("measuring %s", s.what)
		if l == nil {
			if l, err = newTunnelLab(); err != nil {
				return err
			}
		}
		if err = l.become(s.lab); err == nil {
			err = s.measure(l)
		}
		if err != nil { // nobody knows how it left the lab
			l.close()
			l = nil
		}
		return err
	}, func(missing map[string]string) error {
		f.Missing = missing
		b, err := json.Marshal(f)
		if err != nil {
			return err
		}
		return os.WriteFile(file, b, 0o644)
	})
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

// print writes what the summary has no room for.
func (f tunnelFigures) print(w io.Writer) error {
	var errs []error
	for _, p := range []struct {
		name  string
		print func(io.Writer) error
	}{{"guarantee", f.Guarantee.print}, {"delay", f.Delay.print}, {"failover", f.Failover.print}} {
		if _, is := f.Missing[p.name]; !is {
			errs = append(errs, p.print(w))
		}
	}
	return errors.Join(errs...)
}

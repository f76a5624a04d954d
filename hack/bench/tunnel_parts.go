package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// tunnelPart is one measurement of tunnels. Each fails by itself: what another measured stays.
type tunnelPart struct {
	name, what string
	lab        labShape
	measure    func(*tunnelLab) error
	unshaped   func(*tunnelLab) error // the same beside it, with nobody shaping; nil: not so
}

// beside is the name under which the unshaped half of a part fails.
func (p tunnelPart) beside() string { return p.name + " unshaped" }

// tunnelStep is a part, or its unshaped half, and how the lab has to stand for it.
type tunnelStep struct {
	name, what string
	lab        labShape
	measure    func(*tunnelLab) error
}

// tunnelSteps puts parts in the order in which the lab is changed least. only: one of the parts; "" all. All that is shaped at one rate
// comes before what is not: a far end that was unshaped by hand takes no plan that it has already.
func tunnelSteps(parts []tunnelPart, only string) (all []tunnelStep) {
	for i, p := range parts {
		if i > 0 && parts[i-1].lab == p.lab {
			continue // it went with the first of its shape
		}
		var unshaped []tunnelStep
		for _, q := range parts[i:] {
			if q.lab != p.lab {
				break
			}
			if only != "" && only != q.name {
				continue
			}
			all = append(all, tunnelStep{q.name, q.what, q.lab, q.measure})
			if q.unshaped != nil {
				without := q.lab
				without.unshaped = true
				unshaped = append(unshaped, tunnelStep{q.beside(), q.what + ", unshaped", without, q.unshaped})
			}
		}
		all = append(all, unshaped...)
	}
	return all
}

// each makes all steps. What fails is noted with its reason, and the rest goes on; note is told after each step what there is by now.
func each(all []tunnelStep, run func(tunnelStep) error, note func(missing map[string]string) error) error {
	missing := map[string]string{}
	for _, s := range all { // a process that ends early has not measured what it had before it
		missing[s.name] = "the measurement ended before"
	}
	for _, s := range all {
		delete(missing, s.name)
		if err := run(s); err != nil {
			missing[s.name] = strings.ReplaceAll(err.Error(), "\n", "; ")
			progress("not measured: %s: %v", s.what, err)
		}
		if err := note(missing); err != nil {
			return err
		}
	}
	return nil
}

// err names all that was not measured.
func (f tunnelFigures) err() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(f.Missing)) {
		errs = append(errs, fmt.Errorf("not measured: %s: %s", name, f.Missing[name]))
	}
	return errors.Join(errs...)
}

// summary is what is measured against the figures to reach.
func (f tunnelFigures) summary() []measurement {
	g, d := f.Guarantee, f.Delay
	peer := func(p string) string {
		if why, is := f.Missing[p+" unshaped"]; is {
			return "the same without shaping, not measured: " + why
		}
		return "the same without shaping"
	}
	all := []struct {
		part string
		m    measurement
	}{
		{"guarantee", plain("tunnel.guarantee_mean_min", "of it", g.Mean, peer("guarantee"), g.UnshapedMean, atLeast(0.98))},
		{"guarantee", plain("tunnel.guarantee_worst_second", "of it", g.Worst, peer("guarantee")+"; "+g.discarded(), g.UnshapedWorst, atLeast(0.95))},
		{"guarantee", plain("tunnel.line_used", "of the contract", g.Used, peer("guarantee"), g.UnshapedUsed, atLeast(0.97))},
		{"delay", plain("tunnel.core_p99_added_ms", "ms", d.added(), peer("delay"), d.addedUnshaped(), atMost(20))},
		{"page", over("tunnel.page_over_idle", f.Page.Flooded, "the idle line; unshaped: "+f.Page.without(), f.Page.Idle, "s", atMost(1.5))},
		{"throughput", over("tunnel.throughput_over_wireguard_go", f.Throughput.Gate, "bare wireguard-go on the same kind of device; as it comes: "+figure(f.Throughput.Stock), f.Throughput.Bare, "Mbit/s", atLeast(0.95))},
		{"failover", plain("tunnel.failover_s", "s", f.Failover.First, "the same, until TCP went on", f.Failover.TCP, atMost(1))},
		{"idle", plain("tunnel.idle_cpu", "of a core", f.Idle.tunnels(), "the same gate without tunnels", f.Idle.Without, atMost(0.01))},
	}
	var out []measurement
	for _, x := range all {
		if why, is := f.Missing[x.part]; is {
			x.m = absent(x.m, why)
		}
		out = append(out, x.m)
	}
	return out
}

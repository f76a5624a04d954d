package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/hack/files/honest"
	"github.com/sekisho/sekisho/hack/files/hostile"
)

// neighbours are figures of packets and tunnels, idle and while all workers are busy.
type neighbours struct {
	forwarding, mean, worst [2]float64 // Mpps by the clock; guarantees in the mean and in the worst second
	passed                  int64      // files meanwhile
}

// loss is the largest part of a figure that files take, 0 when none takes any.
func (n *neighbours) loss() float64 {
	var most float64
	for _, v := range [][2]float64{n.forwarding, n.mean, n.worst} {
		most = max(most, 1-v[1]/v[0])
	}
	return most
}

func (n *neighbours) lines() []string {
	if n.passed == 0 {
		return nil
	}
	return []string{
		fmt.Sprintf("forwarding idle, beside files\t%.2f, %.2f Mpps", n.forwarding[0], n.forwarding[1]),
		fmt.Sprintf("guarantees idle, beside files\t%.3f, %.3f in the mean, %.3f, %.3f in the worst second\t%d files meanwhile", n.mean[0], n.mean[1], n.worst[0], n.worst[1], n.passed),
	}
}

func (n *neighbours) measure(ctx context.Context, dir string, made []honest.File) error {
	load := bombs(made)
	if err := n.forward(ctx, dir, load); err != nil {
		return err
	}
	for busy := range 2 {
		var f tunnelFigures
		var err error
		if busy == 0 {
			f = measureTunnels("guarantee")
		} else {
			err = n.beside(ctx, load, func() error { f = measureTunnels("guarantee"); return nil })
		}
		if err := errors.Join(err, f.err()); err != nil {
			return err
		}
		n.mean[busy], n.worst[busy] = f.Guarantee.Mean, f.Guarantee.Worst
	}
	return nil
}

// forward measures the packet core alone and beside files, in turns.
func (n *neighbours) forward(ctx context.Context, dir string, load []honest.File) error {
	x, err := newFixture(newTown(10_000), flows64k, dir)
	if err != nil {
		return err
	}
	defer x.close()
	if err := undisturbed(func() error { return x.fill(flows64k) }); err != nil {
		return err
	}
	if err := x.feeder.list(tuples(x.live, x.ends().data)); err != nil {
		return err
	}
	if err := x.lane.onOwnCPU(); err != nil {
		return err
	}
	const rounds, work = 5, 400 * time.Millisecond
	var rates [2][]float64
	one := func(busy int) error {
		r, err := x.lane.measure(work)
		rates[busy] = append(rates[busy], r.received/1e6)
		return err
	}
	for range rounds {
		if err := one(0); err != nil {
			return err
		}
		if err := n.beside(ctx, load, func() error { return one(1) }); err != nil {
			return err
		}
	}
	n.forwarding = [2]float64{median(rates[0]), median(rates[1])}
	return nil
}

// bombs are files that keep a worker busy until it refuses them, and large ones that it does not.
func bombs(made []honest.File) []honest.File {
	var all []honest.File
	for _, h := range hostile.All() {
		if strings.Contains(h.Technique, "bomb") || strings.Contains(h.Technique, "levels") {
			all = append(all, honest.File{Name: h.Name, Body: h.Body})
		}
	}
	for _, h := range made {
		if len(h.Body) > 500_000 && len(h.Body) < 10<<20 {
			all = append(all, h)
		}
	}
	return all
}

// beside runs f while as many workers as there may be are given file after file.
func (n *neighbours) beside(ctx context.Context, load []honest.File, f func() error) error {
	w, done, err := boxed()
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithCancel(ctx)
	var next, passed atomic.Int64
	var workers sync.WaitGroup
	for range broker.Parallel {
		workers.Go(func() {
			for ctx.Err() == nil {
				h := load[int(next.Add(1))%len(load)]
				w.Pass(ctx, verdict.Job{Name: h.Name}, h.Body)
				passed.Add(1)
			}
		})
	}
	time.Sleep(300 * time.Millisecond) // they have all begun
	err = f()
	cancel()
	workers.Wait()
	n.passed += passed.Load()
	return err
}

package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/region"
)

// This program is also what it starts: the gate's engines, far ends, and the ends of a bare tunnel.
const (
	regionCommand = "region"
	bareCommand   = "bare"
)

// role runs the role that the arguments name, and tells whether they name one.
func role(args []string) (code int, ok bool) {
	if len(args) == 0 {
		return 0, false
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	var err error
	switch {
	case args[0] == tunnel.ChildCommand:
		return tunnel.Child(ctx, os.Stderr), true
	case args[0] == regionCommand && len(args) == 2:
		err = diesWithParent()
		if err == nil {
			log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
			err = region.Run(ctx, args[1], region.Options{Log: log})
		}
	case args[0] == bareCommand && len(args) == 2:
		err = diesWithParent()
		if err == nil {
			err = bare(ctx, args[1])
		}
	default:
		return 0, false
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1, true
	}
	return 0, true
}

// diesWithParent is for roles below the first process of a PID namespace, which takes them along in any case.
func diesWithParent() error {
	if os.Getppid() != 1 {
		return fmt.Errorf("this role belongs to a measurement")
	}
	return nil
}

// bareEnd is one end of a tunnel of nothing but wireguard-go.
type bareEnd struct {
	Device   string
	Key      wgtypes.Key
	Peer     wgtypes.Key // public
	Listen   uint16
	Endpoint string
	Stock    bool // the TUN as wireguard-go makes it, with super-packets; else of the kind that the gate uses
}

func bare(ctx context.Context, text string) error {
	var e bareEnd
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return err
	}
	var t tun.Device
	var err error
	if e.Stock {
		t, err = tun.CreateTUN(e.Device, labMTU)
	} else {
		t, err = plainTUN(e.Device)
	}
	if err != nil {
		return fmt.Errorf("make TUN %s: %w", e.Device, err)
	}
	if err := tunnel.Urgent(); err != nil { // as the gate's engines are
		return err
	}
	d := device.NewDevice(t, conn.NewDefaultBind(), device.NewLogger(device.LogLevelError, e.Device+": "))
	defer d.Close()
	if err := d.IpcSet(fmt.Sprintf("private_key=%s\nlisten_port=%d\npublic_key=%s\nendpoint=%s\nallowed_ip=0.0.0.0/0\n",
		hex.EncodeToString(e.Key[:]), e.Listen, hex.EncodeToString(e.Peer[:]), e.Endpoint)); err != nil {
		return err
	}
	if err := d.Up(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func plainTUN(name string) (tun.Device, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	r, err := unix.NewIfreq(name)
	if err == nil {
		r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	t, _, err := tun.CreateUnmonitoredTUNFromFD(fd)
	return t, err
}

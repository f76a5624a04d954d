// Command sekisho-broker starts every sandbox and signs what the verifier passed; see package broker.
//
//	sekisho-broker prepare --name N              as root, before each start: key, directories, clamd's configuration, control group (--parallel as below)
//	sekisho-broker --name N [--worker FILE] [--parallel P] [--clamd SOCKET] [--clamd-start TIME]   as user sekisho-broker: serve
//	sekisho-broker clamd --name N                as user clamav: run the gate's clamd, in a place of its own without network
//	sekisho-broker forget --name N               as root: remove the control group
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/sandbox"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
	"github.com/sekisho/sekisho/dataplane/socket"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "sekisho-broker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	verb := ""
	if len(args) > 0 && (args[0] == "prepare" || args[0] == "clamd" || args[0] == "forget") {
		verb, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet("sekisho-broker", flag.ContinueOnError)
	flags.SetOutput(stderr)
	name := flags.String("name", "sekisho", "name of the gate on this machine")
	worker := flags.String("worker", "", "the sanitize worker; by default sekisho-sanitize beside this program")
	parallel := flags.Int("parallel", broker.Parallel, "files worked on at once; prepare gives all sandboxes together memory for so many")
	clamd := flags.String("clamd", "", "socket of the clamd that looks at each file; by default the gate's own")
	start := flags.Duration("clamd-start", antivirus.StartPatience, "how long files wait for a clamd that is being started; then they are blocked")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *start <= 0 || *start > antivirus.StartPatience {
		return fmt.Errorf("--clamd-start %s: want more than 0 and at most %s, which whoever waits for a file allows for", *start, antivirus.StartPatience)
	}
	i := place.Instance(*name)
	switch verb {
	case "prepare":
		group, err := broker.PrepareFor(i, *parallel)
		if err == nil {
			fmt.Fprintln(stdout, group)
		}
		return err
	case "clamd":
		if os.Geteuid() != 0 {
			if err := sandbox.JoinScanner(*name); err != nil {
				fmt.Fprintln(stderr, "sekisho-broker:", err)
			}
		}
		return antivirus.At(i).Run(ctx, stderr)
	case "forget":
		return sandbox.Undelegate(*name)
	}
	if *worker == "" {
		exe, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find the worker: %w", err)
		}
		*worker = filepath.Join(filepath.Dir(exe), "sekisho-sanitize")
	}
	if *clamd == "" {
		*clamd = i.ClamdSocket()
	}
	return serve(ctx, i, *worker, &antivirus.Daemon{Socket: *clamd, Start: *start}, *parallel, slog.New(slog.NewTextHandler(stderr, nil)))
}

func serve(ctx context.Context, i place.Instance, worker string, scanner *antivirus.Daemon, parallel int, log *slog.Logger) error {
	worker, err := filepath.Abs(worker)
	if err != nil {
		return err
	}
	if _, err := os.Stat(worker); err != nil {
		return fmt.Errorf("find the worker: %w", err)
	}
	key, err := broker.LoadKey(i)
	if err != nil {
		return err
	}
	group, err := sandbox.OpenGroup(string(i))
	if err != nil {
		return err
	}
	total, err := sandbox.Total(parallel)
	if err == nil {
		err = group.Bound(total)
	}
	if err != nil {
		return err
	}
	box := &sandbox.Worker{Box: &sandbox.Box{Group: group}, Binary: worker, Scanner: scanner, Pool: sandbox.Pooled(parallel)} // filled by the first old document
	defer box.Close()
	b := broker.New(box, release.NewClient(i.ReleaseSocket()), key, i.Routes(), parallel, log)
	b.Scanner = scanner
	l, err := socket.Listen(i.BrokerSocket())
	if err != nil {
		return err
	}
	srv := socket.Server(b.Handler())
	srv.ReadHeaderTimeout = 10 * time.Second
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	log.Info("serving", "socket", i.BrokerSocket(), "worker", worker, "clamd", scanner.Socket, "parallel", parallel)
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := srv.Shutdown(end); err != nil { // a file that takes longer is given again by control
		return errors.Join(srv.Close())
	}
	return nil
}

// Command lab builds a town hall in network namespaces, with the real programs, and takes it away again.
//
//	lab up     [--name N]               hosts, wires, gate; returns when everything answers
//	lab down   [--name N]               removes all of it, also what a crash left
//	lab status [--name N]               addresses, MACs, URLs, one-time credentials as JSON
//	lab exec   [--name N] HOST -- CMD   runs a command on a host
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/sekisho/sekisho/hack/town"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return errors.New("want up, down, status or exec; see the comment at the top of hack/lab/main.go")
	}
	flags := flag.NewFlagSet("lab "+args[0], flag.ContinueOnError)
	name := flags.String("name", "sekisho", "name of the lab; its namespaces are NAME-HOST")
	netOnly := flags.Bool("net-only", false, "up: hosts and wires without the gate's programs")
	as := flags.String("as", "", "serve: name to answer with")
	httpPort := flags.String("http", "", "serve: HTTP port")
	httpsPort := flags.String("https", "", "serve: HTTPS port")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	n, err := town.ParseName(*name)
	if err != nil {
		return err
	}
	switch args[0] {
	case "up":
		bin, err := binDir()
		if err != nil {
			return err
		}
		t, err := town.Up(ctx, n, town.Options{Bin: bin, Progress: os.Stderr, NetOnly: *netOnly})
		if err != nil {
			return err
		}
		return t.Keep()
	case "down":
		return town.Down(n)
	case "status":
		return town.Status(n, stdout)
	case "exec":
		return execute(n, flags.Args())
	case "serve":
		return town.Serve(ctx, *as, *httpPort, *httpsPort)
	case "janitor":
		return town.RunJanitor(n, os.Stdin)
	}
	return fmt.Errorf("no subcommand %q: want up, down, status or exec", args[0])
}

// binDir is the folder of this program: the others lie beside it.
func binDir() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the programs: %w", err)
	}
	return filepath.Dir(self), nil
}

func execute(n town.Name, args []string) error {
	if len(args) >= 2 && args[1] == "--" {
		args = append(args[:1:1], args[2:]...)
	}
	if len(args) < 2 {
		return errors.New("exec wants: HOST -- COMMAND [ARGUMENTS]")
	}
	ip, err := exec.LookPath("ip")
	if err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	return syscall.Exec(ip, append([]string{"ip", "netns", "exec", n.Netns(args[0])}, args[1:]...), os.Environ())
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/pcapng"
)

const captureUsage = `usage: sekisho capture FILE --name N [--verdict allowed|dropped] [--segment S] [--record R] [--reason R] [--hook H]
       [--packets 10000] [--size 64M] [--time 1m] [--snap 256]   packets and what became of them, as pcapng; FILE -: standard output`

// runCapture writes packets into a new file until a bound is reached or somebody interrupts it.
func runCapture(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("capture", stderr)
	flags.Usage = func() { fmt.Fprintln(stderr, captureUsage) }
	o := packet.CaptureOptions{Bytes: 64 << 20}
	flags.StringVar(&o.Filter.Verdict, "verdict", "", "allowed or dropped")
	flags.StringVar(&o.Filter.Segment, "segment", "", "`segment` that packets come from or go to")
	flags.StringVar(&o.Filter.Record, "record", "", "`record` that permits them")
	flags.StringVar(&o.Filter.Reason, "reason", "", "`reason` of the drop")
	flags.StringVar(&o.Filter.Hook, "hook", "", "`place`: xdp, devmap, port-in, port-out, tunnel-in, tunnel-out")
	flags.Uint64Var(&o.Packets, "packets", 10_000, "most packets")
	flags.Func("size", "most bytes of the file; k, M and G are powers of 1024", func(s string) (err error) {
		o.Bytes, err = parseSize(s)
		return err
	})
	flags.DurationVar(&o.Time, "time", time.Minute, "longest time")
	flags.IntVar(&o.Snap, "snap", 256, "bytes kept of a packet")
	files, err := interspersed(flags, args)
	if err != nil || *name == "" || len(files) != 1 {
		if err == nil {
			fmt.Fprintln(stderr, captureUsage)
		}
		return exitUsage
	}
	return capture(ctx, dataplaneOf(*name), files[0], o, stdout, stderr)
}

func parseSize(s string) (int64, error) {
	number, unit := strings.TrimRight(s, "kMG"), int64(1)
	switch s[len(number):] {
	case "":
	case "k":
		unit = 1 << 10
	case "M":
		unit = 1 << 20
	case "G":
		unit = 1 << 30
	default:
		return 0, fmt.Errorf("%q is no size", s)
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is no size", s)
	}
	return n * unit, nil
}

func capture(ctx context.Context, d dataplane, file string, o packet.CaptureOptions, stdout, stderr io.Writer) int {
	fail := func(err error) int {
		fmt.Fprintln(stderr, "sekisho capture:", err)
		return exitFailed
	}
	if file != "-" {
		if _, err := os.Lstat(file); err == nil {
			return fail(fmt.Errorf("%s exists already; name another file", file))
		}
	}
	resp, err := d.ask(ctx, "/capture", gate.CaptureQuery(o))
	if err != nil {
		return fail(err)
	}
	defer resp.Body.Close()
	out, closeOut := stdout, func() error { return nil }
	if file != "-" {
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%s exists already; name another file", file)
		}
		if err != nil {
			return fail(err)
		}
		out, closeOut = f, f.Close
	}
	fmt.Fprintln(stderr, "capturing; interrupt to end")
	whole := &pcapng.Whole{W: out}
	_, err = io.Copy(whole, resp.Body)
	if f, ok := out.(*os.File); ok && file != "-" && err != nil {
		err = errors.Join(err, f.Truncate(whole.Size())) // of a block that did not fit
	}
	err = errors.Join(err, closeOut())
	if ctx.Err() != nil {
		fmt.Fprintf(stderr, "interrupted: %d bytes\n", whole.Size())
		return exitOK
	}
	if errors.Is(err, unix.ENOSPC) {
		return fail(fmt.Errorf("the disk is full: %s ends after %d bytes, with a whole packet", file, whole.Size()))
	}
	if err != nil {
		return fail(fmt.Errorf("%w; %s ends after %d bytes, with a whole packet", err, file, whole.Size()))
	}
	var r packet.CaptureResult
	if err := json.Unmarshal([]byte(resp.Trailer.Get(gate.CaptureTrailer)), &r); err != nil {
		return fail(fmt.Errorf("the dataplane broke off: %s ends after %d bytes, with a whole packet", file, whole.Size()))
	}
	fmt.Fprintf(stderr, "%d packets, %d bytes: %s\n", r.Packets, r.Bytes, map[string]string{
		packet.EndPackets: "as many as were asked for", packet.EndBytes: "the next one would not have fitted", packet.EndTime: "the time is over",
		packet.EndPolicy: "another policy came into force, in which the record has other numbers", packet.EndStopped: "stopped",
	}[r.End])
	if r.Lost > 0 {
		fmt.Fprintf(stderr, "%d more packets were wanted and came too fast to be kept; narrow the filter\n", r.Lost)
	}
	return exitOK
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/pcapng"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// puppet answers as the dataplane does, with its own types.
func puppet(t *testing.T, answers map[string]any) dataplane {
	t.Helper()
	path := filepath.Join(t.TempDir(), "d", "api.sock")
	l, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	srv := socket.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch a := answers[r.URL.Path].(type) {
		case nil:
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error": "no such thing"}`)
		case http.HandlerFunc:
			a(w, r)
		default:
			json.NewEncoder(w).Encode(a)
		}
	}))
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return dataplane{path}
}

var townNames = packet.Names{Epoch: 7,
	Segments: map[uint16]packet.SegmentName{1: {Name: "mn-office", Zone: anchors.MyNumber}, 2: {Name: "lg-asp", Zone: anchors.LGWAN}, 3: {Name: "in-pcs", Zone: anchors.Internet}},
	Rules:    map[uint32][]string{1: {"eltax"}, 2: {"juki", "koseki"}},
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func townFlows() []packet.Flow {
	return []packet.Flow{
		{Proto: 6, Src: ip("198.18.10.11"), SPort: 40000, Dst: ip("198.18.21.11"), DPort: 443, SrcSegment: 1, DstSegment: 2, Rule: 1, Epoch: 7, Idle: 3.4, Forward: packet.Count{Packets: 12, Bytes: 1800}, Reverse: packet.Count{Packets: 900, Bytes: 1234567}},
		{Proto: 17, Src: ip("2001:db8:10::12"), SPort: 5000, Dst: ip("2001:db8:21::11"), DPort: 53, SrcSegment: 1, DstSegment: 2, Rule: 2, Epoch: 7, Idle: 65, Forward: packet.Count{Packets: 2, Bytes: 180}},
		{Proto: 1, Src: ip("198.18.21.11"), SPort: 77, Dst: ip("198.18.30.11"), DPort: 77, SrcSegment: 2, DstSegment: 3, Rule: 1, Epoch: 6, Idle: 0.1, Forward: packet.Count{Packets: 4, Bytes: 392}, Reverse: packet.Count{Packets: 4, Bytes: 392}},
		{Proto: 47, Src: ip("198.18.10.13"), Dst: ip("198.18.21.12"), SrcSegment: 1, DstSegment: 9, Rule: 1, Epoch: 7, Forward: packet.Count{Packets: 1, Bytes: 60}},
	}
}

// shown compares what a person sees with a golden file.
func shown(t *testing.T, name, got string) {
	t.Helper()
	golden(t, filepath.Join("..", "watch", name), got)
}

func TestFlowsAreListed(t *testing.T) {
	d := puppet(t, map[string]any{"/flows": townFlows(), "/names": townNames})
	for _, x := range []struct {
		golden string
		wants  flowFilter
		order  string
		most   int
		json   bool
		code   int
	}{
		{golden: "flows", order: "bytes"},
		{golden: "flows-packets", order: "packets", most: 2},
		{golden: "flows-idle", order: "idle"},
		{golden: "flows-addr", order: "addr"},
		{golden: "flows-zone", wants: flowFilter{zone: "internet"}, order: "bytes"},
		{golden: "flows-segment", wants: flowFilter{segment: "mn-office", addr: netip.MustParsePrefix("198.18.0.0/15")}, order: "bytes"},
		{golden: "flows-record", wants: flowFilter{record: "koseki"}, order: "bytes"},
		{golden: "flows-json", wants: flowFilter{addr: netip.MustParsePrefix("198.18.21.11/32")}, order: "bytes", json: true},
		{golden: "flows-none", wants: flowFilter{zone: "management"}, order: "bytes", json: true},
		{golden: "flows-no-zone", wants: flowFilter{zone: "mynumber"}, order: "bytes", code: 1},
		{golden: "flows-no-segment", wants: flowFilter{segment: "lgasp"}, order: "bytes", code: 1},
		{golden: "flows-no-record", wants: flowFilter{record: "elt"}, order: "bytes", code: 1},
	} {
		var out bytes.Buffer
		if code := listFlows(t.Context(), d, x.wants, x.order, x.most, x.json, &out, &out); code != x.code {
			t.Errorf("%s: exit code %d, want %d", x.golden, code, x.code)
		}
		shown(t, x.golden, out.String())
	}
}

func TestTopShowsWhatMoves(t *testing.T) {
	pair := [2]anchors.Zone{anchors.MyNumber, anchors.LGWAN}
	a := sight{at: time.Unix(100, 0), names: townNames, counters: packet.Counters{
		Opened: 10, Pairs: map[[2]anchors.Zone]packet.Count{pair: {Packets: 100, Bytes: 10_000}}, Reasons: map[string]packet.Count{"no-cell": {Packets: 50, Bytes: 3000}},
		Rules: map[uint32]packet.Count{1: {Packets: 90, Bytes: 9000}}, Segments: []packet.SegmentCount{{From: 1, To: 2, Count: packet.Count{Packets: 100, Bytes: 10_000}}},
	}}
	b := sight{at: time.Unix(102, 0), names: townNames, counters: packet.Counters{
		Opened: 14, Pairs: map[[2]anchors.Zone]packet.Count{pair: {Packets: 2100, Bytes: 2_510_000}},
		Reasons: map[string]packet.Count{"no-cell": {Packets: 51, Bytes: 3060}, "station-mac-mismatch": {Packets: 400, Bytes: 24_000}},
		Rules:   map[uint32]packet.Count{1: {Packets: 1090, Bytes: 2_009_000}, 2: {Packets: 1000, Bytes: 500_000}},
		Segments: []packet.SegmentCount{{From: 0, To: 0, Count: packet.Count{Packets: 1, Bytes: 60}}, {From: 1, To: 2, Count: packet.Count{Packets: 2100, Bytes: 2_510_000}},
			{From: 2, To: 9, Count: packet.Count{Packets: 2, Bytes: 120}}},
		EventsLost: 3, Redirects: []packet.RedirectFailure{{Device: "lga0", Kind: "send", Error: "ENXIO", Frames: 8}},
	}}
	for i, f := range townFlows() {
		if i > 0 {
			old := f
			old.Forward.Bytes /= 2
			old.Forward.Packets /= 2
			a.flows = append(a.flows, named(old, townNames))
		}
		b.flows = append(b.flows, named(f, townNames))
	}
	for name, lines := range map[string]int{"top": 10, "top-short": 1} {
		var out bytes.Buffer
		if err := between(a, b, lines).print(&out); err != nil {
			t.Fatal(err)
		}
		shown(t, name, out.String())
	}
	// Other tables came: their rules count from zero, whatever the same numbers were before.
	b.names.Epoch++
	for _, r := range between(a, b, 10).records {
		if r.packets != float64(r.total.Packets)/2 {
			t.Errorf("%+v: want the whole count of the new tables as its rate", r)
		}
	}
}

func TestTopOnce(t *testing.T) {
	d := puppet(t, map[string]any{"/flows": townFlows(), "/names": townNames, "/counters": packet.Counters{}})
	var out bytes.Buffer
	if err := watch(t.Context(), d, true, 100*time.Millisecond, 10, &out); err != nil || !strings.HasPrefix(out.String(), "4 live flows") {
		t.Errorf("%v: %s", err, out.String())
	}
	var errs bytes.Buffer
	if code := runTop(t.Context(), []string{"--name", "nowhere", "--once"}, &out, &errs); code != exitFailed || !strings.Contains(errs.String(), "does sekisho-dataplane run") {
		t.Errorf("without a dataplane: %d, %s", code, errs.String())
	}
}

// shots is an endless capture; it ends with the trailer after n packets, or breaks off when n is negative.
func shots(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := pcapng.New(w, 1<<30, "", pcapng.Interface{Name: "mn0", Link: pcapng.Ethernet, Snap: 256})
		for i := 0; err == nil && i != max(n, -n); i++ {
			err = p.Packet(pcapng.Packet{Data: make([]byte, 200), Length: 200, Comment: "allowed"})
		}
		http.NewResponseController(w).Flush()
		if n < 0 {
			io.WriteString(w, "\x06\x00\x00\x00\xff\x00\x00\x00half a packet")
			return
		}
		b, _ := json.Marshal(packet.CaptureResult{Packets: uint64(n), Bytes: p.Size(), End: packet.EndPackets, Lost: 5})
		w.Header().Set(http.TrailerPrefix+gate.CaptureTrailer, string(b))
	}
}

func TestCaptureIntoAFile(t *testing.T) {
	dir := t.TempDir()
	o := packet.CaptureOptions{Snap: 256, Packets: 10, Bytes: 1 << 20, Time: time.Minute}
	take := func(d dataplane, name string) (code int, said string, size int64) {
		var out bytes.Buffer
		file := filepath.Join(dir, name)
		code = capture(t.Context(), d, file, o, &out, &out)
		fi, err := os.Stat(file)
		if err == nil {
			size = fi.Size()
		}
		return code, strings.ReplaceAll(out.String(), dir, "DIR"), size
	}
	d := puppet(t, map[string]any{"/capture": shots(3)})
	code, said, size := take(d, "good")
	if code != exitOK || size == 0 {
		t.Errorf("%d, %d bytes: %s", code, size, said)
	}
	shown(t, "capture", said)
	if code, said, _ = take(d, "good"); code != exitFailed || !strings.Contains(said, "exists already") {
		t.Errorf("a file is written over: %d, %s", code, said)
	}
	code, said, cut := take(puppet(t, map[string]any{"/capture": shots(-3)}), "cut")
	if code != exitFailed || cut != size {
		t.Errorf("broken off: %d, %d bytes, want %d: %s", code, cut, size, said)
	}
	shown(t, "capture-cut", said)
	code, said, size = take(puppet(t, nil), "refused")
	if code != exitFailed || size != 0 {
		t.Errorf("refused: %d, %d bytes", code, size)
	}
	shown(t, "capture-refused", said)
	var out bytes.Buffer
	if code := capture(t.Context(), d, "-", o, &out, io.Discard); code != exitOK || int64(out.Len()) != cut {
		t.Errorf("to standard output: %d, %d bytes, want %d", code, out.Len(), cut)
	}
}

func TestCaptureOnAFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts a small disk: run it as root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	file := filepath.Join(dir, "x.pcapng")
	var out bytes.Buffer
	code := capture(t.Context(), puppet(t, map[string]any{"/capture": shots(100_000)}), file, packet.CaptureOptions{}, &out, &out)
	if code != exitFailed || !strings.Contains(out.String(), "the disk is full") {
		t.Errorf("%d: %s", code, out.String())
	}
	b, err := os.ReadFile(file)
	if err != nil || len(b) < 32<<10 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	whole := &pcapng.Whole{W: io.Discard}
	if _, err := whole.Write(b); err != nil || whole.Size() != int64(len(b)) {
		t.Errorf("the file ends %d bytes after its last whole block, %v", int64(len(b))-whole.Size(), err)
	}
}

func TestCaptureIsInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	file := filepath.Join(t.TempDir(), "x")
	d := puppet(t, map[string]any{"/capture": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shots(2)(w, r)
		io.WriteString(w, "\x06\x00\x00\x00\xff\x00\x00\x00half")
		http.NewResponseController(w).Flush()
		for {
			if fi, err := os.Stat(file); err == nil && fi.Size() > 400 {
				stop()
			}
			select {
			case <-r.Context().Done():
				return
			case <-time.After(time.Millisecond):
			}
		}
	})})
	var out bytes.Buffer
	if code := capture(ctx, d, file, packet.CaptureOptions{}, &out, &out); code != exitOK || !strings.Contains(out.String(), "interrupted") {
		t.Errorf("%d: %s", code, out.String())
	}
	b, err := os.ReadFile(file)
	whole := &pcapng.Whole{W: io.Discard}
	if _, werr := whole.Write(b); err != nil || werr != nil || whole.Size() != int64(len(b)) || len(b) < 400 {
		t.Errorf("%d bytes, %d of them whole; %v, %v", len(b), whole.Size(), err, werr)
	}
}

func TestSizes(t *testing.T) {
	for in, want := range map[string]int64{"1": 1, "4096": 4096, "3k": 3072, "64M": 64 << 20, "1G": 1 << 30, "": 0, "M": 0, "-1": 0, "0": 0, "1T": 0, "9999999999G": 0, "1kM": 0, "k1": 0} {
		if got, err := parseSize(in); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v; want %d", in, got, err, want)
		}
	}
	for in, want := range map[float64]string{0: "0", 7: "7", 7.25: "7.2", 999: "999", 1000: "1.0k", 1234567: "1.2M", 999_960: "1.0M", 2.5e9: "2.5G"} {
		if got := siPrefix(in); got != want {
			t.Errorf("%v: %q, want %q", in, got, want)
		}
	}
}

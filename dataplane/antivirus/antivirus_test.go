package antivirus_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/antivirus/clamtest"
)

const marker = clamtest.Marker

var eicar = clamtest.EICAR()

var today = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// start runs a real clamd on our configuration, with changed lines, and signatures of our own.
func start(t *testing.T, made time.Time, changed map[string]string) (*antivirus.Daemon, *clamtest.Clamd) {
	t.Helper()
	c := clamtest.Start(t, clamtest.Options{Made: made, Changed: changed})
	d := c.Daemon()
	d.Now = func() time.Time { return today }
	return d, c
}

func code(err error) string {
	var r *antivirus.Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return fmt.Sprint(err)
}

// zipOf writes the members in the order of their names: what lies behind a limit on their number lies last.
func zipOf(t *testing.T, members map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(members[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// noise is text that no signature matches and that does not shrink much.
func noise(n int) []byte {
	dice := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + dice.IntN(26))
	}
	return b
}

// What clamd by itself calls OK because it stopped looking is found, or blocked.
func TestSignaturesBehindLimitsAreFoundOrBlocked(t *testing.T) {
	d, _ := start(t, today.Add(-3*time.Hour), nil)
	nested := []byte(marker)
	for range 25 {
		nested = zipOf(t, map[string][]byte{"inner.zip": nested})
	}
	many := map[string][]byte{}
	for i := range 10_100 {
		many[fmt.Sprintf("%05d.txt", i)] = []byte("a")
	}
	many["zz.txt"] = []byte(marker)
	html := func(n int) []byte {
		return fmt.Appendf(nil, "<html><body><p>%s</p><p>Sekisho-<!-- x -->Normalized-Marker-91</p></body></html>", noise(n))
	}
	for name, c := range map[string]struct {
		body []byte
		want []string
	}{
		"nothing":                 {[]byte("関所"), nil},
		"EICAR":                   {eicar, []string{antivirus.Found}},
		"EICAR in a ZIP":          {zipOf(t, map[string][]byte{"e.com": eicar}), []string{antivirus.Found}},
		"our own":                 {[]byte("a " + marker), []string{antivirus.Found}},
		"behind MaxFileSize":      {append(noise(26<<20), marker...), []string{antivirus.Found}},
		"behind MaxScanSize":      {append(noise(101<<20), marker...), []string{antivirus.Found}},
		"behind MaxZipTypeRcg":    {zipOf(t, map[string][]byte{"[Content_Types].xml": noise(3 << 20), "word/vbaProject.bin": []byte(marker)}), []string{antivirus.Found}},
		"in HTML":                 {html(10), []string{antivirus.Found}},
		"behind MaxHTMLNormalize": {html(11 << 20), []string{antivirus.Found}},
		"behind MaxRecursion":     {nested, []string{antivirus.Limit, antivirus.Found}},
		"behind MaxFiles":         {zipOf(t, many), []string{antivirus.Limit, antivirus.Found}},
		"in a member of 26 MB":    {zipOf(t, map[string][]byte{"a.bin": append(noise(26<<20), marker...)}), []string{antivirus.Found}},
	} {
		e, err := d.Scan(t.Context(), c.body)
		got := code(err)
		if c.want == nil && err != nil || c.want != nil && !strings.Contains(strings.Join(c.want, " "), got) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if e.Signatures != clamtest.Version || d.Age(e) != 3*time.Hour {
			t.Errorf("%s: engine %s", name, e)
		}
	}
	d.Limit = 100
	if _, err := d.Scan(t.Context(), noise(101)); code(err) != antivirus.Limit {
		t.Errorf("over our own limit: got %v, want %s", err, antivirus.Limit)
	}
}

// Limits that are reached are alarms, whatever lies behind them; the stream's own, too.
func TestReachedLimitsAreAlarms(t *testing.T) {
	for name, c := range map[string]struct {
		key, value string
		body       []byte
	}{
		"stream": {"StreamMaxLength", "1M", append(noise(2<<20), marker...)},
		"file":   {"MaxFileSize", "1M", append(noise(2<<20), marker...)},
		"scan":   {"MaxScanSize", "1M", append(noise(2<<20), marker...)},
		"time":   {"MaxScanTime", "1", zipOf(t, map[string][]byte{"a": noise(20 << 20), "b": noise(20 << 20), "c": []byte(marker)})},
		"files":  {"MaxFiles", "2", zipOf(t, map[string][]byte{"a": noise(10), "b": noise(10), "c": noise(10), "d": []byte(marker)})},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := start(t, today, map[string]string{c.key: c.value})
			if _, err := d.Scan(t.Context(), c.body); code(err) != antivirus.Limit {
				t.Errorf("got %v, want %s", err, antivirus.Limit)
			}
		})
	}
}

func TestOldSignaturesBlock(t *testing.T) {
	for name, c := range map[string]struct {
		made time.Time
		want string
	}{
		"29 days": {today.Add(-29 * 24 * time.Hour), "<nil>"},
		"31 days": {today.Add(-31 * 24 * time.Hour), antivirus.Stale},
		"unknown": {time.Time{}, antivirus.Stale},
	} {
		d, _ := start(t, c.made, nil)
		if _, err := d.Scan(t.Context(), []byte("x")); code(err) != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

func TestSilenceBlocks(t *testing.T) {
	d, c := start(t, today, nil)
	d.Patience = func(int64) time.Duration { return time.Second }
	c.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // less than the patience that is usual
	defer cancel()
	if _, err := d.Scan(ctx, []byte("x")); code(err) != antivirus.Silent || ctx.Err() != nil {
		t.Errorf("a clamd that stands still: got %v, and the patience of a minute says %v", err, ctx.Err())
	}
	c.Kill()
	if _, err := d.Scan(t.Context(), []byte("x")); code(err) != antivirus.Silent {
		t.Errorf("a clamd that is dead: got %v, want %s", err, antivirus.Silent)
	}
	c.Again()
	d.Patience = nil
	if _, err := d.Scan(t.Context(), []byte("x")); err != nil {
		t.Errorf("a clamd that came back: %v", err)
	}
	d.Socket += "x"
	if _, err := d.Scan(t.Context(), []byte("x")); code(err) != antivirus.Silent {
		t.Errorf("no socket: got %v, want %s", err, antivirus.Silent)
	}
}

func TestOldSignaturesAreToldBeforeTheyBlock(t *testing.T) {
	const day = 24 * time.Hour
	d, c := start(t, today.Add(-time.Hour), nil)
	for _, want := range []struct {
		later time.Duration
		level antivirus.Level
		code  string
	}{{0, antivirus.Fresh, ""}, {day, antivirus.Day, ""}, {3 * day, antivirus.Days, ""}, {7 * day, antivirus.Week, ""}, {29 * day, antivirus.Week, ""}, {30 * day, antivirus.Blocking, antivirus.Stale}} {
		d.Now = func() time.Time { return today.Add(want.later) }
		got := d.Standing(t.Context())
		if got.Level != want.level || got.Code != want.code || got.Signatures != clamtest.Version || !got.Made.Equal(today.Add(-time.Hour)) ||
			!got.Reachable || got.AgeHours != int((want.later+time.Hour)/time.Hour) {
			t.Errorf("%v later: got %+v, want level %d %s", want.later, got, want.level, want.code)
		}
	}
	c.Kill()
	if got := d.Standing(t.Context()); got.Level != antivirus.Blocking || got.Code != antivirus.Silent || got.Version != "" || got.Reachable {
		t.Errorf("a clamd that is dead: %+v", got)
	}
}

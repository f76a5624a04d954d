package antivirus

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Words that the test's own signatures know. They do nothing.
const (
	marker = "SEKISHO-TEST-SIGNATURE-7f3a"
	inHTML = "sekisho-normalized-marker-91" // matches in normalized HTML only
)

// eicar is the standard test file, put together here so that no scanner stops at this source.
var eicar = []byte(`X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-` + `STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`)

var today = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// start runs a real clamd on our configuration, with changed lines, and signatures of our own.
func start(t *testing.T, made time.Time, changed map[string]string) (*Daemon, *os.Process) {
	t.Helper()
	clamd, err := exec.LookPath("clamd")
	if err != nil {
		t.Fatal("no clamd: run hack/bootstrap")
	}
	dir := t.TempDir()
	s := Settings{Socket: filepath.Join(dir, "s"), Signatures: filepath.Join(dir, "db"), Temporary: dir}
	if err := os.Mkdir(s.Signatures, 0o755); err != nil {
		t.Fatal(err)
	}
	signatures := fmt.Sprintf("Sekisho.Test:0:*:%s\nSekisho.HTML:3:*:%s\nEicar.Test:0:0:%s\n", hex.EncodeToString([]byte(marker)), hex.EncodeToString([]byte(inHTML)), hex.EncodeToString(eicar))
	if err := os.WriteFile(filepath.Join(s.Signatures, "own.ndb"), []byte(signatures), 0o644); err != nil {
		t.Fatal(err)
	}
	if !made.IsZero() {
		if err := os.WriteFile(filepath.Join(s.Signatures, "daily.cud"), daily(t, made), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var conf strings.Builder
	for line := range strings.Lines(s.Configuration()) {
		key, _, _ := strings.Cut(line, " ")
		if v, ok := changed[key]; ok {
			line = key + " " + v + "\n"
		}
		conf.WriteString(line)
	}
	path := filepath.Join(dir, "clamd.conf")
	if err := os.WriteFile(path, []byte(conf.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(clamd, "--config-file", path)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		c, err := net.Dial("unix", s.Socket)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("clamd does not listen: %v", err)
		}
	}
	return &Daemon{Socket: s.Socket, Now: func() time.Time { return today }}, cmd.Process
}

// daily is an unsigned database of the name and form that the daily ones have.
func daily(t *testing.T, made time.Time) []byte {
	t.Helper()
	head := func(sum, signature string) string {
		return fmt.Sprintf("ClamAV-VDB:%s:27823:1:90:%s:%s:sekisho:%d", made.Format("02 Jan 2006 15-04 -0700"), sum, signature, made.Unix())
	}
	own := []byte("Sekisho.Daily:0:*:" + hex.EncodeToString([]byte("sekisho-daily-signature-55")) + "\n")
	info := fmt.Sprintf("%s\ndaily.ndb:%d:%x\n", head("X", "X"), len(own), sha256.Sum256(own))
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	w := tar.NewWriter(z)
	for _, f := range []struct {
		name string
		body []byte
	}{{"COPYING", []byte("x")}, {"daily.info", []byte(info)}, {"daily.ndb", own}} {
		err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.body)), Format: tar.FormatUSTAR})
		if err == nil {
			_, err = w.Write(f.body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return append(fmt.Appendf(nil, "%-512s", head(fmt.Sprintf("%x", md5.Sum(body.Bytes())), "x")), body.Bytes()...)
}

func code(err error) string {
	var r *Refusal
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
		"EICAR":                   {eicar, []string{Found}},
		"EICAR in a ZIP":          {zipOf(t, map[string][]byte{"e.com": eicar}), []string{Found}},
		"our own":                 {[]byte("a " + marker), []string{Found}},
		"behind MaxFileSize":      {append(noise(26<<20), marker...), []string{Found}},
		"behind MaxScanSize":      {append(noise(101<<20), marker...), []string{Found}},
		"behind MaxZipTypeRcg":    {zipOf(t, map[string][]byte{"[Content_Types].xml": noise(3 << 20), "word/vbaProject.bin": []byte(marker)}), []string{Found}},
		"in HTML":                 {html(10), []string{Found}},
		"behind MaxHTMLNormalize": {html(11 << 20), []string{Found}},
		"behind MaxRecursion":     {nested, []string{Limit, Found}},
		"behind MaxFiles":         {zipOf(t, many), []string{Limit, Found}},
		"in a member of 26 MB":    {zipOf(t, map[string][]byte{"a.bin": append(noise(26<<20), marker...)}), []string{Found}},
	} {
		e, err := d.Scan(t.Context(), c.body)
		got := code(err)
		if c.want == nil && err != nil || c.want != nil && !strings.Contains(strings.Join(c.want, " "), got) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if e.Signatures != 27823 || d.Age(e) != 3*time.Hour {
			t.Errorf("%s: engine %s", name, e)
		}
	}
	d.Limit = 100
	if _, err := d.Scan(t.Context(), noise(101)); code(err) != Limit {
		t.Errorf("over our own limit: got %v, want %s", err, Limit)
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
			if _, err := d.Scan(t.Context(), c.body); code(err) != Limit {
				t.Errorf("got %v, want %s", err, Limit)
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
		"31 days": {today.Add(-31 * 24 * time.Hour), Stale},
		"unknown": {time.Time{}, Stale},
	} {
		d, _ := start(t, c.made, nil)
		if _, err := d.Scan(t.Context(), []byte("x")); code(err) != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

func TestSilenceBlocks(t *testing.T) {
	d, process := start(t, today, nil)
	d.Patience = func(int64) time.Duration { return time.Second }
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if _, err := d.Scan(t.Context(), []byte("x")); code(err) != Silent || time.Since(begin) > 5*time.Second {
		t.Errorf("a clamd that stands still: got %v after %s", err, time.Since(begin))
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, err := d.Scan(t.Context(), []byte("x"))
		if code(err) != Silent {
			t.Fatalf("a clamd that is dead: got %v, want %s", err, Silent)
		}
		if strings.Contains(err.Error(), "refused") || time.Now().After(end) {
			break
		}
	}
	d.Socket += "x"
	if _, err := d.Scan(t.Context(), []byte("x")); code(err) != Silent {
		t.Errorf("no socket: got %v, want %s", err, Silent)
	}
}

// A daemon that was taken over by what it read lets nothing pass by nonsense.
func TestOnlyOKIsOK(t *testing.T) {
	for answer, want := range map[string]string{
		"stream: OK":             "<nil>",
		"stream: Win.Test FOUND": Found,
		"stream: OK FOUND":       Found,
		"stream: Heuristics.Limits.Exceeded.X FOUND": Limit,
		"INSTREAM size limit exceeded. ERROR":        Limit,
		"stream: Can't allocate memory ERROR":        Silent,
		"OK":                                         Silent,
		"stream: OK\nstream: OK":                     Silent,
		"/tmp/x: OK":                                 Silent,
		"":                                           Silent,
	} {
		if err := understood(answer); code(err) != want {
			t.Errorf("%q: got %v, want %s", answer, err, want)
		}
	}
	for _, lines := range []string{"", "stream: OK", strings.Repeat("x", 10_000) + "\x00", "ClamAV 1/x/y\x00", "Other 1\x00"} {
		socket := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Write([]byte(lines))
				c.Close()
			}
		}()
		d := &Daemon{Socket: socket}
		if _, err := d.Scan(t.Context(), []byte("x")); code(err) != Silent {
			t.Errorf("%.40q: got %v, want %s", lines, err, Silent)
		}
		l.Close()
	}
}

func TestEveryCodeHasASentence(t *testing.T) {
	var m map[string]map[string]string
	if err := json.Unmarshal(codesJSON, &m); err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{Found, Limit, Stale, Silent} {
		if len(m[c]["ja"]) < 20 || len(m[c]["en"]) < 20 {
			t.Errorf("code %s has no sentence", c)
		}
	}
	if len(m) != 4 {
		t.Errorf("%d codes, want 4", len(m))
	}
}

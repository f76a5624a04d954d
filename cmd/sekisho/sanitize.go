package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/sandbox"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// runSanitize sends files through sanitizer and verifier, each in its sandbox, and writes what both call clean. It is the file
// lane without zones, people and signatures. Exit code 0: all clean; 1: some blocked or an error; 2: not understood.
func runSanitize(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("sanitize", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("out", "", "directory for the sanitized files")
	report := flags.String("report", "", "file for the reports, JSON")
	worker := flags.String("worker", "", "the worker; by default sekisho-sanitize beside this program")
	clamd := flags.String("clamd", "", "socket of a clamd that looks at each file first; without it nobody does, and the report says so")
	passwords := flags.String("passwords", "", "file with the passwords of the files, one a line; - is standard input")
	schema := flags.Bool("schema", false, "print the JSON Schema of the reports and end")
	codes := flags.Bool("codes", false, "print what the codes of findings mean and end")
	files, err := interspersed(flags, args)
	if err == nil && (*schema || *codes) {
		return document(stdout, stderr, *schema, *codes)
	}
	if err != nil || len(files) == 0 || *out == "" {
		fmt.Fprintln(stderr, "usage: sekisho sanitize FILE... --out DIR [--report FILE.json] [--clamd SOCKET] [--passwords FILE]")
		fmt.Fprintln(stderr, "       sekisho sanitize --schema | --codes")
		return exitUsage
	}
	keys, err := readPasswords(*passwords, os.Stdin)
	if err != nil {
		fmt.Fprintln(stderr, "sekisho sanitize:", err)
		return exitUsage
	}
	w, done, err := sanitizeWorker(*worker, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "sekisho sanitize:", err)
		return exitFailed
	}
	defer done()
	defer w.Close()
	if len(files) > 1 {
		w.Pool = 1
	}
	if *clamd != "" {
		w.Scanner = &antivirus.Daemon{Socket: *clamd, Start: -1} // whoever named it sees at once that it is not there
	}
	if err := os.MkdirAll(*out, 0o700); err != nil {
		fmt.Fprintln(stderr, "sekisho sanitize:", err)
		return exitFailed
	}

	code := exitOK
	results := make([]fileResult, 0, len(files))
	for _, f := range files {
		watching, done := watched(ctx, f, stderr)
		r, err := sanitizeFile(watching, w, f, *out, keys)
		done()
		if err != nil {
			fmt.Fprintf(stderr, "sekisho sanitize: %v\n", err)
			code = exitFailed
			continue
		}
		if r.Out == "" {
			code = exitFailed
		}
		results = append(results, r)
		r.print(stdout, language())
	}
	if *report != "" {
		b, err := json.MarshalIndent(results, "", "  ")
		if err == nil {
			err = os.WriteFile(*report, append(b, '\n'), 0o600)
		}
		if err != nil {
			fmt.Fprintln(stderr, "sekisho sanitize: write the report:", err)
			return exitFailed
		}
	}
	return code
}

// interspersed lets flags stand before, between and behind the files.
func interspersed(flags *flag.FlagSet, args []string) ([]string, error) {
	var files []string
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		rest := flags.Args()
		if len(rest) > 0 && len(args) > len(rest) && args[len(args)-len(rest)-1] == "--" {
			return append(files, rest...), nil
		}
		if len(rest) == 0 {
			break
		}
		files, args = append(files, rest[0]), rest[1:]
	}
	return files, nil
}

// fileResult is one file's line in the report.
type fileResult struct {
	File     string          `json:"file"`
	Out      string          `json:"out,omitempty"` // empty when blocked
	Report   verdict.Report  `json:"report"`
	Verified *verdict.Report `json:"verified,omitempty"`
}

func sanitizeFile(ctx context.Context, w *sandbox.Worker, path, dir string, keys []string) (fileResult, error) {
	f, err := os.Open(path)
	if err != nil {
		return fileResult{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, sanitize.MaxIn+1))
	if err != nil {
		return fileResult{}, fmt.Errorf("read %s: %w", path, err)
	}
	if len(b) > sanitize.MaxIn {
		return fileResult{}, fmt.Errorf("read %s: over %d bytes", path, sanitize.MaxIn)
	}
	p := w.Pass(ctx, verdict.Job{Name: filepath.Base(path), Keys: keys}, b)
	r := fileResult{File: path, Report: p.Report, Verified: p.Verified}
	if !p.Clean() {
		return r, nil
	}
	r.Out, err = writeNew(dir, p.Report.OutName, p.Bytes)
	return r, err
}

// writeNew writes a file that did not exist; a name that is taken gets a number.
func writeNew(dir, name string, b []byte) (string, error) {
	ext := filepath.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	for n := 1; n < 10000; n++ {
		path := filepath.Join(dir, name)
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			name = fmt.Sprintf("%s-%d%s", stem, n+1, ext)
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.Write(b)
		if err := errors.Join(err, f.Close()); err != nil {
			return "", errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(path))
		}
		return path, nil
	}
	return "", fmt.Errorf("write %s into %s: too many files of that name", name, dir)
}

func (r fileResult) print(w io.Writer, lang string) {
	if r.Out != "" {
		fmt.Fprintf(w, "%s  %s -> %s\n", verdict.Clean, r.File, r.Out)
	} else {
		fmt.Fprintf(w, "%s  %s\n", verdict.Blocked, r.File)
	}
	findings := r.Report.Findings
	if r.Verified != nil {
		findings = append(findings[:len(findings):len(findings)], r.Verified.Findings...)
	}
	for _, f := range findings {
		where := strings.TrimSpace(f.Place + " " + f.Detail)
		if where != "" {
			where = " (" + where + ")"
		}
		fmt.Fprintf(w, "    %-8s %s%s\n", f.Action, sentence(f.Code, lang), where)
	}
}

func language() string {
	for _, k := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(k); v != "" {
			if strings.HasPrefix(v, "ja") {
				return "ja"
			}
			return "en"
		}
	}
	return "en"
}

// sanitizeWorker prepares sandboxes for whoever calls. Root gets a control group of its own and runs bubblewrap as the broker's
// user. Anybody else uses RLIMIT_DATA, a hard limit too, because nobody delegated a control group to them; it is said so.
func sanitizeWorker(binary string, stderr io.Writer) (*sandbox.Worker, func(), error) {
	if binary == "" {
		exe, err := os.Executable()
		if err != nil {
			return nil, nil, fmt.Errorf("find the worker: %w", err)
		}
		binary = filepath.Join(filepath.Dir(exe), "sekisho-sanitize")
	}
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, nil, fmt.Errorf("find the worker: %w", err)
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(stderr, "sekisho sanitize: no control group for this user; memory is bounded by RLIMIT_DATA")
		return &sandbox.Worker{Box: &sandbox.Box{DataLimit: true}, Binary: binary}, func() {}, nil
	}
	name := "cli-" + strconv.Itoa(os.Getpid())
	group, err := sandbox.OpenGroup(name)
	if err != nil {
		return nil, nil, err
	}
	box := &sandbox.Box{Group: group, Credential: unprivileged()}
	return &sandbox.Worker{Box: box, Binary: binary}, func() {
		if err := sandbox.Undelegate(name); err != nil {
			fmt.Fprintln(stderr, "sekisho sanitize:", err)
		}
	}, nil
}

// unprivileged is the broker's user, or nobody where that is not there.
func unprivileged() *syscall.Credential {
	c := &syscall.Credential{Uid: 65534, Gid: 65534}
	if u, err := user.Lookup(place.BrokerUser); err == nil {
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if errors.Join(err1, err2) == nil {
			c.Uid, c.Gid = uint32(uid), uint32(gid)
		}
	}
	return c
}

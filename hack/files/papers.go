package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// document is a file that LibreOffice can print.
type document struct {
	name string
	body []byte
}

// printers are LibreOffice's ways of making a PDF, by extension.
var printers = map[string]string{
	".docx": "writer", ".docm": "writer", ".dotx": "writer", ".odt": "writer", ".doc": "writer", ".rtf": "writer",
	".xlsx": "calc", ".xlsm": "calc", ".xltx": "calc", ".ods": "calc", ".xls": "calc", ".xlsb": "calc",
	".pptx": "impress", ".ppsx": "impress", ".odp": "impress", ".ppt": "impress",
}

const (
	sheaf     = 20              // so many documents are printed in one run of LibreOffice
	eachPrint = 8 * time.Second // on average; a run that takes longer is ended
	onePrint  = time.Minute     // for what a run left out
)

// papers prints documents of any kinds, at most so many pages of each, and answers a PDF of each: nil for one that LibreOffice makes none
// of, which may end it. What it took with it is printed by itself.
func papers(ctx context.Context, docs []document, most int) ([][]byte, error) {
	out := make([][]byte, len(docs))
	by := map[string][]int{}
	for i, d := range docs {
		p := printers[strings.ToLower(path.Ext(d.name))]
		by[p] = append(by[p], i)
	}
	delete(by, "")
	for printer, all := range by {
		for len(all) > 0 {
			some := all[:min(sheaf, len(all))]
			all = all[len(some):]
			if err := together(ctx, printer, docs, some, most, out); err != nil {
				return nil, err
			}
			for _, i := range some {
				if out[i] != nil {
					continue
				}
				one, cancel := context.WithTimeout(ctx, onePrint)
				a := tool.Answer(one, verdict.Need{Kind: "convert", Options: map[string]string{"from": strings.ToLower(path.Ext(docs[i].name))[1:], "to": "pdf", "last": fmt.Sprint(most)}, Body: docs[i].body})
				cancel()
				out[i] = a.Body
			}
		}
	}
	return out, ctx.Err()
}

// together prints some of the documents in one run. Their names there are the same whatever they are called, since a document may show
// its own.
func together(ctx context.Context, printer string, docs []document, some []int, most int, out [][]byte) error {
	dir, err := os.MkdirTemp("", "sekisho-papers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	target := fmt.Sprintf(`pdf:%s_pdf_Export:{"PageRange":{"type":"string","value":"1-%d"}}`, printer, most)
	args := []string{"--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", tool.Tree, "/", "--tmpfs", "/tmp", "--bind", dir, tool.Work, "--proc", "/proc", "--dev", "/dev", "--chdir", tool.Work, "--",
		"/usr/lib/libreoffice/program/soffice.bin", "--headless", "--norestore", "--nolockcheck", "--nodefault", "--nofirststartwizard", "-env:UserInstallation=file://" + tool.Work + "/profile", "--convert-to", target, "--outdir", tool.Work + "/out"}
	stem := func(i int) string { return fmt.Sprintf("%05d", i) }
	for _, i := range some {
		name := stem(i) + strings.ToLower(path.Ext(docs[i].name))
		if err := os.WriteFile(filepath.Join(dir, name), docs[i].body, 0o600); err != nil {
			return err
		}
		args = append(args, tool.Work+"/"+name)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second+time.Duration(len(some))*eachPrint)
	defer cancel()
	for range 3 { // a fresh profile wants to be started again
		cmd := exec.CommandContext(ctx, "bwrap", args...)
		cmd.Env = []string{"PATH=/usr/bin", "HOME=" + tool.Work, "LANG=C.UTF-8", "SAL_USE_VCLPLUGIN=svp"}
		cmd.WaitDelay = time.Second
		if err := cmd.Run(); cmd.ProcessState == nil {
			return fmt.Errorf("start LibreOffice: %w", err)
		}
		if cmd.ProcessState.ExitCode() != 81 {
			break // whatever it says: what came out counts
		}
	}
	for _, i := range some {
		b, err := os.ReadFile(filepath.Join(dir, "out", stem(i)+".pdf"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		out[i] = b
	}
	return nil
}

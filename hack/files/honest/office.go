package honest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
)

var letters = []shape{
	{"通知文", true, 6, 4, 0}, {"回覧", true, 10, 0, 0}, {"会議録", true, 40, 0, 0}, {"要綱", true, 25, 6, 0}, {"申請書", true, 4, 12, 0}, {"広報原稿", true, 20, 0, 3}, {"防災計画", true, 120, 40, 4}, {"現地写真報告", true, 8, 5, 8},
	{"minutes", false, 20, 6, 0}, {"letter", false, 5, 0, 0}, {"handbook", false, 90, 30, 3}, {"survey", false, 10, 20, 2},
}

var grids = []shape{
	{"予算集計", true, 0, 60, 0}, {"世帯一覧", true, 0, 400, 0}, {"滞納整理", true, 0, 2_000, 0}, {"台帳", true, 0, 9_000, 0}, {"避難所名簿", true, 0, 150, 0}, {"給付金支給", true, 0, 15_000, 0},
	{"budget", false, 0, 80, 0}, {"inventory", false, 0, 3_000, 0}, {"ledger", false, 0, 12_000, 0},
}

var talks = []shape{{"説明会資料", true, 8, 0, 0}, {"住民説明", true, 12, 0, 4}, {"研修", true, 25, 0, 0}, {"事業報告", true, 10, 0, 10}, {"overview", false, 8, 0, 2}}

// officeFiles has LibreOffice write each source in each of its formats.
func officeFiles(ctx context.Context, small bool) ([]File, error) {
	type kind struct {
		shapes  []shape
		make    func(shape) []byte
		ext     string
		targets map[string]string // extension -> filter
	}
	var out []File
	for _, k := range []kind{
		{letters, letter, "fodt", map[string]string{"docx": "MS Word 2007 XML", "doc": "MS Word 97", "rtf": "Rich Text Format", "odt": "writer8", "pdf": "writer_pdf_Export", "html": "HTML (StarWriter)"}},
		{grids, grid, "fods", map[string]string{"xlsx": "Calc MS Excel 2007 XML", "xls": "MS Excel 97", "ods": "calc8", "csv": "Text - txt - csv (StarCalc):44,34,76,1"}},
		{talks, slides, "fodp", map[string]string{"pptx": "Impress MS PowerPoint 2007 XML", "ppt": "MS PowerPoint 97", "odp": "impress8", "pdf": "impress_pdf_Export"}},
	} {
		shapes := k.shapes
		if small {
			shapes = []shape{k.shapes[0], k.shapes[1], k.shapes[len(k.shapes)-1]}
			for i := range shapes {
				shapes[i].rows, shapes[i].paragraphs, shapes[i].photos = min(shapes[i].rows, 60), min(shapes[i].paragraphs, 12), min(shapes[i].photos, 1)
			}
		}
		made, err := written(ctx, shapes, k.make, k.ext, k.targets)
		if err != nil {
			return nil, err
		}
		out = append(out, made...)
		out = append(out, File{shapes[0].name + "." + k.ext, "a program", shapes[0].ja, k.make(shapes[0])})
	}
	return out, nil
}

func written(ctx context.Context, shapes []shape, source func(shape) []byte, ext string, targets map[string]string) ([]File, error) {
	dir, err := os.MkdirTemp("", "sekisho-honest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var sources []string
	for i, s := range shapes {
		name := fmt.Sprintf("%02d.%s", i, ext)
		if err := os.WriteFile(filepath.Join(dir, name), source(s), 0o600); err != nil {
			return nil, err
		}
		sources = append(sources, tool.Work+"/"+name)
	}
	var out []File
	for _, to := range slices.Sorted(keys(targets)) {
		said, err := office(ctx, dir, to+":"+targets[to], sources)
		if err != nil {
			return nil, err
		}
		for i, s := range shapes {
			b, err := os.ReadFile(filepath.Join(dir, "out", fmt.Sprintf("%02d.%s", i, to)))
			if err != nil {
				return nil, fmt.Errorf("LibreOffice wrote no %s of %s: %w\n%s", to, s.name, err, said)
			}
			out = append(out, File{s.name + "." + to, "LibreOffice", s.ja, b})
		}
	}
	return out, nil
}

// office runs LibreOffice of the runtime tree over files of the directory.
func office(ctx context.Context, dir, to string, sources []string) (string, error) {
	args := []string{"--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", tool.Tree, "/", "--tmpfs", "/tmp", "--bind", dir, tool.Work, "--proc", "/proc", "--dev", "/dev", "--chdir", tool.Work, "--",
		"/usr/lib/libreoffice/program/soffice.bin", "--headless", "--norestore", "--nolockcheck", "--nodefault", "--nofirststartwizard", "-env:UserInstallation=file://" + tool.Work + "/profile", "--convert-to", to, "--outdir", tool.Work + "/out"}
	for range 3 { // a fresh profile wants to be started again
		cmd := exec.CommandContext(ctx, "bwrap", append(args, sources...)...)
		cmd.Env = []string{"PATH=/usr/bin", "HOME=" + tool.Work, "LANG=C.UTF-8", "SAL_USE_VCLPLUGIN=svp"}
		said, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 81 {
			if err != nil {
				err = fmt.Errorf("LibreOffice: %w: %s", err, said)
			}
			return string(said), err
		}
	}
	return "", fmt.Errorf("LibreOffice wants to be started again and again")
}

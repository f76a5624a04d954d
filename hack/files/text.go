package files

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
)

// ErrNoText is answered for a kind whose text is not looked at.
var ErrNoText = errors.New("a kind without text to compare")

// textParts name where an office document keeps what a reader sees, by the elements that hold it.
var textParts = map[string]struct{ parts, elements *regexp.Regexp }{
	".docx": {regexp.MustCompile(`^word/(document|header\d*|footer\d*|footnotes|endnotes|comments)\.xml$`), regexp.MustCompile(`<w:t(?: [^>]*)?>([^<]*)</w:t>`)},
	".xlsx": {regexp.MustCompile(`^xl/(sharedStrings|worksheets/[^/]*|comments\d*)\.xml$`), regexp.MustCompile(`<(?:x:)?(?:t|v)(?: [^>]*)?>([^<]*)</`)},
	".pptx": {regexp.MustCompile(`^ppt/(slides|notesSlides)/[^/]*\.xml$`), regexp.MustCompile(`<a:t(?: [^>]*)?>([^<]*)</a:t>`)},
	".odt":  {regexp.MustCompile(`^content\.xml$`), regexp.MustCompile(`>([^<]+)<`)},
	".ods":  {regexp.MustCompile(`^content\.xml$`), regexp.MustCompile(`>([^<]+)<`)},
	".odp":  {regexp.MustCompile(`^content\.xml$`), regexp.MustCompile(`>([^<]+)<`)},
}

// shared are cells that hold the number of a shared string: how strings are numbered, and whether an empty one is, is nothing that a
// reader sees.
var shared = regexp.MustCompile(`<(?:x:)?c [^>]*t="s"[^>]*><(?:x:)?v>\d+</(?:x:)?v>`)

// Text is what a reader finds in a file, for comparison with that of another: read from the file's own parts or by poppler, not
// by sanitizer or verifier.
func Text(ctx context.Context, name string, body []byte) (string, error) {
	switch ext := strings.ToLower(path.Ext(name)); ext {
	case ".txt", ".csv", ".tsv", ".md", ".json":
		return string(body), nil
	case ".pdf":
		return pdfText(ctx, body)
	default:
		p, ok := textParts[ext]
		if !ok {
			return "", ErrNoText
		}
		z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
		if err != nil {
			return "", err
		}
		files := slices.Clone(z.File)
		slices.SortFunc(files, func(a, b *zip.File) int { return strings.Compare(a.Name, b.Name) })
		var out strings.Builder
		for _, f := range files {
			if !p.parts.MatchString(f.Name) {
				continue
			}
			r, err := f.Open()
			if err != nil {
				return "", err
			}
			b, err := io.ReadAll(r)
			if err := errors.Join(err, r.Close()); err != nil {
				return "", err
			}
			b = shared.ReplaceAll(b, nil)
			for _, m := range p.elements.FindAllSubmatch(b, -1) {
				if t := strings.TrimSpace(html.UnescapeString(string(m[1]))); t != "" {
					out.WriteString(t + "\n")
				}
			}
		}
		return out.String(), nil
	}
}

func pdfText(ctx context.Context, body []byte) (string, error) {
	out, err := inTree(ctx, map[string][]byte{"in.pdf": body}, "pdftotext", "-enc", "UTF-8", "-layout", "in.pdf", "-")
	return string(out), err
}

// inTree runs a program of the runtime tree in a directory with the files, and gives its output.
func inTree(ctx context.Context, files map[string][]byte, program string, args ...string) ([]byte, error) {
	out, _, err := inTreeFor(ctx, files, "", program, args...)
	return out, err
}

// inTreeFor gives besides what files of a pattern were made.
func inTreeFor(ctx context.Context, files map[string][]byte, pattern, program string, args ...string) (out []byte, made [][]byte, err error) {
	dir, err := os.MkdirTemp("", "sekisho-files-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return nil, nil, err
		}
	}
	cmd := exec.CommandContext(ctx, "bwrap", append([]string{"--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", tool.Tree, "/", "--tmpfs", "/tmp", "--bind", dir, tool.Work, "--proc", "/proc", "--dev", "/dev", "--chdir", tool.Work, "--", program}, args...)...)
	cmd.Env = []string{"PATH=/usr/bin", "HOME=" + tool.Work, "LANG=C.UTF-8", "SAL_USE_VCLPLUGIN=svp"}
	var said bytes.Buffer
	cmd.Stderr = &said
	if out, err = cmd.Output(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w: %s", program, err, said.Bytes())
	}
	if pattern == "" {
		return out, nil, nil
	}
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(names)
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			return nil, nil, err
		}
		made = append(made, b)
	}
	return out, made, nil
}

// Characters counts characters but for white space: what a conversion keeps, in whatever order.
func Characters(text string) map[rune]int {
	m := map[rune]int{}
	for _, r := range text {
		if !strings.ContainsRune(" \t\r\n\f\u3000\u00a0", r) {
			m[r]++
		}
	}
	return m
}

// Shared is how much of the characters of one text is in the other, 0 to 1.
func Shared(of, in string) float64 {
	a, b := Characters(of), Characters(in)
	total, common := 0, 0
	for r, n := range a {
		total += n
		common += min(n, b[r])
	}
	if total == 0 {
		return 1
	}
	return float64(common) / float64(total)
}

package picture_test

import (
	"bytes"
	"context"
	"image"
	_ "image/gif"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	_ "golang.org/x/image/bmp"
	_ "golang.org/x/image/tiff"
	_ "golang.org/x/image/webp"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

const corpus = "../../../../shared/corpus"

// shown is what a reference decoder shows; ok is false when it reads nothing, or is not there.
func shown(t testing.TB, in []byte, program string, args ...string) (out []byte, ok bool) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, false
	}
	c := exec.Command(path, args...)
	c.Stdin = bytes.NewReader(in)
	out, err = c.Output()
	return out, err == nil && len(out) > 0
}

// TestCorpusJPEG rebuilds every real photograph at hand: what djpeg shows stays the same to the last bit, and the checker reads each.
func TestCorpusJPEG(t *testing.T) {
	figures(t, "jpg jpeg", func(name string, in, out []byte, rep verdict.Report) {
		if has(rep, "image.encoded") {
			return
		}
		args := []string{"-pnm"}
		before, ok := shown(t, in, "djpeg", args...)
		if !ok {
			return
		}
		if has(rep, "image.orientation") {
			return
		}
		if after, ok := shown(t, out, "djpeg", args...); !ok || !bytes.Equal(before, after) {
			t.Errorf("%s: djpeg shows another picture", name)
		}
	})
}

func TestCorpusPNG(t *testing.T) {
	figures(t, "png", func(name string, in, out []byte, rep verdict.Report) {
		before, err := png.Decode(bytes.NewReader(in))
		if err != nil {
			return
		}
		after, err := png.Decode(bytes.NewReader(out))
		if err != nil || !same(before, after) {
			t.Errorf("%s: another picture (%v)", name, err)
		}
	})
}

func same(a, b image.Image) bool {
	if a.Bounds().Size() != b.Bounds().Size() {
		return false
	}
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			ar, ag, ab, aa := a.At(a.Bounds().Min.X+x, a.Bounds().Min.Y+y).RGBA()
			br, bg, bb, ba := b.At(b.Bounds().Min.X+x, b.Bounds().Min.Y+y).RGBA()
			if aa == 0 && ba == 0 {
				continue
			}
			if ar != br || ag != bg || ab != bb || aa != ba {
				return false
			}
		}
	}
	return true
}

func has(rep verdict.Report, code string) bool {
	for _, f := range rep.Findings {
		if f.Code == code {
			return true
		}
	}
	return false
}

// figures rebuilds and checks the files of some folders and tells how many passed, why others did not, their growth and the time.
func figures(t *testing.T, folders string, each func(name string, in, out []byte, rep verdict.Report)) {
	t.Helper()
	if _, err := os.Stat(corpus); err != nil {
		t.Skipf("no corpus beside the repository (%s)", corpus)
	}
	if testing.Short() {
		t.Skip("-short")
	}
	var files []string
	for _, f := range strings.Fields(folders) {
		some, err := filepath.Glob(filepath.Join(corpus, f, "*"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, some...)
	}
	var growth []float64
	var bytesIn int
	var took, took2 time.Duration
	passed, reasons := 0, map[string]int{}
	for _, name := range files {
		in, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		start := time.Now()
		rep, _ := rebuilt(name, in, &out)
		half := time.Since(start)
		if rep.Outcome == verdict.Blocked {
			f := rep.Findings[len(rep.Findings)-1]
			reasons[f.Code]++
			t.Logf("%s: %s %s %s", filepath.Base(name), f.Code, f.Place, f.Detail)
			if strings.HasPrefix(f.Code, "internal") {
				t.Errorf("%s: %+v", name, f)
			}
			continue
		}
		passed++
		start = time.Now()
		if again := verify.Check(context.Background(), rep.OutName, out.Bytes()); again.Outcome != verdict.Clean {
			t.Errorf("%s: the checker refuses: %+v", name, again.Findings)
		}
		took += half + time.Since(start)
		took2 += half
		bytesIn += len(in)
		growth = append(growth, float64(out.Len())/float64(len(in)))
		var twice bytes.Buffer
		if again, _ := rebuilt(rep.OutName, out.Bytes(), &twice); again.Outcome != verdict.Clean || len(again.Findings) > 0 || !bytes.Equal(twice.Bytes(), out.Bytes()) {
			t.Errorf("%s: the result is not settled: %v", name, again.Findings)
		}
		each(name, in, out.Bytes(), rep)
	}
	sort.Float64s(growth)
	if len(growth) > 0 {
		t.Logf("%s: %d of %d passed, blocked %v, growth median %.3f, p90 %.3f, most %.3f, %.1f MB/s (rebuild alone %.1f)", folders, passed, len(files), reasons, growth[len(growth)/2], growth[len(growth)*9/10], growth[len(growth)-1],
			float64(bytesIn)/1e6/took.Seconds(), float64(bytesIn)/1e6/took2.Seconds())
	}
}

// rebuilt answers what a rebuilder asks for, with the programs that the broker starts.
func rebuilt(name string, in []byte, out *bytes.Buffer) (verdict.Report, []verdict.Need) {
	var answers []verdict.Answer
	for {
		rep, needs := sanitize.Rebuild(context.Background(), name, in, out, sanitize.Options{Answers: answers})
		if len(needs) == 0 || len(answers) > 8 {
			return rep, needs
		}
		for _, n := range needs {
			answers = append(answers, tool.Answer(context.Background(), n))
		}
	}
}

// TestCorpusOthers rebuilds the other pictures: Go's decoders, where they read both, see the same.
func TestCorpusOthers(t *testing.T) {
	for _, folders := range []string{"gif", "bmp", "tif tiff", "webp"} {
		t.Run(folders, func(t *testing.T) {
			compared := 0
			figures(t, folders, func(name string, in, out []byte, rep verdict.Report) {
				before, _, err := image.Decode(bytes.NewReader(in))
				if err != nil || has(rep, "image.orientation") || has(rep, "image.color") || has(rep, "image.cut") || has(rep, "image.encoded") {
					return
				}
				if strings.HasSuffix(name, ".webp") { // Go's decoder takes samples of the range of television for others
					ref, ok := shown(t, in, "dwebp", "-quiet", "-o", "-", "--", "-")
					if before, err = png.Decode(bytes.NewReader(ref)); !ok || err != nil {
						return
					}
				}
				compared++
				after, _, err := image.Decode(bytes.NewReader(out))
				if err != nil || !same(before, after) {
					t.Errorf("%s: another picture (%v)", name, err)
				}
			})
			t.Logf("%d compared", compared)
		})
	}
}

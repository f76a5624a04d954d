package pdf

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// worked is how long a processor was at it: what else the machine does counts nothing.
func worked(t *testing.T, f func()) time.Duration {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	now := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	begin := now()
	f()
	return now() - begin
}

// Tables that say the same again and again end in time.
func TestTablesOfFontsHaveBounds(t *testing.T) {
	m := cmap{sections: []section{{kind: "bfrange"}}}
	widths := array{}
	for range 100_000 {
		m.sections[0].v = append(m.sections[0].v, text("\x00\x00\x00\x00"), text("\xFF\xFF\xFF\xFF"), text("\x00A"))
		widths = append(widths, number("0"), number("2000000000"), number("500"))
	}
	took := worked(t, func() {
		if n := len(m.meanings()); n > maxMeanings {
			t.Errorf("%d meanings", n)
		}
		w := &walk{faces: map[ref]*face{}}
		f := w.face(dict{"Subtype": name("Type0"), "Encoding": name("Identity-H"), "DescendantFonts": array{dict{"W": widths}}})
		if len(f.widths) > maxMeanings+1 {
			t.Errorf("%d widths", len(f.widths))
		}
	})
	if took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

// A page that shows a long string again and again, by forms in forms, is refused in time.
func TestWhatAPageSaysHasBounds(t *testing.T) {
	w := &walk{Job: &rebuild.Job{Ctx: context.Background(), Heard: func(string, []string) {}}, faces: map[ref]*face{}}
	form := func(says *script) *made {
		m := w.add("Form")
		m.stream, m.v, m.says = true, dict{"Resources": dict{"XObject": dict{"X": ref(len(w.out) - 1)}}}, says
		return m
	}
	long := newScript()
	long.hear("Tf", []value{name("F"), number("1")})
	long.hear("Tj", []value{text(strings.Repeat("x", 1<<20))})
	form(long)
	for range 9 {
		ten := newScript()
		for range 10 {
			ten.hear("Do", []value{name("X")})
		}
		form(ten)
	}
	page := &made{kind: "Page", page: 1, says: newScript()}
	page.v = dict{"Resources": dict{"XObject": dict{"X": ref(len(w.out))}}}
	page.says.hear("Do", []value{name("X")})
	took := worked(t, func() {
		if err := w.tell(page); !rebuild.Refused(err) {
			t.Errorf("got %v, want a refusal", err)
		}
	})
	if took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

package pam

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPicturesComeBackAsWritten(t *testing.T) {
	want := []Frame{{2, 1, 1, []byte{1, 2}}, {1, 1, 4, []byte("\nEND")}, {1, 2, 3, []byte("P7\nP7\n")}}
	var b []byte
	for _, f := range want {
		b = Append(b, f)
	}
	got, err := Read(b, 3)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("pictures differ (-want +got):\n%s", d)
	}
	if _, err := Read(b, 2); !errors.Is(err, ErrForm) {
		t.Errorf("a third of two: %v", err)
	}
}

func TestWhatIsNotExactIsAnError(t *testing.T) {
	good := string(Append(nil, Frame{2, 2, 1, []byte("abcd")}))
	for what, in := range map[string]string{
		"nothing":           "",
		"another format":    "P6\n1 1\n255\nabc",
		"a byte more":       good + "x",
		"a byte less":       good[:len(good)-1],
		"claims too much":   strings.Replace(good, "WIDTH 2", "WIDTH 1048576", 1),
		"over the edge":     strings.Replace(good, "WIDTH 2", "WIDTH 1048577", 1),
		"a negative edge":   strings.Replace(good, "WIDTH 2", "WIDTH -2", 1),
		"said twice":        strings.Replace(good, "WIDTH 2", "WIDTH 1\nWIDTH 2", 1),
		"no width":          strings.Replace(good, "WIDTH 2\n", "", 1),
		"two bytes each":    strings.Replace(good, "MAXVAL 255", "MAXVAL 65535", 1),
		"too many channels": strings.Replace(good, "DEPTH 1", "DEPTH 5", 1),
		"endless header":    "P7\n" + strings.Repeat("#\n", 1000) + good[3:],
	} {
		if f, err := Read([]byte(in), 5); !errors.Is(err, ErrForm) {
			t.Errorf("%s: got %+v, %v", what, f, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(Append(Append(nil, Frame{2, 2, 1, []byte("abcd")}), Frame{1, 1, 3, []byte("abc")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, err := Read(b, 100)
		if err != nil {
			return
		}
		var again []byte
		for _, p := range frames {
			again = Append(again, p)
		}
		if back, err := Read(again, 100); err != nil || !cmp.Equal(back, frames) {
			t.Errorf("%q became %q: %v", b, again, err)
		}
	})
}

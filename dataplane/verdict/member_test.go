package verdict

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMembersComeBackAsSent(t *testing.T) {
	want := []Member{{Place: "資料.zip/a\nb.txt", Size: 9, Body: []byte("member {\n")}, {Place: "", Size: 0, Body: []byte{}}}
	var b bytes.Buffer
	for _, m := range want {
		if err := WriteMember(&b, m.Place, m.Body); err != nil {
			t.Fatal(err)
		}
	}
	members := b.String()
	got, rest, err := readAll(members+"{}", 2, 9)
	if d := cmp.Diff(want, got); err != nil || d != "" || string(rest) != "{}" {
		t.Fatalf("%v, rest %q, members differ (-want +got):\n%s", err, rest, d)
	}
	for name, bad := range map[string]string{
		"one too many":   members + "member {}\n",
		"cut":            members[:len(members)-len(`member {"place":"","size":0}`)-2],
		"no JSON":        "member x\n",
		"no line":        "member {",
		"a long line":    "member {" + strings.Repeat(" ", MaxMemberLine) + "}\n",
		"less than none": `member {"size":-1}` + "\n",
	} {
		if _, _, err := readAll(bad, 2, 9); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: got %v, want %v", name, err, ErrFrame)
		}
	}
	if _, _, err := readAll(members, 2, 8); !errors.Is(err, ErrFrame) {
		t.Errorf("more bytes than may be: %v", err)
	}
	stop := errors.New("infected")
	if err := ReadMembers(bufio.NewReader(strings.NewReader(members)), 2, 9, func(Member) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("what looks says stop: %v", err)
	}
	if err := WriteMember(&b, strings.Repeat("x", MaxMemberLine), nil); !errors.Is(err, ErrFrame) {
		t.Errorf("a long place: got %v, want %v", err, ErrFrame)
	}
}

// readAll is ReadMembers of bytes, and what it leaves.
func readAll(raw string, most int, bytes int64) (members []Member, rest []byte, err error) {
	r := bufio.NewReader(strings.NewReader(raw))
	err = ReadMembers(r, most, bytes, func(m Member) error {
		members = append(members, m)
		return nil
	})
	rest, _ = io.ReadAll(r) // of a string
	return members, rest, err
}

func FuzzReadMembers(f *testing.F) {
	f.Add("member {\"place\":\"a\",\"size\":1}\nx{}")
	f.Add("member {\"size\":9223372036854775807}\n")
	f.Fuzz(func(t *testing.T, raw string) {
		members, rest, err := readAll(raw, 100, 1<<20)
		size := len(rest)
		for _, m := range members {
			size += len(m.Body)
		}
		if err == nil && (size > len(raw) || len(members) > 100) {
			t.Errorf("%d members with %d bytes of %d", len(members), size, len(raw))
		}
	})
}

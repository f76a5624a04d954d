package verdict

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestParseKeys(t *testing.T) {
	many := ""
	for i := range MaxKeys {
		many += strconv.Itoa(i) + "\n"
	}
	for _, c := range []struct {
		in   string
		want []string
		fail string
	}{
		{"", nil, ""},
		{"\n\r\n", nil, ""},
		{"ひみつ\r\n spaces kept \nひみつ\n", []string{"ひみつ", " spaces kept "}, ""},
		{strings.Repeat("x", MaxKey), []string{strings.Repeat("x", MaxKey)}, ""},
		{"ok\n" + strings.Repeat("x", MaxKey+1), nil, "line 2"},
		{"a\rb", nil, "line break"},
		{"a\x00b", nil, "NUL"},
		{"a\xffb", nil, "UTF-8"},
		{many + "one more", nil, "more than"},
	} {
		got, err := ParseKeys(c.in)
		if c.fail == "" && (err != nil || !slices.Equal(got, c.want)) {
			t.Errorf("%q: got %q, %v, want %q", c.in, got, err, c.want)
		}
		if c.fail != "" && (err == nil || !strings.Contains(err.Error(), c.fail) || strings.Contains(err.Error(), "xxx")) {
			t.Errorf("%.40q: got %q, %v, want an error with %q and without the password", c.in, got, err, c.fail)
		}
	}
	if got, err := ParseKeys(many); err != nil || len(got) != MaxKeys || CheckKeys(got) != nil || CheckKeys(append(got, "x")) == nil || CheckKeys([]string{"a\nb"}) == nil {
		t.Errorf("%d passwords: %v %v", MaxKeys, got, err)
	}
}

// A page offers to send a file again with its password only where that would help.
func TestWantsKey(t *testing.T) {
	for code, want := range map[string]bool{"archive.password": true, "pdf.password": true, "type.encrypted": true, "legacy.encryption": false, "type.executable": false} {
		if got := WantsKey([]Finding{{Code: code, Action: Refused}}); got != want {
			t.Errorf("%s: got %t", code, got)
		}
	}
	if WantsKey([]Finding{{Code: "pdf.password", Action: Removed}}) {
		t.Error("one that was opened wants a password")
	}
}

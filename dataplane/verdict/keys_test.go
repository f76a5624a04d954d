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

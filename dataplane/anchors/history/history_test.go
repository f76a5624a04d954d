package history

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const first = `version: 1
name: Umiyama
segments:
- {id: lg, zone: lgwan, attach: port, port: lg0, prefixes: [198.18.20.0/24], gate: [198.18.20.1]}
- {id: in, zone: internet, attach: port, port: in0, prefixes: [203.0.113.0/24], gate: [203.0.113.1]}
`

func TestHistory(t *testing.T) {
	b := Book{Dir: filepath.Join(t.TempDir(), "anchors")}
	at := time.Date(2026, 10, 1, 3, 0, 0, 0, time.UTC)
	if list, err := b.List(0); err != nil || len(list) != 0 {
		t.Fatalf("before the first: %v, %v", list, err)
	}
	second := strings.Replace(first, "zone: internet", "zone: my-number", 1)
	for _, x := range []struct {
		text   string
		number int
		added  bool
	}{{first, 1, true}, {first, 1, false}, {second, 2, true}, {second, 2, false}, {first, 3, true}} { // back again is a change, too
		at = at.Add(time.Hour)
		if e, added, err := b.Keep([]byte(x.text), at); err != nil || e.Number != x.number || added != x.added {
			t.Fatalf("got number %d, added %t, %v; want %d, %t", e.Number, added, err, x.number, x.added)
		}
	}
	list, err := b.List(0)
	if err != nil || len(list) != 3 || list[0].Number != 3 || list[2].Number != 1 {
		t.Fatalf("got %+v, %v, want three entries, newest first", list, err)
	}
	if c := list[1].Changes; len(c) != 1 || c[0].String() != "segment in: zone: internet becomes my-number" || len(list[2].Changes) != 0 {
		t.Errorf("changes %v, of the first %v", c, list[2].Changes)
	}
	if list[1].Time != time.Date(2026, 10, 1, 6, 0, 0, 0, time.UTC) || list[0].Hash != list[2].Hash || len(list[0].Hash) != 64 {
		t.Errorf("time and hash: %+v", list)
	}
	if list, err := b.List(2); err != nil || len(list) != 1 || list[0].Number != 3 || len(list[0].Changes) != 1 {
		t.Errorf("behind number 2: %+v, %v", list, err)
	}
	if c, err := b.Diff(1, 3); err != nil || len(c) != 0 {
		t.Errorf("from 1 to 3: %v, %v, want nothing", c, err)
	}
	if text, err := b.Read(2); err != nil || string(text) != second {
		t.Errorf("number 2 is %q, %v", text, err)
	}
	if n, err := b.Last(); n != 3 || err != nil {
		t.Errorf("the last is %d, %v", n, err)
	}
	if _, err := b.Read(9); err == nil || !strings.Contains(err.Error(), "no number 9") {
		t.Errorf("number 9: %v", err)
	}
}

// What was kept cannot be put in another's place unseen, and a copy that was begun does not count.
func TestHistoryNoticesDamage(t *testing.T) {
	b := Book{Dir: t.TempDir()}
	if _, _, err := b.Keep([]byte(first), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.file(2, "yaml"), []byte("half"), 0o600); err != nil { // the machine died here
		t.Fatal(err)
	}
	if n, err := b.Last(); n != 1 || err != nil {
		t.Errorf("with a copy that was begun the last is %d, %v", n, err)
	}
	if e, added, err := b.Keep([]byte(first+"# a comment\n"), time.Now()); e.Number != 2 || !added || err != nil {
		t.Errorf("after one that was begun: %+v, %t, %v", e, added, err)
	}
	if err := os.WriteFile(b.file(1, "yaml"), []byte(strings.Replace(first, "in0", "lg0", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read(1); err == nil || !strings.Contains(err.Error(), "is not what was kept") {
		t.Errorf("a copy that was exchanged: %v", err)
	}
	if list, err := b.List(0); err != nil || list[0].Error == "" {
		t.Errorf("the list does not say so: %+v, %v", list, err)
	}
	if err := os.WriteFile(b.file(1, "json"), []byte(`{"number":7}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.List(0); err == nil || !strings.Contains(err.Error(), "number 7") {
		t.Errorf("an entry that says that it is another: %v", err)
	}
}

package gate

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/packet"
)

func TestDecodeStrictly(t *testing.T) {
	honest := Generation{Revision: `a "quoted" \ {revision}, [x]`, Tables: packet.Tables{
		Revision: "r", Rules: []packet.Rule{{ID: 1, Records: []string{"id", "id", `"id":`}}, {ID: 2, Records: []string{"id"}}}, Cells: []packet.Cell{{Src: 1}, {Src: 1}},
	}}
	b, err := json.Marshal(honest)
	if err != nil {
		t.Fatal(err)
	}
	whole := string(b)
	var back Generation
	if err := decodeStrictly([]byte(whole+" \n"), &back); err != nil || back.Revision != honest.Revision || len(back.Tables.Rules) != 2 {
		t.Fatalf("honest: %+v, %v", back, err)
	}
	for _, x := range []struct{ name, text, want string }{
		{"cut off", whole[:len(whole)/2], "unexpected EOF"},
		{"nothing", "", "EOF"},
		{"a list", "[]", "cannot unmarshal"},
		{"an unknown key", `{"revision":"x","backstop":"none"}`, `unknown field "backstop"`},
		{"an unknown key within", `{"tables":{"cells":[{"src":1,"invert":true}]}}`, `unknown field "invert"`},
		{"a key twice", `{"revision":"x","tables":{},"revision":"y"}`, `"revision" stands twice`},
		{"a key twice, in another case", `{"revision":"x","Revision":"y"}`, `"Revision" stands twice`},
		{"a key twice, with a letter that folds to it", `{"revision":"x","reviſion":"y"}`, `stands twice`},
		{"a key twice within", `{"tables":{"cells":[{"src":1,"dst":2,"src":3}]}}`, `"src" stands twice`},
		{"a list twice", `{"tables":{"cells":[{"src":1,"dst":2}],"rules":[],"cells":[{"src":3}]}}`, `"cells" stands twice`},
		{"a key in the second of two objects", `{"routes":[{"port":"a"},{"port":"b","port":"c"}]}`, `"port" stands twice`},
		{"a key with escapes", `{"revision":"x","revisio\u006e":"y"}`, "escapes"},
		{"a second generation behind it", whole + whole, "stands behind it"},
		{"a number too large", `{"tables":{"cells":[{"src":65536}]}}`, "cannot unmarshal"},
		{"a zone that does not exist", `{"tables":{"segments":[{"zone":"dmz"}]}}`, "dmz"},
		{"nested without end", strings.Repeat("[", 20000), "max depth"},
	} {
		var g Generation
		if err := decodeStrictly([]byte(x.text), &g); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: got %v, want an error with %q", x.name, err, x.want)
		}
	}
}

func FuzzDecodeStrictly(f *testing.F) {
	f.Add([]byte(`{"revision":"x","tables":{"cells":[{"src":1,"dst":2}]},"routes":[{"prefix":"198.18.0.0/15"}]}`))
	f.Add([]byte(`{"revision":"\"","Revision":"\\"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var g Generation
		if decodeStrictly(b, &g) != nil {
			return
		}
		// What was accepted means the same when it is written down and read again.
		again, err := json.Marshal(g)
		if err != nil {
			t.Skip() // an address that only the zero value stands for
		}
		var back Generation
		if err := decodeStrictly(again, &back); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
	})
}

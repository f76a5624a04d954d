package archive_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/archive/archivetest"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// pass rebuilds an archive that has to pass, has the verifier agree, and rebuilds the result: it changes no more.
func pass(t *testing.T, name string, in []byte, opt sanitize.Options) (verdict.Report, []byte) {
	t.Helper()
	rep, out, _ := sanitizetest.Ask(t, name, in, opt)
	if rep.Outcome != verdict.Clean {
		t.Fatalf("%s: got %s %v, want clean", name, rep.Outcome, rep.Findings)
	}
	if v := verify.CheckFor(t.Context(), opt.Policy, rep.OutName, out, opt.Keys...); v.Outcome != verdict.Clean {
		t.Fatalf("%s: the verifier says %v", name, v.Findings)
	}
	if again, twice, _ := sanitizetest.Ask(t, rep.OutName, out, opt); again.Outcome != verdict.Clean || !bytes.Equal(out, twice) || opt.Policy.Passwords == "" && len(again.Findings) > 0 {
		t.Errorf("%s: the result is not settled: %v", name, again.Findings)
	}
	return rep, out
}

// tree lists a ZIP as another reader sees it: names as they are written, with sizes of folders as -1.
func tree(t *testing.T, in []byte) (list []string) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(in), int64(len(in)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name := f.Name
		if f.NonUTF8 {
			if name, err = japanese.ShiftJIS.NewDecoder().String(name); err != nil {
				t.Fatal(err)
			}
			name = "932:" + name
		}
		list = append(list, name+"="+string(b))
	}
	return list
}

func sjis(t *testing.T, s string) string {
	t.Helper()
	b, err := japanese.ShiftJIS.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestZipKeepsItsTree(t *testing.T) {
	long := strings.Repeat("住民税の計算\r\n", 1000)
	utf := "資料/一覧表.txt"
	path := func(name, long string) string {
		crc := forge(t, zipEnd{}, forged{name: "x", body: name})
		f := append([]byte{1}, crc[14:18]...)
		f = append(f, long...)
		return string([]byte{0x75, 0x70, byte(len(f)), 0}) + string(f)
	}
	for name, c := range map[string]struct {
		end     zipEnd
		members []forged
		want    []string
		found   []string
	}{
		"folders, also empty ones": {zipEnd{}, []forged{{name: "a/"}, {name: "a/空/", flags: 0x800}, {name: "a/x.txt", body: "1"}, {name: "b.txt", body: long, method: 8}}, []string{"a/=", "a/空/=", "a/x.txt=1", "b.txt=" + long}, nil},
		"empty files":              {zipEnd{}, []forged{{name: "a.txt"}, {name: "b.csv", method: 8}}, []string{"a.txt=", "b.csv="}, nil},
		"names in CP932":           {zipEnd{}, []forged{{name: sjis(t, "資料/一覧表.txt"), body: "1"}, {name: sjis(t, "ソフト\\表.txt"), body: "2"}}, []string{"932:資料/一覧表.txt=1", "932:ソフト/表.txt=2"}, nil},
		"gaiji in CP932":           {zipEnd{}, []forged{{name: "\xF0\x40.txt", body: "1"}}, []string{"932:\uFFFD.txt=1"}, nil},
		"names in UTF-8":           {zipEnd{}, []forged{{name: utf, body: "1", flags: 0x800}}, []string{utf + "=1"}, nil},
		"UTF-8 without saying so":  {zipEnd{}, []forged{{name: utf, body: "1"}}, []string{utf + "=1"}, nil},
		"Info-ZIP's Unicode path":  {zipEnd{}, []forged{{name: "?.txt", body: "1", extra: path("?.txt", utf)}}, []string{utf + "=1"}, nil},
		"a stale Unicode path":     {zipEnd{}, []forged{{name: "y.txt", body: "1", extra: path("x.txt", utf)}}, []string{"y.txt=1"}, nil},
		"descriptors": {zipEnd{}, []forged{
			{name: "a.txt", body: "1", flags: 8, noLocalSize: true, descriptor: descriptor("1", 1, true, false)},
			{name: "b.txt", body: "22", flags: 8, noLocalSize: true, descriptor: descriptor("22", 2, false, false)},
			{name: "c.txt", body: "333", flags: 8, descriptor: descriptor("333", 3, true, true)},
		}, []string{"a.txt=1", "b.txt=22", "c.txt=333"}, nil},
		"ZIP64":                  {zipEnd{zip64: true}, []forged{{name: "a.txt", body: "1"}}, []string{"a.txt=1"}, nil},
		"a comment":              {zipEnd{comment: "made by"}, []forged{{name: "a.txt", body: "1"}}, []string{"a.txt=1"}, []string{"archive.comment"}},
		"what desktops leave":    {zipEnd{}, []forged{{name: "a.txt", body: "1"}, {name: "__MACOSX/._a.txt", body: "\x00\x05"}, {name: "Thumbs.db", body: "x"}, {name: "b/.DS_Store", body: "x"}}, []string{"a.txt=1"}, []string{"archive.litter"}},
		"a name Windows forbids": {zipEnd{}, []forged{{name: "./a<1>.txt", body: "1"}}, []string{"a_1_.txt=1"}, []string{"name.changed"}},
		"bzip2":                  {zipEnd{}, []forged{{name: "a.txt", body: "hello\n", method: 12, packed: []byte(bzip2Hello)}}, []string{"a.txt=hello\n"}, nil},
	} {
		rep, out := pass(t, "x.zip", forge(t, c.end, c.members...), sanitize.Options{})
		if got := tree(t, out); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		var codes []string
		for _, f := range rep.Findings {
			if !slices.Contains(codes, f.Code) {
				codes = append(codes, f.Code)
			}
		}
		if !slices.Equal(codes, c.found) {
			t.Errorf("%s: got findings %v, want %v", name, rep.Findings, c.found)
		}
	}
}

// bzip2Hello is "hello\n" packed by bzip2.
const bzip2Hello = "BZh91AY&SY\xc1\xc0\x80\xe2\x00\x00\x01\x41\x00\x00\x10\x02\x44\xa0\x00\x30\xcd\x00\xc3\x46\x29\x97\x17\x72\x45\x38\x50\x90\xc1\xc0\x80\xe2"

func TestMembersAreRebuiltByTheirOwnFamily(t *testing.T) {
	inner := forge(t, zipEnd{}, forged{name: "in.csv", body: "=cmd|x,1\r\n"})
	rep, out := pass(t, "x.zip", forge(t, zipEnd{}, forged{name: "d/y.zip", body: string(inner)}, forged{name: "d/z.txt", body: "a\x01b"}), sanitize.Options{})
	z, err := zip.NewReader(bytes.NewReader(out), int64(len(out)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tree(t, b), []string{"in.csv='=cmd|x,1\r\n"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if rep.Result == nil || rep.Result.Text != "d/y.zip\nd/z.txt\n" || rep.Original == nil || rep.Original.Text != rep.Result.Text {
		t.Errorf("previews %v, %v", rep.Original, rep.Result)
	}
	var places []string
	for _, f := range rep.Findings {
		places = append(places, f.Place)
	}
	if !slices.ContainsFunc(places, func(p string) bool { return strings.HasPrefix(p, "d/y.zip/in.csv/") }) || !slices.ContainsFunc(places, func(p string) bool { return strings.HasPrefix(p, "d/z.txt/") }) {
		t.Errorf("places %q", places)
	}
}

func TestHostileZipsAreRefused(t *testing.T) {
	one := forged{name: "a.txt", body: "1"}
	zeros := strings.Repeat("\x00", 70<<20)
	named := func(n string) []forged { return []forged{one, {name: n, body: "1"}} }
	for name, c := range map[string]struct {
		end     zipEnd
		members []forged
		code    string
	}{
		"climbs out":                        {zipEnd{}, named("../x.txt"), "archive.path"},
		"climbs out behind a folder":        {zipEnd{}, named("a/../../x.txt"), "archive.path"},
		"climbs out by backslashes":         {zipEnd{}, named(`a\..\x.txt`), "archive.path"},
		"absolute":                          {zipEnd{}, named("/etc/x.txt"), "archive.path"},
		"another computer":                  {zipEnd{}, named(`\\host\x.txt`), "archive.path"},
		"a drive":                           {zipEnd{}, named("C:x.txt"), "archive.path"},
		"a device":                          {zipEnd{}, named("b/con.txt"), "archive.name"},
		"a port":                            {zipEnd{}, named("LPT¹.a.txt"), "archive.name"},
		"a dot behind":                      {zipEnd{}, named("x.txt."), "archive.name"},
		"a space behind a folder":           {zipEnd{}, named("x /y.txt"), "archive.name"},
		"no name":                           {zipEnd{}, named("./."), "archive.name"},
		"a name of no encoding":             {zipEnd{}, named("\xFD\xFF.txt"), "archive.name"},
		"two of one name":                   {zipEnd{}, named("a.txt"), "archive.twice"},
		"two of one name but for case":      {zipEnd{}, named("A.TXT"), "archive.twice"},
		"a file that is a folder":           {zipEnd{}, named("a.txt/b.txt"), "archive.twice"},
		"a folder that is a file":           {zipEnd{}, []forged{{name: "d/a.txt", body: "1"}, {name: "D", body: "1"}}, "archive.twice"},
		"a link":                            {zipEnd{}, []forged{{name: "a.txt", body: "/etc/passwd", mode: 0xA1FF}}, "archive.link"},
		"a device file":                     {zipEnd{}, []forged{{name: "a.txt", mode: 0x21FF}}, "archive.device"},
		"bytes in front":                    {zipEnd{prefix: "PK\x05\x06"}, []forged{one}, "archive.structure"},
		"bytes between":                     {zipEnd{}, []forged{one, {name: "b.txt", body: "1", before: "x"}}, "archive.structure"},
		"bytes before the directory":        {zipEnd{gap: "x"}, []forged{one}, "archive.structure"},
		"bytes behind":                      {zipEnd{suffix: "x"}, []forged{one}, "archive.broken"},
		"more members than it has":          {zipEnd{count: 2}, []forged{one}, "limit.members"},
		"another name in front":             {zipEnd{}, []forged{{name: "a.txt", local: "b.exe", body: "1"}}, "archive.structure"},
		"another size in front":             {zipEnd{}, []forged{{name: "a.txt", body: "1", localSize: 9}}, "archive.structure"},
		"two members over one another":      {zipEnd{}, []forged{one, {name: "b.txt", body: "1", offset: -36}}, "archive.structure"},
		"a descriptor that lies":            {zipEnd{}, []forged{{name: "a.txt", body: "1", flags: 8, noLocalSize: true, descriptor: descriptor("2", 1, true, false)}}, "archive.structure"},
		"no descriptor":                     {zipEnd{}, []forged{{name: "a.txt", body: "1", flags: 8, noLocalSize: true}}, "archive.structure"},
		"sizes only behind, and not said":   {zipEnd{}, []forged{{name: "a.txt", body: "1", noLocalSize: true}}, "archive.structure"},
		"a smaller size than it unpacks to": {zipEnd{}, []forged{{name: "a.txt", body: "aaaaaaaaaa", method: 8, size: 3}}, "archive.structure"},
		"a larger size than it unpacks to":  {zipEnd{}, []forged{{name: "a.txt", body: "aaaaaaaaaa", method: 8, size: 30}}, "archive.structure"},
		"another checksum":                  {zipEnd{}, []forged{{name: "a.txt", body: "1", crc: 7}}, "archive.broken"},
		"bytes behind the packed data":      {zipEnd{}, []forged{{name: "a.txt", body: "1", method: 8, packed: append(deflate(t, []byte("1")), 'x')}}, "archive.structure"},
		"a large part of zeros":             {zipEnd{}, []forged{{name: "a.txt", body: zeros, method: 8}}, "archive.bomb"},
		"more than a file may unpack to":    {zipEnd{}, []forged{{name: "a.txt", body: "1", method: 8, size: 3 << 30}}, "limit.expansion"},
		"a method of no library":            {zipEnd{}, []forged{{name: "a.txt", body: "1", method: 9}}, "archive.method"},
		"strong encryption":                 {zipEnd{}, []forged{{name: "a.txt", body: "1", flags: 0x41}}, "archive.encryption"},
		"nothing":                           {zipEnd{}, nil, "archive.empty"},
		"bytes and no member":               {zipEnd{prefix: "PK\x03\x04"}, nil, "archive.structure"},
		"a member that is refused":          {zipEnd{}, []forged{one, {name: "x.exe", body: "MZ\x00"}}, "type.executable"},
	} {
		in := forge(t, c.end, c.members...)
		if name == "bytes in front" {
			in = append([]byte("PK\x03\x04"), in...)
		}
		rep, _ := sanitizetest.Run(t, "x.zip", in)
		if rep.Outcome != verdict.Blocked || !sanitizetest.Has(rep, c.code, verdict.Refused) {
			t.Errorf("%s: got %s %v, want %s", name, rep.Outcome, rep.Findings, c.code)
		}
	}
}

func TestNestingIsBounded(t *testing.T) {
	in := forge(t, zipEnd{}, forged{name: "a.txt", body: "1"})
	for range 12 {
		in = forge(t, zipEnd{}, forged{name: "x.zip", body: string(in)})
	}
	sanitizetest.Blocked(t, "x.zip", in, "limit.nesting")
}

// One ratio for all members: many small bombs are one.
func TestManySmallBombsAreOne(t *testing.T) {
	packed := deflate(t, bytes.Repeat([]byte(" "), 4<<20))
	var members []forged
	for i := range 20 {
		members = append(members, forged{name: fmt.Sprintf("%d.txt", i), body: strings.Repeat(" ", 4<<20), method: 8, packed: packed})
	}
	sanitizetest.Blocked(t, "x.zip", forge(t, zipEnd{}, members...), "archive.bomb")
}

func TestPolicyDecidesWhatARefusedMemberDoes(t *testing.T) {
	in := forge(t, zipEnd{}, forged{name: "a.txt", body: "1"}, forged{name: "x.exe", body: "MZ\x00"}, forged{name: "l.txt", body: "/etc", mode: 0xA1FF})
	rep, out := pass(t, "x.zip", in, sanitize.Options{Policy: verdict.Policy{Members: "remove"}})
	if got, want := tree(t, out), []string{"a.txt=1"}; !slices.Equal(got, want) || !sanitizetest.Has(rep, "archive.member", verdict.Removed) || sanitizetest.Has(rep, "type.executable", verdict.Refused) {
		t.Errorf("got %q, %v", got, rep.Findings)
	}
	for _, policy := range []string{"", "default", "block"} {
		rep, _, _ := sanitizetest.Ask(t, "x.zip", in, sanitize.Options{Policy: verdict.Policy{Members: policy}})
		if rep.Outcome != verdict.Blocked || rep.Findings[0].Code != "archive.link" && rep.Findings[0].Code != "type.executable" {
			t.Errorf("%q: got %s %v", policy, rep.Outcome, rep.Findings)
		}
	}
	only := forge(t, zipEnd{}, forged{name: "d/"}, forged{name: "d/x.exe", body: "MZ\x00"})
	if rep, _, _ := sanitizetest.Ask(t, "x.zip", only, sanitize.Options{Policy: verdict.Policy{Members: "remove"}}); !sanitizetest.Has(rep, "archive.empty", verdict.Refused) {
		t.Errorf("nothing left: got %v", rep.Findings)
	}
}

func TestTimesAreKept(t *testing.T) {
	_, out := pass(t, "x.zip", forge(t, zipEnd{}, forged{name: "a.txt", body: "1"}, forged{name: "b.txt", body: "1", time: 1}), sanitize.Options{})
	z, err := zip.NewReader(bytes.NewReader(out), int64(len(out)))
	if err != nil {
		t.Fatal(err)
	}
	if got := z.File[0].Modified.Format("2006-01-02 15:04:05"); got != "2026-05-09 13:30:20" {
		t.Errorf("got %s", got)
	}
	if got := z.File[1].Modified.Year(); got != 1980 {
		t.Errorf("a time without a date: got %d", got)
	}
}

// What a route does not admit by itself does not pass inside of what it admits.
func TestMembersAreHeldToTheFormatsOfTheRoute(t *testing.T) {
	drawing := `<svg xmlns="http://www.w3.org/2000/svg"/>`
	picture := "<p><img src=\"data:image/png;base64," + dot + "\"></p>"
	for name, c := range map[string]struct {
		name    string
		in      []byte
		formats []string
		clean   bool
	}{
		"an admitted kind":             {"x.zip", forge(t, zipEnd{}, forged{name: "a.txt", body: "1"}), []string{"zip", "txt"}, true},
		"another":                      {"x.zip", forge(t, zipEnd{}, forged{name: "a.svg", body: drawing}), []string{"zip", "txt"}, false},
		"another, and empty":           {"x.zip", forge(t, zipEnd{}, forged{name: "a.svg"}), []string{"zip", "txt"}, false},
		"another in an archive in one": {"x.zip", forge(t, zipEnd{}, forged{name: "y.zip", body: string(forge(t, zipEnd{}, forged{name: "a.svg", body: drawing}))}), []string{"zip", "txt"}, false},
		"an archive that is not named": {"x.zip", forge(t, zipEnd{}, forged{name: "y.tar", body: string(tarOf(t, in("a.txt", "1")))}), []string{"zip", "txt"}, false},
		"one in a compressed file":     {"a.svg.gz", gz(t, []byte(drawing)), []string{"gz", "txt"}, false},
		"one in a tar":                 {"x.tar", tarOf(t, in("a.svg", drawing)), []string{"tar"}, false},
		"a picture of a page":          {"x.zip", forge(t, zipEnd{}, forged{name: "a.html", body: picture}), []string{"zip", "html"}, true},
		"what becomes an admitted one": {"x.7z", archivetest.SevenZip(0x20, []string{"a.txt"}, "1"), []string{"zip", "txt"}, true},
	} {
		rep, out, _ := sanitizetest.Ask(t, c.name, c.in, sanitize.Options{Formats: c.formats})
		if (rep.Outcome == verdict.Clean) != c.clean || !c.clean && !sanitizetest.Has(rep, "type.member-not-admitted", verdict.Refused) || sanitizetest.Has(rep, "html.picture", verdict.Removed) {
			t.Errorf("%s: got %s %v", name, rep.Outcome, rep.Findings)
		}
		// A rebuilder that did not ask is caught.
		if !c.clean {
			rep, out, _ = sanitizetest.Ask(t, c.name, c.in, sanitize.Options{})
			if v := verify.Check(t.Context(), rep.OutName, out); v.Outcome != verdict.Clean {
				t.Fatalf("%s: a route that admits all: %v", name, v.Findings)
			}
		}
		v := verify.Route{Formats: c.formats}.Check(t.Context(), rep.OutName, out)
		if (v.Outcome == verdict.Clean) != c.clean || !c.clean && v.Findings[0].Code != "verify.format" {
			t.Errorf("%s: the verifier says %s %v", name, v.Outcome, v.Findings)
		}
	}
	opt := sanitize.Options{Formats: []string{"zip", "txt"}, Policy: verdict.Policy{Members: "remove"}}
	rep, out, _ := sanitizetest.Ask(t, "x.zip", forge(t, zipEnd{}, forged{name: "a.svg", body: drawing}, forged{name: "b.svg"}, forged{name: "c.txt", body: "1"}), opt)
	if got := tree(t, out); !slices.Equal(got, []string{"c.txt=1"}) || !sanitizetest.Has(rep, "archive.member", verdict.Removed) {
		t.Errorf("left out: got %q, %v", got, rep.Findings)
	}
}

const dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="

// Passwords that nobody can type open nothing, and what is behind them is not asked for either.
func TestPasswordsThatNobodyTypesAreLeftOut(t *testing.T) {
	for _, key := range []string{strings.Repeat("x", 257), "a\nb", "a\rb", "a\x00b", "\xFF"} {
		m := forged{name: "a.txt", body: "1", flags: 9, packed: pkware(key, "1", (13<<11|30<<5|10)>>8), noLocalSize: true, descriptor: descriptor("1", 13, true, false)}
		rep, _, _ := sanitizetest.Ask(t, "x.zip", forge(t, zipEnd{}, m), sanitize.Options{Keys: []string{key}})
		if !sanitizetest.Has(rep, "archive.password", verdict.Refused) {
			t.Errorf("%.10q: got %v", key, rep.Findings)
		}
	}
}

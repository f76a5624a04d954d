package crypt

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/compound"
	"github.com/sekisho/sekisho/dataplane/sanitize/compound/compoundtest"
	"github.com/sekisho/sekisho/dataplane/sanitize/crypt/crypttest"
)

func record(kind uint16, body string) string {
	return string(binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, kind), uint16(len(body)))) + body
}

func object(head uint32, body string) string {
	return string(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, head), uint32(len(body)))) + body
}

func little(v ...uint32) string {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return string(b)
}

var (
	wordStreams = map[string]string{"WordDocument": strings.Repeat("\x00", 68) + strings.Repeat("関所 ", 900), "1Table": strings.Repeat("\x00", 600) + strings.Repeat("table", 900), "Data": strings.Repeat("data", 1500)}
	bookStream  = record(0x0809, "\x00\x06\x05\x00") + record(0x0085, "\x11\x22\x33\x44\x00\x00\x02\x00M1") + record(0x00FC, strings.Repeat("文字列", 700)) + record(0x000A, "")
)

// showStreams has one object, its list and its edit.
func showStreams() map[string]string {
	doc := object(0x03E8_000F, strings.Repeat("slides", 900))
	list := uint32(len(doc))
	doc += object(0x1772_0000, little(1<<20|1, 0))
	edit := uint32(len(doc))
	doc += object(0x0FF5_0000, little(256, 0x03000000, 0, list, 1, 2, 0))
	return map[string]string{"PowerPoint Document": doc, "Current User": "\x00\x00\xF6\x0F" + little(20, 20, 0xE391C05F, edit),
		"Pictures": object(0xF01E_6E00, strings.Repeat("n", 17)+strings.Repeat("picture", 700))}
}

// TestOldDocumentsAreOpened holds what is opened to what was closed, stream by stream.
func TestOldDocumentsAreOpened(t *testing.T) {
	const key = "鍵 key"
	head := func(b []byte) []byte { return b[68:] }
	for name, c := range map[string]struct {
		in   []byte
		want map[string]string
		from func([]byte) []byte
	}{
		"Word, RC4":        {crypttest.Word(wordStreams, key, crypttest.RC4), map[string]string{"WordDocument": wordStreams["WordDocument"][68:]}, head},
		"Word, CryptoAPI":  {crypttest.Word(wordStreams, key, crypttest.CryptoAPI), map[string]string{"WordDocument": wordStreams["WordDocument"][68:]}, head},
		"Word, Data":       {crypttest.Word(wordStreams, key, crypttest.CryptoAPI), map[string]string{"Data": wordStreams["Data"], "1Table": wordStreams["1Table"]}, nil},
		"Excel, RC4":       {crypttest.Workbook(bookStream, key, crypttest.RC4), map[string]string{"Workbook": bookStream[8:]}, func(b []byte) []byte { return b[8+4+2+52:] }},
		"Excel, CryptoAPI": {crypttest.Workbook(bookStream, key, crypttest.CryptoAPI), map[string]string{"Workbook": bookStream[8:]}, func(b []byte) []byte { return b[8+4+2+4+4+4+34+60+4-4:] }},
		"PowerPoint": {crypttest.Show(showStreams(), key), map[string]string{"PowerPoint Document": showStreams()["PowerPoint Document"], "Pictures": showStreams()["Pictures"]},
			nil},
	} {
		for _, k := range []struct {
			keys []string
			code string
		}{{[]string{"x", key}, ""}, {[]string{"x", "鍵 Key"}, "type.encrypted"}, {nil, "type.encrypted"}} {
			out, err := Old(t.Context(), c.in, k.keys)
			if codeOf(err) != k.code {
				t.Errorf("%s with %q: got %v, want %q", name, k.keys, err, k.code)
			}
			if err != nil {
				continue
			}
			f, err := compound.Open(out)
			if err != nil {
				t.Fatal(err)
			}
			for stream, want := range c.want {
				got, err := f.Read(stream)
				if err != nil {
					t.Fatal(err)
				}
				if c.from != nil {
					got = c.from(got)
				}
				if !bytes.HasPrefix(got, []byte(want)) {
					t.Errorf("%s: stream %s is not what was closed: %.60q, want %.60q", name, stream, got, want)
				}
			}
			if _, err := Old(t.Context(), out, k.keys); err == nil {
				t.Errorf("%s: what was opened still wants a password", name)
			}
		}
	}
}

// TestXOR opens what the specification's example of each length would close: the array is undone by its own steps, written out.
func TestXOR(t *testing.T) {
	for _, password := range []string{"a", "ab", "VelvetSweatshop", "himitsu-2026"} {
		key, verifier := xorKey([]byte(password)), xorVerifier([]byte(password))
		if password == "VelvetSweatshop" && (key != 0xB359 || verifier != 0x9A0A) {
			t.Errorf("the password that every Excel knows: got %X %X, want B359 9A0A as real files have", key, verifier)
		}
		array, err := xorArray(key, verifier, []string{"x", password})
		if err != nil {
			t.Fatal(err)
		}
		stream := []byte(record(0x0809, "\x00\x05\x05\x00") + record(0x002F, string(binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, key), verifier))))
		body := []byte("plain text of a cell")
		at := len(stream) + 4
		stream = append(stream, record(0x0204, string(body))...)
		for i := range body {
			c := stream[at+i]
			stream[at+i] = (c<<5 | c>>3) ^ array[(at+len(body)+i)%16]
		}
		out, err := Old(t.Context(), compoundtest.File(map[string]string{"Book": string(stream)}), []string{password})
		if err != nil || !bytes.Contains(out, body) {
			t.Errorf("%s: not opened: %v", password, err)
		}
	}
	if _, err := xorArray(1, 2, []string{"", "a", strings.Repeat("a", 16)}); codeOf(err) != "type.encrypted" {
		t.Errorf("a password that does not fit: %v", err)
	}
}

func TestOldDocumentsThatLie(t *testing.T) {
	show := func(edit uint32, doc string) []byte {
		return compoundtest.File(map[string]string{"PowerPoint Document": doc, "Current User": "\x00\x00\xF6\x0F" + little(20, 20, 0xF3D1C4DF, edit)})
	}
	word := func(flags uint16, size uint32) []byte {
		head := make([]byte, 68)
		binary.LittleEndian.PutUint16(head[10:], flags)
		binary.LittleEndian.PutUint32(head[14:], size)
		return compoundtest.File(map[string]string{"WordDocument": string(head), "1Table": "\x07\x00\x07\x00"})
	}
	book := func(pass string) []byte {
		return compoundtest.File(map[string]string{"Workbook": record(0x0809, "\x00\x06\x05\x00") + record(0x002F, pass)})
	}
	for name, c := range map[string]struct {
		in   []byte
		code string
	}{
		"Word: a header beyond its stream":        {word(0x0300, 1<<31), "legacy.broken"},
		"Word: no table":                          {word(0x0100, 52), "legacy.broken"},
		"Word: obfuscated":                        {word(0x8300, 52), "legacy.encryption"},
		"Word: an unknown version":                {word(0x0300, 52), "legacy.encryption"},
		"Word: no header":                         {word(0x0300, 0), "legacy.broken"},
		"Excel: no record of a password":          {compoundtest.File(map[string]string{"Workbook": record(0x0809, "\x00\x06\x05\x00")}), "legacy.broken"},
		"Excel: another method":                   {book("\x05\x00abcdef"), "legacy.encryption"},
		"Excel: XOR with another's password":      {book("\x00\x00abcd"), "type.encrypted"},
		"Excel: a short header":                   {book("\x01\x00\x01\x00\x01\x00"), "legacy.broken"},
		"Excel: a header that claims too much":    {book("\x01\x00\x02\x00\x02\x00\x00\x00\x00\x00\xff\xff\xff\xff"), "legacy.broken"},
		"PowerPoint: no edit":                     {show(1<<30, "x"), "legacy.broken"},
		"PowerPoint: an edit that is no edit":     {show(0, object(0x03E8_000F, "x")), "legacy.broken"},
		"PowerPoint: no header of the encryption": {show(40, object(0x1772_0000, little(1<<20|1, 0))+object(0x03E8_000F, strings.Repeat("x", 16))+object(0x0FF5_0000, little(256, 0, 0, 0, 1, 2, 0, 7))), "legacy.broken"},
		"PowerPoint: edits in a circle":           {show(8, object(0x1772_0000, "")+object(0x0FF5_0000, little(256, 0, 8, 0, 1, 2, 0, 1))), "legacy.broken"},
		"PowerPoint: objects in each other":       {overlapping(), "legacy.broken"},
	} {
		if _, err := Old(t.Context(), c.in, []string{"k"}); codeOf(err) != c.code {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
}

// overlapping has two objects that each claim all that is behind them: opening many such would take a time that grows with the square.
// The second's head is such that it opens to its claim behind what opening the first made of it.
func overlapping() []byte {
	m := showStreams()
	doc := m["PowerPoint Document"]
	list := strings.LastIndex(doc, object(0x1772_0000, little(1<<20|1, 0)))
	body := uint32(list - 8)
	doc = doc[:list] + object(0x1772_0000, little(2<<20|1, 0, 0)) + object(0x0FF5_0000, little(256, 0, 0, uint32(list), 1, 2, 0))
	m["PowerPoint Document"], m["Current User"] = doc, "\x00\x00\xF6\x0F"+little(20, 20, tokenOpen, uint32(list+20))
	f, err := compound.Open(crypttest.Show(m, "k"))
	if err != nil {
		panic(err)
	}
	b, err := f.Read("PowerPoint Document")
	if err != nil {
		panic(err)
	}
	session := bytes.Index(b, []byte(little(0x2F14_000F)))
	info, err := recordAt(b, uint32(session), recordCryptSession)
	if err != nil {
		panic(err)
	}
	key, err := readRC4(info, []string{"k"})
	if err != nil {
		panic(err)
	}
	first, second := make([]byte, 16), []byte(little(0x03E8_000F, body-8))
	key.open(1, first)
	key.open(2, second)
	for i := range second {
		b[8+i] = first[8+i] ^ second[i]
	}
	copy(b, doc[:8])
	key.open(1, b[:8])
	binary.LittleEndian.PutUint32(b[bytes.LastIndex(b, []byte(little(1<<20|2, 0)))+4:], 8)
	user, err := f.Read("Current User")
	if err != nil {
		panic(err)
	}
	return compoundtest.File(map[string]string{"PowerPoint Document": string(b), "Current User": string(user)})
}

package mail

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/richardlehane/mscfb"

	"github.com/sekisho/sekisho/dataplane/sanitize/html"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Properties of a message ([MS-OXPROPS]), as names of streams hold them.
const (
	outlookClass      = "001A"
	outlookSubject    = "0037"
	outlookBody       = "1000"
	outlookHTML       = "1013"
	outlookRTF        = "1009"
	outlookID         = "1035"
	outlookReply      = "1042"
	outlookReferences = "1039"
	outlookSubmitted  = 0x0039
	outlookDelivered  = 0x0E06
	outlookRecipient  = 0x0C15 // 1 to, 2 cc, 3 bcc
)

// outlook is an opened msg ([MS-OXMSG]): streams by their path.
type outlook struct {
	job     *rebuild.Job
	streams map[string][]byte
	folders []string
}

// fromOutlook writes the mail that a msg stands for. It is read and rebuilt like any other after that.
func fromOutlook(j *rebuild.Job) ([]byte, error) {
	doc, err := mscfb.New(bytes.NewReader(j.In))
	if err != nil {
		return nil, rebuild.Refuse("mail.broken", "", err.Error())
	}
	o := outlook{job: j, streams: map[string][]byte{}}
	total := 0
	for _, f := range doc.File {
		if err := j.Ctx.Err(); err != nil {
			return nil, err
		}
		name := strings.Join(append(slices.Clone(f.Path), f.Name), "/")
		if f.FileInfo().IsDir() {
			o.folders = append(o.folders, name)
			continue
		}
		b, err := io.ReadAll(io.LimitReader(f, int64(len(j.In)-total)+1))
		if err != nil {
			return nil, rebuild.Refuse("mail.broken", name, err.Error())
		}
		if total += len(b); total > len(j.In) {
			return nil, rebuild.Refuse("mail.broken", name, "streams over one another")
		}
		o.streams[name] = b
	}
	slices.Sort(o.folders)
	return o.message("", 32, 0)
}

// text is a property of text in the folder; "" where there is none.
func (o *outlook) text(folder, id string) string {
	for _, kind := range []string{"001F", "001E", "0102"} {
		if b, ok := o.streams[folder+"__substg1.0_"+id+kind]; ok {
			p := property{kind: mapiText8, value: b}
			if kind == "001F" {
				p.kind = mapiText16
			}
			return p.text()
		}
	}
	return ""
}

// fixed is a property of at most eight bytes out of the folder's table, which begins behind a header of so many bytes.
func (o *outlook) fixed(folder string, header int, id uint16) (uint64, bool) {
	b := o.streams[folder+"__properties_version1.0"]
	for at := header; at+16 <= len(b); at += 16 {
		if binary.LittleEndian.Uint16(b[at+2:]) == id {
			return binary.LittleEndian.Uint64(b[at+8:]), true
		}
	}
	return 0, false
}

// below lists the folders in a folder whose names begin so.
func (o *outlook) below(folder, begin string) (list []string) {
	for _, f := range o.folders {
		if rest, ok := strings.CutPrefix(f, folder+begin); ok && !strings.Contains(rest, "/") {
			list = append(list, f+"/")
		}
	}
	return list
}

// message writes the mail in a folder. header is the length of what its table of properties begins with.
func (o *outlook) message(folder string, header, depth int) ([]byte, error) {
	if depth > 8 {
		return nil, rebuild.Refuse("limit.nesting", "", "")
	}
	l := letter{subject: oneLine(o.text(folder, outlookSubject), 1000), inReplyTo: references(o.text(folder, outlookReply)), references: references(o.text(folder, outlookReferences))}
	if ids := references(o.text(folder, outlookID)); len(ids) > 0 {
		l.id = ids[0]
	}
	l.from = o.person(folder, []string{"0C1A", "0042"}, []string{"5D01", "5D02", "0C1F", "0065"})
	for _, r := range o.below(folder, "__recip_version1.0_#") {
		who := o.person(r, []string{"3001", "5FF6"}, []string{"39FE", "3003"})
		switch kind, _ := o.fixed(r, 8, outlookRecipient); kind & 0xF {
		case 2:
			l.cc = append(l.cc, who...)
		case 3:
		default:
			l.to = append(l.to, who...)
		}
	}
	for _, id := range []uint16{outlookSubmitted, outlookDelivered} {
		if v, ok := o.fixed(folder, header, id); ok && l.date == "" && v>>62 == 0 {
			const since1601 = 116444736000000000 // to 1970, in steps of 100 ns
			l.date = time.Unix((int64(v)-since1601)/1e7, 0).In(time.FixedZone("JST", 9*60*60)).Format(time.RFC1123Z)
		}
	}
	var b bytes.Buffer
	for _, h := range [][2]string{{"Date", l.date}, {"From", list(l.from)}, {"To", list(l.to)}, {"Cc", list(l.cc)}, {"Subject", unstructured(l.subject)},
		{"In-Reply-To", bracketed(l.inReplyTo)}, {"References", bracketed(l.references)}, {"MIME-Version", "1.0"}} {
		if h[1] != "" {
			b.WriteString(h[0] + ": " + h[1] + "\r\n")
		}
	}
	if l.id != "" {
		b.WriteString("Message-ID: <" + l.id + ">\r\n")
	}
	content, err := o.content(folder, depth)
	b.Write(content)
	return b.Bytes(), err
}

func (o *outlook) person(folder string, names, addresses []string) []address {
	var a address
	for _, id := range names {
		if a.name == "" {
			a.name = oneLine(o.text(folder, id), 200)
		}
	}
	for _, id := range addresses {
		if a.at == "" {
			a.at = where(o.text(folder, id))
		}
	}
	if a.name == a.at {
		a.name = ""
	}
	if a == (address{}) {
		return nil
	}
	return []address{a}
}

// content is body and attachments as MIME.
func (o *outlook) content(folder string, depth int) ([]byte, error) {
	attached := o.below(folder, "__attach_version1.0_#")
	switch class := strings.ToUpper(o.text(folder, outlookClass)); {
	case strings.HasPrefix(class, "IPM.NOTE.SMIME.MULTIPARTSIGNED") && len(attached) == 1:
		return o.streams[attached[0]+"__substg1.0_37010102"], nil // the signed mail as it came, with its own headers
	case strings.HasPrefix(class, "IPM.NOTE.SMIME"):
		var sealed []byte
		if len(attached) > 0 {
			sealed = o.streams[attached[0]+"__substg1.0_37010102"]
		}
		return nil, secret("application/pkcs7-mime", "", sealed)
	}
	var said [][]byte
	plain, page := o.text(folder, outlookBody), o.streams[folder+"__substg1.0_"+outlookHTML+"0102"]
	rich, err := lzfu(o.streams[folder+"__substg1.0_"+outlookRTF+"0102"])
	if err != nil {
		return nil, err
	}
	if plain != "" || len(page) == 0 {
		said = append(said, typed("text/plain; charset=utf-8", []byte(plain)))
	}
	if len(page) > 0 {
		src, _, err := html.Decode(page)
		if err != nil {
			return nil, err
		}
		said = append(said, typed("text/html; charset=utf-8", []byte(src)))
	}
	main := said[0]
	if len(said) > 1 {
		main = multipart("alternative", said)
	}
	parts := [][]byte{main}
	if strings.TrimSpace(plain) == "" && len(page) == 0 && len(rich) > 0 { // the only body: a document of its own
		parts = append(parts, named("body.rtf", "", rich))
	}
	for i, a := range attached {
		name := oneLine(o.text(a, "3707"), 250)
		for _, id := range []string{"3704", "3001"} {
			if name == "" {
				name = oneLine(o.text(a, id), 250)
			}
		}
		if inner := a + "__substg1.0_3701000D/"; slices.Contains(o.folders, strings.TrimSuffix(inner, "/")) && o.streams[inner+"__properties_version1.0"] != nil {
			mail, err := o.message(inner, 24, depth+1)
			if err != nil {
				return nil, err
			}
			parts = append(parts, append([]byte("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"), base64Lines(mail)...))
			continue
		}
		if name == "" {
			name = fmt.Sprintf("attachment%d", i+1)
		}
		parts = append(parts, named(name, contentID(strings.Trim(o.text(a, "3712"), "<>")), o.streams[a+"__substg1.0_37010102"]))
	}
	if len(parts) == 1 {
		return main, nil
	}
	return multipart("mixed", parts), nil
}

func typed(kind string, b []byte) []byte {
	return append([]byte("Content-Type: "+kind+"\r\nContent-Transfer-Encoding: base64\r\n\r\n"), base64Lines(b)...)
}

func named(name, id string, b []byte) []byte {
	head := "application/octet-stream\r\nContent-Disposition: attachment; filename*=UTF-8''" + strings.Join(percent(slashless(name)), "")
	if id != "" {
		head += "\r\nContent-ID: <" + id + ">"
	}
	return typed(head, b)
}

// lzfu unpacks the RTF of a message ([MS-OXRTFCP]).
func lzfu(in []byte) ([]byte, error) {
	if len(in) == 0 {
		return nil, nil
	}
	const window, start = 4096, "{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
	le := binary.LittleEndian
	if len(in) < 16 {
		return nil, rebuild.Refuse("mail.broken", "RTF", "")
	}
	size, kind, in := int64(le.Uint32(in[4:])), le.Uint32(in[8:]), in[16:]
	if kind == 0x414C454D { // not packed
		return in[:min(int64(len(in)), size)], nil
	}
	if kind != 0x75465A4C || size > 64*int64(len(in)) { // 17 bytes of two at most
		return nil, rebuild.Refuse("mail.broken", "RTF", "")
	}
	var dictionary [window]byte
	at := copy(dictionary[:], start)
	var out []byte
	put := func(c byte) {
		out = append(out, c)
		dictionary[at] = c
		at = (at + 1) % window
	}
	for len(in) > 0 && int64(len(out)) < size {
		control := in[0]
		in = in[1:]
		for bit := 0; bit < 8 && len(in) > 0; bit++ {
			if control>>bit&1 == 0 {
				put(in[0])
				in = in[1:]
				continue
			}
			if len(in) < 2 {
				return out, nil
			}
			v := int(in[0])<<8 | int(in[1])
			in = in[2:]
			from, n := v>>4, v&15+2
			if from == at {
				return out, nil
			}
			for ; n > 0; n-- {
				put(dictionary[from])
				from = (from + 1) % window
			}
		}
	}
	return out, nil
}

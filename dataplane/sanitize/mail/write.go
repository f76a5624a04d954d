package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// pictureType is the type of a picture that a page may show, by its name; "" for anything else.
func pictureType(name string) string {
	switch f := verdict.FamilyOf(name); f {
	case "png", "jpeg", "gif":
		return "image/" + f
	}
	return ""
}

// write makes the mail. Every line is ASCII, ends with CR LF and is at most 78 characters long but for addresses and references.
func (s *sheet) write(j *rebuild.Job) ([]byte, error) {
	var b bytes.Buffer
	line := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	line("Date", s.date)
	line("From", list(s.from))
	line("Reply-To", list(s.replyTo))
	line("To", list(s.to))
	line("Cc", list(s.cc))
	line("Subject", unstructured(s.subject))
	if s.id != "" {
		line("Message-ID", "<"+s.id+">")
	}
	line("In-Reply-To", bracketed(s.inReplyTo))
	line("References", bracketed(s.references))
	line("MIME-Version", "1.0")
	out := j.Out()
	if _, err := out.Write(b.Bytes()); err != nil {
		return nil, err
	}
	main, attached := s.bodyPart(), s.enclosed
	if s.html {
		var shown []enclosed
		attached = nil
		for _, e := range s.enclosed {
			if e.id != "" && pictureType(e.name) != "" && strings.Contains(s.text, "cid:"+e.id) {
				shown = append(shown, e)
			} else {
				attached = append(attached, e)
			}
		}
		if len(shown) > 0 {
			parts := [][]byte{main}
			for _, e := range shown {
				parts = append(parts, e.part(true))
			}
			main = multipart("related", parts)
		}
	}
	if len(attached) > 0 {
		parts := [][]byte{main}
		for _, e := range attached {
			parts = append(parts, e.part(false))
		}
		main = multipart("mixed", parts)
	}
	if _, err := out.Write(main); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func (s *sheet) bodyPart() []byte {
	kind := "plain"
	text := strings.ReplaceAll(s.text, "\n", "\r\n")
	if s.html {
		kind, text = "html", s.text
	} else if text == "" || !strings.HasSuffix(text, "\r\n") {
		text += "\r\n"
	}
	return append([]byte("Content-Type: text/"+kind+"; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"), base64Lines([]byte(text))...)
}

// part is an attachment with its headers. A mail lies there as it is, so that programs show it; all else is base64.
func (e enclosed) part(shown bool) []byte {
	var b bytes.Buffer
	content := base64Lines(e.body)
	switch picture := pictureType(e.name); {
	case verdict.FamilyOf(e.name) == "eml":
		b.WriteString("Content-Type: message/rfc822\r\n")
		content = e.body
	case shown:
		b.WriteString("Content-Type: " + picture + ";\r\n " + param("name", e.name) + "\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <" + e.id + ">\r\n")
	default:
		b.WriteString("Content-Type: application/octet-stream;\r\n " + param("name", e.name) + "\r\nContent-Transfer-Encoding: base64\r\n")
	}
	disposition := "attachment"
	if shown {
		disposition = "inline"
	}
	b.WriteString("Content-Disposition: " + disposition)
	for i, piece := range percent(e.name) {
		if i == 0 {
			piece = "UTF-8''" + piece
		}
		fmt.Fprintf(&b, ";\r\n filename*%d*=%s", i, piece)
	}
	b.WriteString("\r\n\r\n")
	b.Write(content)
	return b.Bytes()
}

// param is a name in the way that programs without RFC 2231 read: an encoded word in quotes.
func param(name, value string) string {
	return name + `="` + strings.Join(encoded(value), "\r\n ") + `"`
}

// percent is a name as RFC 2231 wants it, in pieces of whole characters.
func percent(name string) (pieces []string) {
	var b strings.Builder
	for _, r := range name {
		if b.Len() > 40 {
			pieces = append(pieces, b.String())
			b.Reset()
		}
		if r < utf8.RuneSelf && (r == '.' || r == '-' || r == '_' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z') {
			b.WriteRune(r)
			continue
		}
		for _, c := range []byte(string(r)) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return append(pieces, b.String())
}

// multipart puts parts under one boundary that none of them holds: it is drawn from what they are.
func multipart(kind string, parts [][]byte) []byte {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	boundary := "=_" + hex.EncodeToString(h.Sum(nil)[:16])
	b := []byte("Content-Type: multipart/" + kind + ";\r\n boundary=\"" + boundary + "\"\r\n")
	for _, p := range parts {
		b = append(append(b, "\r\n--"+boundary+"\r\n"...), p...)
	}
	return append(b, "\r\n--"+boundary+"--\r\n"...)
}

func base64Lines(in []byte) []byte {
	const width = 57 // bytes of a line of 76
	out := make([]byte, 0, len(in)*3/2)
	for len(in) > 0 {
		n := min(width, len(in))
		out = append(base64.StdEncoding.AppendEncode(out, in[:n]), "\r\n"...)
		in = in[n:]
	}
	return out
}

var (
	simple = regexp.MustCompile(`^[ -<>-~]*$`) // ASCII without =, so that nothing looks like an encoded word
	phrase = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/?^_{|}~\x60 -]+$`)
)

// unstructured writes text as it is when it is short ASCII, else as encoded words, one a line.
func unstructured(s string) string {
	if len(s) <= 60 && simple.MatchString(s) {
		return s
	}
	return strings.Join(encoded(s), "\r\n ")
}

// encoded is text as encoded words in UTF-8, each of whole characters and at most 72 characters long.
func encoded(s string) (out []string) {
	var chunk []byte
	flush := func() {
		if len(chunk) > 0 {
			out = append(out, "=?UTF-8?B?"+base64.StdEncoding.EncodeToString(chunk)+"?=")
			chunk = nil
		}
	}
	for _, r := range s {
		if len(chunk)+utf8.RuneLen(r) > 45 {
			flush()
		}
		chunk = utf8.AppendRune(chunk, r)
	}
	flush()
	return out
}

func list(all []address) string {
	var out []string
	for _, a := range all {
		name := a.name
		if !phrase.MatchString(name) || len(name) > 60 {
			name = strings.Join(encoded(name), "\r\n ")
		}
		switch {
		case a.at == "" && name != "":
			out = append(out, name+":;") // a group of nobody: a name without an address
		case name == "":
			out = append(out, a.at)
		default:
			out = append(out, name+" <"+a.at+">")
		}
	}
	return strings.Join(out, ",\r\n ")
}

func bracketed(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return "<" + strings.Join(ids, ">\r\n <") + ">"
}

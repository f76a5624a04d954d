package web

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

const (
	maxFiles = 20   // files of one form
	maxNote  = 1000 // characters
	maxName  = 200  // characters of a file name
)

// refused is a file that was not taken, and why.
type refused struct {
	Name    string `json:"name"`
	Code    string `json:"code"`
	Message string `json:"error"`
}

// outcome of one form.
type outcome struct {
	Sent    []Transfer `json:"transfers"`
	Refused []refused  `json:"refused,omitempty"`
}

// upload takes a multipart form, in this order: to (zone), note, passwords of the files, one a line, then one or more file. Each file becomes a transfer of its
// own and streams through; nothing is kept here.
func (s *site) upload(w http.ResponseWriter, r *http.Request, p Person) {
	routes, err := s.Transfers.Routes(r.Context(), p, s.zone)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, bodyLimit(routes))
	var o order
	var out outcome
	form, err := r.MultipartReader()
	for n := 0; err == nil; {
		var part *multipart.Part
		if part, err = form.NextPart(); err != nil {
			break
		}
		switch part.FormName() {
		case "to":
			var v string
			if v, err = field(part); err == nil && o.To.UnmarshalText([]byte(v)) != nil {
				err = Refuse(CodeRoute, nil)
			}
		case "note":
			o.Note, err = field(part)
		case "passwords":
			o.keys, err = passwords(part)
		case "file":
			if part.FileName() == "" {
				continue // an empty file input
			}
			if n++; n > maxFiles {
				err = Refuse(codeTooMany, nil)
				break
			}
			var t Transfer
			if t, err = s.take(r, p, routes, o, part); err == nil {
				out.Sent = append(out.Sent, t)
			} else if code, ok := s.code(r, err); ok {
				out.Refused = append(out.Refused, refused{fileName(part), code, said(r, code)})
				err = nil // the other files have their own chance; the rest of this part is skipped
			}
		}
	}
	if err == io.EOF {
		err = nil
	}
	if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
		err = Refuse(CodeTooLarge, err)
	}
	if err == nil && len(out.Sent)+len(out.Refused) == 0 {
		err = Refuse(codeFileMissing, nil)
	}
	s.answer(w, r, p, o, out, err)
}

func (s *site) answer(w http.ResponseWriter, r *http.Request, p Person, o order, out outcome, err error) {
	if err != nil {
		code, ok := s.code(r, err)
		if !ok && len(out.Sent) == 0 || wantsJSON(r) {
			s.fail(w, r, err)
			return
		}
		if len(out.Sent) == 0 {
			s.showSend(w, r, status(code), p, code, o)
			return
		}
		out.Refused = append(out.Refused, refused{"", code, said(r, code)})
	}
	st := http.StatusCreated
	if len(out.Sent) == 0 {
		st = status(out.Refused[0].Code)
	}
	switch {
	case wantsJSON(r):
		writeJSON(w, st, out)
	case len(out.Sent) == 1 && len(out.Refused) == 0:
		http.Redirect(w, r, "/transfers/"+out.Sent[0].ID+"?done=sent", http.StatusSeeOther)
	case len(out.Refused) == 0:
		http.Redirect(w, r, "/transfers?done=sent", http.StatusSeeOther)
	default:
		s.render(w, r, st, "sent", view{Title: "title.sent", Nav: "send", Person: &p, Data: out})
	}
}

// take passes one file on.
func (s *site) take(r *http.Request, p Person, routes []Route, o order, part *multipart.Part) (Transfer, error) {
	route := -1
	for i := range routes {
		if routes[i].To == o.To && o.To != anchors.None {
			route = i
		}
	}
	if route < 0 {
		return Transfer{}, Refuse(CodeRoute, nil)
	}
	name := fileName(part)
	if !properName(name) {
		return Transfer{}, Refuse(codeName, nil)
	}
	body := bufio.NewReader(part)
	if _, err := body.Peek(1); err == io.EOF {
		return Transfer{}, Refuse(CodeEmpty, nil)
	}
	t, err := s.Transfers.Create(r.Context(), p, s.zone, o.To, name, o.Note, o.keys, &limited{body, routes[route].MaxSize})
	return t.bare(), err
}

// limited fails, rather than ends, when a file goes on beyond its limit: a file cut short must never look whole.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(b []byte) (int, error) {
	n, err := l.r.Read(b[:min(int64(len(b)), l.left+1)])
	if l.left -= int64(n); l.left < 0 {
		return 0, Refuse(CodeTooLarge, nil)
	}
	return n, err
}

// bodyLimit bounds the whole form.
func bodyLimit(routes []Route) int64 {
	limit := int64(1 << 20)
	for _, r := range routes {
		limit = max(limit, r.MaxSize*maxFiles+1<<20)
	}
	return limit
}

// fileName is the last element of what the browser says, however the PC writes paths.
func fileName(part *multipart.Part) string {
	name := part.FileName()
	return strings.TrimSpace(name[strings.LastIndexAny(name, `/\`)+1:])
}

// properName refuses what would lie to a reader: control characters, and the invisible ones that turn "cod.exe" around.
func properName(name string) bool {
	if name == "" || name == "." || name == ".." || !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxName {
		return false
	}
	for _, c := range name {
		if unicode.Is(unicode.Cc, c) || unicode.Is(unicode.Bidi_Control, c) || c == '\u2028' || c == '\u2029' {
			return false
		}
	}
	return true
}

// maxPasswords bounds the field, in bytes.
const maxPasswords = verdict.MaxKeys * (verdict.MaxKey + 2)

// passwords reads what opens the files. Spaces at the ends may belong to them.
func passwords(part *multipart.Part) ([]string, error) {
	b, err := io.ReadAll(io.LimitReader(part, maxPasswords+1))
	if err != nil {
		return nil, fmt.Errorf("read field %s: %w", part.FormName(), err)
	}
	keys, err := verdict.ParseKeys(string(b))
	if err != nil || len(b) > maxPasswords {
		return nil, Refuse(CodePasswords, err)
	}
	return keys, nil
}

// field reads a short text field.
func field(part *multipart.Part) (string, error) {
	b, err := io.ReadAll(io.LimitReader(part, 4*maxNote+1))
	if err != nil {
		return "", fmt.Errorf("read field %s: %w", part.FormName(), err)
	}
	v := strings.TrimSpace(string(b))
	if !utf8.ValidString(v) || utf8.RuneCountInString(v) > maxNote {
		return "", Refuse(codeForm, nil)
	}
	return v, nil
}

package xml

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// Writer writes XML in one form: a declaration, one space before each attribute, double quotes, five references at most.
type Writer struct {
	job  *rebuild.Job
	out  strings.Builder
	err  error
	said strings.Builder // text of the element that is open, to be told when it ends
	name string          // of the last start tag: it says what the text is
	n    int
}

// NewWriter begins a document.
func NewWriter(j *rebuild.Job) *Writer {
	w := &Writer{job: j}
	w.out.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
	return w
}

// Open begins a start tag.
func (w *Writer) Open(name string) {
	w.tell()
	for _, r := range name {
		if r == utf8.RuneError || charset.Hidden(r) {
			w.err = rebuild.Refuse("xml.broken", "", "name of an element")
		}
	}
	w.name = name
	w.out.WriteString("<" + name)
}

// Attr writes an attribute with the value that it stands for.
func (w *Writer) Attr(name, value string) {
	for _, r := range name {
		if r == utf8.RuneError || charset.Hidden(r) {
			w.err = rebuild.Refuse("xml.broken", "", "name of an attribute")
		}
	}
	w.out.WriteString(" " + name + `="`)
	_, _ = inValue.WriteString(&w.out, w.job.Seen(value))
	w.out.WriteByte('"')
}

// Close ends a start tag.
func (w *Writer) Close(empty bool) {
	if empty {
		w.out.WriteByte('/')
	}
	w.out.WriteByte('>')
	if w.err == nil && int64(w.out.Len()) > w.job.MaxOut {
		w.err = rebuild.Refuse("limit.output", "", fmt.Sprintf("limit %d bytes", w.job.MaxOut))
	}
}

// End writes an end tag.
func (w *Writer) End(name string) {
	w.tell()
	w.out.WriteString("</" + name + ">")
}

// Text writes text.
func (w *Writer) Text(s string) {
	s = w.job.Seen(s)
	if w.said.Len() < 1<<16 {
		w.said.WriteString(s)
	}
	_, _ = inText.WriteString(&w.out, s)
}

// Raw writes what its caller has made.
func (w *Writer) Raw(s string) { w.out.WriteString(s) }

// Done ends the document.
func (w *Writer) Done() []byte {
	w.out.WriteByte('\n')
	return []byte(w.out.String())
}

// Err is why the document cannot be written.
func (w *Writer) Err() error { return w.err }

func (w *Writer) tell() {
	if w.said.Len() == 0 {
		return
	}
	if s := strings.TrimSpace(w.said.String()); s != "" {
		w.n++
		w.job.Row(fmt.Sprintf("T%d", w.n), []string{w.name, s})
	}
	w.said.Reset()
}

var (
	inText  = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")
	inValue = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\n", "&#10;", "\t", "&#9;")
)

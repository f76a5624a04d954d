package pdf

import (
	"errors"
	"fmt"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// attachments rebuilds the files that are attached to the document, each by its own family, under the names that those give. One
// that is refused is left out and named.
func (w *walk) attachments(root value) (array, error) {
	var pairs array
	var failed error
	w.tree(root, "Names", func(_, v value) {
		spec, _ := first2(w.get(v)).(dict)
		files, _ := first2(w.get(spec["EF"])).(dict)
		called := ""
		var o *object
		for _, k := range []name{"F", "UF"} { // the later one is the better one
			if t, ok := first2(w.get(spec[k])).(text); ok {
				called = decodeText(t)
			}
			if _, f := w.get(files[k]); f != nil && f.stream {
				o = f
			}
		}
		if o == nil || failed != nil {
			return
		}
		data, ok := w.decoded(o)
		if !ok {
			w.removed("pdf.attachment", called)
			return
		}
		res, err := w.Nested(called, called, data, false)
		switch {
		case errors.Is(err, rebuild.ErrAsked):
			w.asked = true
			return
		case rebuild.Refused(err) && !rebuild.Limits(err):
			w.removed("pdf.attachment", called)
			return
		case err != nil:
			failed = err
			return
		}
		m := w.add("Attachment")
		m.stream, m.v, m.data = true, dict{"Type": name("EmbeddedFile")}, res.Body
		pairs = append(pairs, text(fmt.Sprintf("%06d", len(pairs)/2)), dict{"Type": name("Filespec"), "UF": spell(res.Name), "F": spell(res.Name), "EF": dict{"F": ref(len(w.out))}})
	})
	return pairs, failed
}

// spell makes a text string of a name: ASCII, or UTF-16.
func spell(s string) text {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7E {
			return unicodeText(s)
		}
	}
	return text(s)
}

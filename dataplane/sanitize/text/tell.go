package text

import (
	"bytes"
	"fmt"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// tell hands the text on, line by line and, of a table, cell by cell, so that numbers of persons are found in it. Quotes are white
// space to who looks for digits, so cells are cut at each separator of the file's own.
func tell(j *rebuild.Job, b []byte, set charset.Set, csv bool) error {
	if j.Heard == nil {
		return nil
	}
	delim := byte('\n')
	if csv {
		d, err := delimiter(b)
		if err != nil {
			return err
		}
		delim = d
	}
	var before []byte // the line before, when it was not told: it may say what follows
	say := func(n int, line []byte) error {
		s, ok := set.Text(bytes.TrimSuffix(line, []byte("\r")))
		switch {
		case !ok:
			return rebuild.Refuse("text.invalid", fmt.Sprintf("L%d", n), "")
		case csv:
			j.Row(fmt.Sprintf("R%d", n), cells(s, delim))
		default:
			j.Text(fmt.Sprintf("L%d", n), s)
		}
		return nil
	}
	for n := 1; len(b) > 0; n++ {
		if n&0xFFF == 0 && j.Ctx.Err() != nil {
			return j.Ctx.Err()
		}
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		if n > headings && !digitsMany(line) {
			before = line
			continue
		}
		if before != nil {
			if err := say(n-1, before); err != nil {
				return err
			}
			before = nil
		}
		if err := say(n, line); err != nil {
			return err
		}
	}
	return nil
}

// headings are the first lines, which are told whatever they hold: they say what stands below.
const headings = 10

// digitsMany tells a line that can hold twelve digits, narrow or wide in any of the sets.
func digitsMany(line []byte) bool {
	digits := 0
	for i, c := range line {
		if '0' <= c && c <= '9' {
			digits++
			continue
		}
		if i == 0 {
			continue
		}
		switch before := line[i-1]; {
		case before == 0x82 && 0x4F <= c && c <= 0x58, // CP932
			before == 0xA3 && 0xB0 <= c && c <= 0xB9,                                // EUC-JP
			before == 0xBC && 0x90 <= c && c <= 0x99 && i >= 2 && line[i-2] == 0xEF: // UTF-8
			digits++
		}
	}
	return digits >= 12
}

// cells cuts a row at the separators that stand in no quotes.
func cells(row string, delim byte) []string {
	var out []string
	quoted, from := false, 0
	for i := 0; i < len(row); i++ {
		switch row[i] {
		case '"':
			quoted = !quoted
		case delim:
			if !quoted {
				out = append(out, row[from:i])
				from = i + 1
			}
		}
	}
	return append(out, row[from:])
}

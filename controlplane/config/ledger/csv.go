package ledger

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
)

// Encodings of a CSV file.
const (
	UTF8     = "utf-8"
	ShiftJIS = "shift_jis"
)

// readCSV reads comma or tab separated text.
func readCSV(name string, data []byte) (*Book, error) {
	text, encoding, err := decodeText(data)
	if err != nil {
		return nil, err
	}
	if !bytes.ContainsRune(text, '\n') {
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n")) // line ends of old programs
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	r.Comma = separator(text)
	s := &Sheet{Name: name, era: epoch1900}
	left := room(MaxCells)
	next, line, offset := 1, 1, int64(0) // number of the next row; line and byte where it is looked for
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var pe *csv.ParseError
		if errors.As(err, &pe) {
			return nil, fault("csv.quotes", fmt.Sprint(pe.StartLine), fmt.Sprint(pe.Line), pe.Err.Error())
		}
		if err != nil {
			return nil, fault("file.broken", err.Error())
		}
		// Empty lines are rows, too, that the reader steps over.
		at, _ := r.FieldPos(0)
		next += at - line
		if next > MaxRows {
			return nil, fault("file.rows", name, fmt.Sprint(next), fmt.Sprint(MaxRows))
		}
		if len(fields) > MaxColumns {
			return nil, fault("file.columns", name, letters(len(fields)), letters(MaxColumns))
		}
		if err := left.take(len(fields)); err != nil {
			return nil, err
		}
		row := Row{Number: next, Cells: make([]Cell, len(fields))}
		for i, f := range fields {
			if len(f) > MaxCell {
				return nil, fault("file.cell", s.cell(next, i+1), fmt.Sprint(len(f)), fmt.Sprint(MaxCell))
			}
			text := unescape(f)
			row.Cells[i] = Cell{Text: text, Raw: text, Literal: text != f}
		}
		s.Rows = append(s.Rows, row)
		end := r.InputOffset()
		line = at + bytes.Count(bytes.TrimLeft(text[offset:end], "\r\n"), []byte("\n"))
		if end == int64(len(text)) && !bytes.HasSuffix(text, []byte("\n")) {
			line++
		}
		next, offset = next+1, end
	}
	return &Book{Encoding: encoding, Sheets: []*Sheet{s}}, nil
}

// decodeText finds the encoding of a text file: a byte order mark tells; else UTF-8 if it is that, else Shift_JIS.
func decodeText(data []byte) (text []byte, name string, err error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		data, name = data[3:], "UTF-8 (BOM)"
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		text, err = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Bytes(data)
		if err != nil {
			return nil, "", fault("file.encoding", err.Error())
		}
		return text, "UTF-16", nil
	default:
		name = "UTF-8"
	}
	if utf8.Valid(data) {
		return data, name, nil
	}
	if name != "UTF-8" {
		return nil, "", fault("file.encoding", "UTF-8 (BOM)")
	}
	text, err = japanese.ShiftJIS.NewDecoder().Bytes(data)
	if err != nil {
		return nil, "", fault("file.encoding", err.Error())
	}
	// Single characters that Shift_JIS does not have (gaiji) are told by cell; a file full of them is another encoding.
	if bad := bytes.Count(text, []byte("\uFFFD")); bad*50 > utf8.RuneCount(text) {
		return nil, "", fault("file.encoding", "Shift_JIS")
	}
	return text, "Shift_JIS", nil
}

// separator tells tabs from commas by what the first lines hold more of.
func separator(text []byte) rune {
	head := text[:min(len(text), 1<<16)]
	if bytes.Count(head, []byte("\t")) > bytes.Count(head, []byte(",")) {
		return '\t'
	}
	return ','
}

// A spreadsheet takes a cell that begins with one of these for a formula when it opens a CSV file, and this package takes
// some words for something else than themselves: such text gets an apostrophe in front, which reading takes away again.
const formulaSigns = "=+-@\t\r'＝＋－＠"

func escape(s string) string {
	if s != "" && (strings.ContainsRune(formulaSigns, firstRune(s)) || ditto(s)) {
		return "'" + s
	}
	return s
}

func unescape(s string) string {
	if rest, ok := strings.CutPrefix(s, "'"); ok && rest != "" && escape(rest) != rest {
		return rest
	}
	return s
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

// writeCSV writes rows in an encoding, lines ended as Excel does. UTF-8 gets a byte order mark, without which Excel in Japan
// takes it for Shift_JIS.
func writeCSV(w io.Writer, sheet string, rows [][]string, enc string) error {
	var out bytes.Buffer
	c := csv.NewWriter(&out)
	c.UseCRLF = true
	for i, row := range rows {
		line := make([]string, len(row))
		for j, text := range row {
			if enc == ShiftJIS {
				if r, ok := foreign(text); ok {
					f := fault("csv.character", string(r), fmt.Sprintf("U+%04X", r))
					f.Cell = (&Sheet{Name: sheet}).cell(i+1, j+1)
					return f
				}
			}
			line[j] = escape(text)
		}
		if err := c.Write(line); err != nil {
			return err
		}
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return err
	}
	if enc == UTF8 {
		_, err := w.Write(append([]byte("\xef\xbb\xbf"), out.Bytes()...))
		return err
	}
	b, err := japanese.ShiftJIS.NewEncoder().Bytes(out.Bytes())
	if err != nil {
		return fmt.Errorf("write Shift_JIS: %w", err)
	}
	_, err = w.Write(b)
	return err
}

// foreign finds a character that Shift_JIS cannot hold, or that would come back as another one.
func foreign(text string) (rune, bool) {
	for _, r := range text {
		if r < 0x80 {
			continue
		}
		b, err := japanese.ShiftJIS.NewEncoder().String(string(r))
		if err == nil {
			b, err = japanese.ShiftJIS.NewDecoder().String(b)
		}
		if err != nil || b != string(r) {
			return r, true
		}
	}
	return 0, false
}

package ledger

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Fate is what became of a row.
type Fate string

const (
	Added     Fate = "added"
	Changed   Fate = "changed"
	Unchanged Fate = "unchanged"
	Refused   Fate = "refused"
	Skipped   Fate = "skipped"
)

// Fates in the order of a summary.
var Fates = []Fate{Added, Changed, Unchanged, Refused, Skipped}

// Report says what became of every row of a ledger.
type Report struct {
	File     string       `json:"file"`
	Encoding string       `json:"encoding,omitempty"` // of a CSV file
	Sheet    string       `json:"sheet"`
	Header   []int        `json:"header"`
	Columns  []ColumnSaid `json:"columns"`
	Notes    []Note       `json:"notes"`  // on the file as a whole
	Faults   []Note       `json:"faults"` // on the result as a whole; with one of these nothing is written
	Rows     []*RowReport `json:"rows"`
	Totals   map[Fate]int `json:"totals"`
	New      []NewThing   `json:"new"`     // stations, services and windows that the ledger brought
	Missing  []string     `json:"missing"` // records of the document that the ledger does not hold; they stay as they are
	Written  bool         `json:"written"`
}

// ColumnSaid is one column as it was understood.
type ColumnSaid struct {
	Column string `json:"column"`
	Title  string `json:"title"`
	Field  Field  `json:"field"`
}

// RowReport is one row's fate.
type RowReport struct {
	Row     int      `json:"row"`
	Cell    string   `json:"cell"` // of its number
	Number  string   `json:"number,omitempty"`
	Records []string `json:"records,omitempty"` // ids that it became, or belongs to
	Fate    Fate     `json:"fate"`
	Changes []Change `json:"changes,omitempty"`
	Faults  []Note   `json:"faults,omitempty"`
	Notes   []Note   `json:"notes,omitempty"`
	Hidden  bool     `json:"hidden,omitempty"`
}

// Change is one field of a record that the ledger changes, as the document writes it.
type Change struct {
	Record string `json:"record"`
	Field  string `json:"field"`
	Old    string `json:"old"`
	New    string `json:"new"`
}

// NewThing is a station, service or window that the import adds.
type NewThing struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Text string `json:"text"`
	Cell string `json:"cell"`
}

// MarshalJSON gives the sentence in both languages beside the code.
func (n Note) MarshalJSON() ([]byte, error) {
	bare := n
	bare.Cell = ""
	return json.Marshal(struct {
		Cell string   `json:"cell,omitempty"`
		Code string   `json:"code"`
		Args []string `json:"args,omitempty"`
		JA   string   `json:"ja"`
		EN   string   `json:"en"`
	}{n.Cell, n.Code, n.Args, bare.Say("ja"), bare.Say("en")})
}

// Refusals counts rows that are refused, and faults of the whole.
func (r *Report) Refusals() int { return r.Totals[Refused] + len(r.Faults) }

// Print writes the report for people.
func (r *Report) Print(w io.Writer, lang string) {
	say := func(code string, args ...string) string { return Note{Code: code, Args: args}.Say(lang) }
	sheet := r.Sheet
	if r.Encoding != "" {
		sheet += " (" + r.Encoding + ")"
	}
	fmt.Fprintln(w, say("report.head", r.File, sheet, strings.Trim(numbers(r.Header), "[]")))
	for _, c := range r.Columns {
		fmt.Fprintf(w, "  %-3s %s → %s\n", c.Column, short(c.Title), sentences.Sentence(c.Field.said(), lang))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "%s: %s\n", say("report.note"), n.Say(lang))
	}
	for _, row := range r.Rows {
		row.print(w, lang, say)
	}
	for _, n := range r.New {
		fmt.Fprintln(w, say("report.new", "kind."+n.Kind, n.ID, n.Text, n.Cell))
	}
	if len(r.Missing) > 0 {
		fmt.Fprintln(w, say("report.missing", fmt.Sprint(len(r.Missing)), strings.Join(r.Missing, ", ")))
	}
	for _, n := range r.Faults {
		fmt.Fprintf(w, "%s: %s\n", say("report.fault"), n.Say(lang))
	}
	args := make([]string, len(Fates))
	for i, f := range Fates {
		args[i] = fmt.Sprint(r.Totals[f])
	}
	fmt.Fprintln(w, say("report.totals", append(args, fmt.Sprint(len(r.Rows)))...))
}

func (row *RowReport) print(w io.Writer, lang string, say func(string, ...string) string) {
	number := row.Number
	if len(row.Records) > 0 && !slices.Equal(row.Records, []string{row.Number}) {
		number += " (" + strings.Join(row.Records, ", ") + ")"
	}
	hidden := ""
	if row.Hidden {
		hidden = "  " + say("report.hidden")
	}
	fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%s  %s  %s%s", row.Cell, say("fate."+string(row.Fate)), short(number), hidden), " "))
	for _, c := range row.Changes {
		record := ""
		if len(row.Records) > 1 {
			record = c.Record + " "
		}
		fmt.Fprintf(w, "    %s%s: %s → %s\n", record, c.Field, short(blank(c.Old)), short(blank(c.New)))
	}
	for _, n := range row.Faults {
		fmt.Fprintf(w, "    %s: %s\n", say("report.fault"), n.Say(lang))
	}
	for _, n := range row.Notes {
		fmt.Fprintf(w, "    %s: %s\n", say("report.note"), n.Say(lang))
	}
}

func blank(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/templates"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// runMeasures prints the checklist of the configuration's model. Exit code 1 when something required is missing.
func runMeasures(_ context.Context, args []string, stdout, stderr io.Writer) int {
	fs, o := policyFlags("measures FILE [--anchors FILE] [--at MOMENT]", stderr)
	file, ok := oneFile(fs, args)
	if !ok {
		return exitUsage
	}
	c, ok := compile(file, o, stderr)
	if !ok {
		return exitFailed
	}
	broken := map[string]bool{}
	for _, v := range proof.Check(&c.Tables, c.anchors) {
		broken[v.Invariant] = true
	}
	list, err := c.cfg.Checklist(broken, c.at)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", file, err)
		return exitFailed
	}
	catalogue, err := templates.Load()
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", file, err)
		return exitFailed
	}
	model := catalogue.Model(c.cfg.Model)
	fmt.Fprintf(stdout, "%s (%s): invariants %s\n", model.Name.JA, model.Name.EN, strings.Join(model.Invariants, " "))
	missing := 0
	for _, i := range list {
		if i.Required && !i.Standing.Good() {
			missing++
		}
		c.printMeasure(stdout, i)
	}
	printUnconfirmed(stdout, "", model.Unconfirmed)
	fmt.Fprintf(stdout, "%s: %d measures, %d required ones missing\n", file, len(list), missing)
	if missing > 0 {
		return exitFailed
	}
	return exitOK
}

func (c *compiled) printMeasure(w io.Writer, i config.Item) {
	advised := ""
	if !i.Required {
		advised = ", advised"
	}
	fmt.Fprintf(w, "%-8s %s: %s (%s)%s\n", i.Standing, i.ID, i.Name.JA, i.Name.EN, advised)
	if i.Stated != nil {
		place := ""
		if p, ok := c.cfg.PosOf(i.Stated); ok {
			place = fmt.Sprintf("%s:%d: ", c.file, p.Line)
		}
		switch s := i.Stated; {
		case s.Done.By != "":
			fmt.Fprintf(w, "         %sby %s on %s, evidence: %s\n", place, s.Done.By, s.Done.On, s.Done.Evidence)
		case s.NotApplicable.Why != "":
			fmt.Fprintf(w, "         %snot applicable: %s\n", place, s.NotApplicable.Why)
		default:
			fmt.Fprintf(w, "         %splanned until %s\n", place, s.Planned.Until)
		}
	}
	if i.Standing == config.Held || i.Standing == config.Broken {
		fmt.Fprintf(w, "         by the gate: %s\n", strings.Join(i.Held, " "))
	}
	if !i.Standing.Good() {
		fmt.Fprintf(w, "         %s\n         %s\n", i.Text.JA, i.Text.EN)
		printUnconfirmed(w, "         ", i.Unconfirmed)
	}
}

func printUnconfirmed(w io.Writer, indent string, t templates.Text) {
	if t != (templates.Text{}) {
		fmt.Fprintf(w, "%s未確認: %s\n%sunconfirmed: %s\n", indent, t.JA, indent, t.EN)
	}
}

// runTemplates lists the starting points, or prints one: a piece of a configuration, or what a model asks for.
func runTemplates(_ context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flags("templates [list | show ID]", stderr)
	now := time.Now()
	atFlag(fs, &now)
	rest, err := interspersed(fs, args)
	show := len(rest) == 2 && rest[0] == "show"
	if err != nil || !show && len(rest) > 0 && (len(rest) > 1 || rest[0] != "list") {
		if err == nil {
			fs.Usage()
		}
		return exitUsage
	}
	catalogue, err := templates.Load()
	if err != nil {
		fmt.Fprintln(stderr, "sekisho templates:", err)
		return exitFailed
	}
	if !show {
		for _, m := range catalogue.Models {
			fmt.Fprintf(stdout, "%-20s %s (%s): %s\n", m.ID, m.Name.JA, m.Name.EN, m.Text.EN)
		}
		for _, p := range catalogue.Pieces {
			fmt.Fprintf(stdout, "%-20s %s (%s): %s\n", p.ID, p.Name.JA, p.Name.EN, p.Text.EN)
		}
		return exitOK
	}
	if p := catalogue.Piece(rest[1]); p != nil {
		fmt.Fprint(stdout, p.YAML)
		return exitOK
	}
	if m := catalogue.Model(rest[1]); m != nil {
		printModel(stdout, catalogue, m, now)
		return exitOK
	}
	var known []string
	for _, p := range catalogue.Pieces {
		known = append(known, p.ID)
	}
	fmt.Fprintf(stderr, "sekisho templates: there is no template %q%s (`sekisho templates list` names all)\n", rest[1], config.Suggest(rest[1], append(known, config.Models...)))
	return exitFailed
}

// printModel writes what a model asks for as the section of the configuration that states it: all planned for the end of the fiscal
// year until somebody knows better.
func printModel(w io.Writer, catalogue *templates.Catalogue, m *templates.Model, now time.Time) {
	fmt.Fprintf(w, "# %s（%s）：%s %s\n# 不変条件 invariants: %s（どのモデルでも緩められない。 No model loosens one.）\n", m.Name.JA, m.Name.EN, m.Text.JA, m.Text.EN, strings.Join(m.Invariants, " "))
	printUnconfirmed(w, "# ", m.Unconfirmed)
	fmt.Fprintf(w, `model: %s
# 済んだものは done: {by: 記入, on: 2026-04-01, evidence: 記入}、当たらないものは not-applicable: {why: 記入} に書き換える。
# Rewrite what is done as done: {by: …, on: 2026-04-01, evidence: …}, and what does not apply as not-applicable: {why: …}.
measures:
`, m.ID)
	end := fiscalYearEnd(now)
	for n, id := range append(append([]string{}, m.Required...), m.Advised...) {
		x := catalogue.Measure(id)
		word := "必須 required"
		if n >= len(m.Required) {
			word = "推奨 advised"
		}
		fmt.Fprintf(w, "  # %s: %s %s\n", word, x.Text.JA, x.Text.EN)
		printUnconfirmed(w, "  # ", x.Unconfirmed)
		if len(x.Held) > 0 {
			fmt.Fprintf(w, "  # %s: 関所が守り、証明する（%s）。書かなくてよい。 The gate holds and proves it; nothing to write.\n", id, strings.Join(x.Held, " "))
			continue
		}
		fmt.Fprintf(w, "  - {id: %s, planned: {until: %s}}\n", id, end)
	}
}

// fiscalYearEnd is the next 31 March.
func fiscalYearEnd(now time.Time) string {
	d := now.In(time.FixedZone("JST", 9*60*60))
	year := d.Year()
	if d.Month() > time.March {
		year++
	}
	return fmt.Sprintf("%d-03-31", year)
}

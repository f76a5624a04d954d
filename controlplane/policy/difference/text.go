package difference

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

//go:embed texts.json
var textsJSON []byte

// Texts are what a difference says, in Japanese and English; arguments are fmt verbs with explicit indexes.
var Texts = verdict.NewCatalogue(textsJSON)

// teller writes in one language.
type teller string

func (l teller) say(key string, args ...any) string {
	s := Texts.Sentence(key, string(l))
	if len(args) == 0 {
		return s
	}
	return fmt.Sprintf(s, args...)
}

// Print writes the difference for people: ja or en.
func (d *Difference) Print(w io.Writer, lang string) error {
	l := teller(lang)
	var b strings.Builder
	if d.Empty() {
		b.WriteString(l.say("nothing") + "\n")
	} else if d.Permitted.empty() && d.Refused.empty() {
		b.WriteString(l.say("same") + "\n")
	}
	list(&b, l, "permitted", "+", d.Permitted, l.part)
	list(&b, l, "refused", "-", d.Refused, l.part)
	list(&b, l, "records", "*", d.Records, l.record)
	list(&b, l, "bindings", "*", d.Bindings, l.binding)
	if len(d.Sections) > 0 {
		fmt.Fprintf(&b, "%s\n", l.say("sections", strings.Join(d.Sections, ", ")))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func list[T any](b *strings.Builder, l teller, title, mark string, in List[T], line func(T) string) {
	if in.empty() {
		return
	}
	fmt.Fprintf(b, "%s:\n", l.say(title))
	for _, x := range in.First {
		fmt.Fprintf(b, "  %s %s\n", mark, line(x))
	}
	switch {
	case in.More > 0 && in.Size > 0:
		fmt.Fprintf(b, "    %s\n", l.say("more-parts", in.More, strconv.FormatFloat(in.Size, 'g', 3, 64)))
	case in.More > 0:
		fmt.Fprintf(b, "    %s\n", l.say("more", in.More))
	}
}

func (l teller) part(p Part) string {
	when := make([]string, len(p.Times))
	for i, t := range p.Times {
		when[i] = l.time(t)
	}
	at := strings.Join(when, l.say("or"))
	if at == "" {
		at = l.say("always")
	}
	return l.say("part", l.names(p.From), l.names(p.To), strings.Join(p.Ports, ", "), at, l.some(p.Records))
}

// some lists names; of many, the first.
func (l teller) some(names []string) string {
	if len(names) <= mostNames+1 {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:mostNames], ", ") + l.say("and") + l.say("others", len(names)-mostNames)
}

// mostNames is how many names one end of a part is told by.
const mostNames = 8

func (l teller) names(in []Name) string {
	var out []string
	for i, n := range in {
		if i == mostNames && len(in) > mostNames+1 {
			out = append(out, l.say("others", len(in)-i))
			break
		}
		switch n.Kind {
		case "address":
			out = append(out, n.Addresses)
		case "gate":
			out = append(out, l.say("gate", l.name(n), n.Addresses))
		default:
			out = append(out, l.say("named", l.name(n), n.Addresses))
		}
	}
	return strings.Join(out, l.say("and"))
}

// name is what the language calls something; its id where it has no name there.
func (l teller) name(n Name) string {
	switch {
	case l == "en" && n.Name.EN != "":
		return n.Name.EN
	case l != "en" && n.Name.JA != "":
		return n.Name.JA
	case n.ID == "":
		return l.say("address")
	}
	return n.ID
}

func (l teller) time(t Time) string {
	var out []string
	for _, s := range t.Week {
		out = append(out, l.span(s))
	}
	week := strings.Join(out, l.say("and"))
	out = nil
	if week != "" {
		out = append(out, week)
	}
	if t.Since != "" {
		out = append(out, l.say("since", t.Since))
	}
	switch {
	case t.Until == "":
	case strings.Contains(t.Until, " "):
		out = append(out, l.say("until-minute", t.Until))
	default:
		out = append(out, l.say("until", t.Until))
	}
	if len(out) == 0 {
		return l.say("always")
	}
	return strings.Join(out, " ")
}

func (l teller) span(s Span) string {
	key, more := "span", s.More
	if s.To <= s.From {
		key, more = "span-next", more+1
	}
	if s.More > 0 {
		return l.say("span-days", l.days(s.Days), s.From, s.To, more)
	}
	return l.say(key, l.days(s.Days), s.From, s.To)
}

// days names days; three and more in a row by the first and the last.
func (l teller) days(in []int) string {
	day := func(n int) string { return l.say("day-" + strconv.Itoa(n)) }
	in = slices.Clone(in)
	slices.Sort(in)
	var out []string
	for len(in) > 0 {
		n := 1
		for n < len(in) && in[n] == in[n-1]+1 {
			n++
		}
		if n < 3 {
			out, in = append(out, day(in[0])), in[1:]
			continue
		}
		out, in = append(out, l.say("day-range", day(in[0]), day(in[n-1]))), in[n:]
	}
	return strings.Join(out, l.say("day-and"))
}

func (l teller) record(r Record) string {
	keys := map[string]string{"state": "state", "since": "from-day", "until": "until-day", "window": "window", "class": "class"}
	var out []string
	for _, c := range r.Changes {
		if r.Added {
			out = append(out, l.say("detail", l.say(keys[c.Key]), c.Is))
			continue
		}
		was, is := c.Was, c.Is
		if was == "" {
			was = l.say("unset")
		}
		if is == "" {
			is = l.say("unset")
		}
		out = append(out, l.say("became", l.say(keys[c.Key]), was, is))
	}
	text := strings.Join(out, l.say("and"))
	switch {
	case r.Removed:
		return l.say("removed", r.ID)
	case r.Added && text == "":
		return l.say("added", r.ID)
	case r.Added:
		return l.say("added", r.ID) + l.say("and") + text
	}
	return l.say("changed", r.ID, text)
}

func (l teller) binding(b Binding) string {
	mac := func(m packet.MAC) string {
		if m.IsZero() {
			return l.say("unset")
		}
		return m.String()
	}
	switch {
	case b.Added:
		return l.say("binding-added", l.name(b.Name), b.Address, mac(b.Is))
	case b.Removed:
		return l.say("binding-removed", l.name(b.Name), b.Address, mac(b.Was))
	}
	return l.say("binding-changed", l.name(b.Name), b.Address, mac(b.Was), mac(b.Is))
}

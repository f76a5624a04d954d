package config

import (
	"fmt"
	"testing"
	"time"
)

const stated = `
measures:
  - {id: two-factor-my-number, done: {by: 情報政策課, on: 2026-04-01, evidence: 情政第12号}}
  - {id: no-wireless-my-number, done: {by: 情報政策課, on: 2026-12-01, evidence: 情政第13号}}
  - {id: wireless-lgwan, not-applicable: {why: 無線LANはない}}
  - {id: mail-as-text, planned: {until: 2026-11-22, by: 情報政策課}}
  - {id: screen-transfer-bare, planned: {until: 2026-11-21}}
`

func TestChecklist(t *testing.T) {
	cfg, errs := Parse([]byte(read(t, "lab") + stated))
	if errs != nil {
		t.Fatal(errs)
	}
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, japan)
	for _, c := range []struct {
		broken map[string]bool
		want   string
	}{
		{nil, "my-number-cut-off held, lgwan-internet-cut-off held, two-factor-my-number done, no-wireless-my-number planned, wireless-lgwan waived, mail-as-text planned, screen-transfer-bare late, files-sanitized missing, export-approved missing, policy-published missing, (export-approved-twice missing), (cloud-line-guaranteed missing), "},
		{map[string]bool{"I3": true, "I7": true}, "my-number-cut-off held, lgwan-internet-cut-off broken, "},
		{map[string]bool{"tables": true}, "my-number-cut-off broken, lgwan-internet-cut-off broken, "},
	} {
		list, err := cfg.Checklist(c.broken, at)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, i := range list {
			form := "%s %s, "
			if !i.Required {
				form = "(%s %s), "
			}
			got += fmt.Sprintf(form, i.ID, i.Standing)
		}
		if n := len(c.want); len(got) < n || got[:n] != c.want {
			t.Errorf("broken %v: got %s", c.broken, got)
		}
	}
	for _, model := range Models {
		cfg.Model = model
		if list, err := cfg.Checklist(nil, at); err != nil || len(list) == 0 {
			t.Errorf("model %s: %d measures, %v", model, len(list), err)
		}
	}
}

func TestMeasuresAreChecked(t *testing.T) {
	doc := read(t, "lab") + stated
	for _, f := range []fault{
		{"unknown measure", "id: mail-as-text", "id: mail-as-txt", "mail-as-txt", "did you mean mail-as-text?"},
		{"measure given twice", "id: mail-as-text", "id: wireless-lgwan", "wireless-lgwan", "given twice"},
		{"done and planned", "done: {by: 情報政策課, on: 2026-04-01", "planned: {until: 2027-01-01}, done: {by: 情報政策課, on: 2026-04-01", "{", "exactly one of done, planned, not-applicable (2 are given)"},
		{"neither", ", not-applicable: {why: 無線LANはない}", "", "{", "exactly one of done, planned, not-applicable (0 are given)"},
		{"done without evidence", ", evidence: 情政第12号", "", "{", `key "evidence" is missing`},
		{"done by nobody", "done: {by: 情報政策課, on: 2026-04-01", "done: {on: 2026-04-01", "{", `key "by" is missing`},
		{"planned for no day", "planned: {until: 2026-11-21}", "planned: {by: 情報政策課}", "{", `key "until" is missing`},
		{"planned without more", "planned: {until: 2026-11-21}", "planned: true", "true", "want a map with until, by"},
		{"not applicable for no reason", "not-applicable: {why: 無線LANはない}", "not-applicable: {}", "{", `key "why" is missing`},
		{"the separation not applicable", "id: wireless-lgwan", "id: my-number-cut-off", "{", "the gate holds it itself"},
	} {
		t.Run(f.name, func(t *testing.T) { f.check(t, doc) })
	}
}

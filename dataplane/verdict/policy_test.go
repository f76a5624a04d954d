package verdict

import (
	"reflect"
	"strings"
	"testing"
)

func TestPolicyNamesItsChoices(t *testing.T) {
	var p Policy
	keys := map[string]bool{}
	for _, c := range p.Choices() {
		keys[c.Key] = true
		for _, word := range Choices[c.Key] {
			*c.Value = word
			if err := p.Check(); err != nil {
				t.Errorf("%s %s: %v", c.Key, word, err)
			}
		}
		*c.Value = "all"
		if err := p.Check(); err == nil || !strings.Contains(err.Error(), c.Key) || !strings.Contains(err.Error(), Choices[c.Key][0]) {
			t.Errorf("%s: got %v, want an error that names the key and its words", c.Key, err)
		}
		*c.Value = ""
	}
	typ := reflect.TypeFor[Policy]()
	for i := range typ.NumField() {
		f := typ.Field(i)
		if key, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); f.Type.Kind() == reflect.String && (!keys[key] || len(Choices[key]) < 2) {
			t.Errorf("field %s: key %q has no choices", f.Name, key)
		}
	}
}

func TestPolicyBlocksCodes(t *testing.T) {
	for code, ok := range map[string]bool{"ooxml.vba": true, "pdf.*": true, "xml.dtd": true, "": false, "*": false, "vba": false, "ooxml.VBA": false, "a.b.c": false, "ooxml.\n": false} {
		p := Policy{Block: []string{code}}
		if err := p.Check(); (err == nil) != ok {
			t.Errorf("%q: got %v", code, err)
		}
	}
	if err := (&Policy{Block: make([]string, MaxBlocked+1)}).Check(); err == nil {
		t.Error("too many codes pass")
	}
}

func TestAntivirusIsLeftOutByDecisionOnly(t *testing.T) {
	for _, c := range []struct {
		a  Antivirus
		ok bool
	}{
		{Antivirus{}, true}, {Antivirus{Days: 1}, true}, {Antivirus{Days: MaxDays}, true}, {Antivirus{Without: "CISO 12"}, true},
		{Antivirus{Days: -1}, false}, {Antivirus{Days: MaxDays + 1}, false}, {Antivirus{Without: " "}, false}, {Antivirus{Without: strings.Repeat("x", MaxDecision+1)}, false},
	} {
		if err := (&Policy{Antivirus: c.a}).Check(); (err == nil) != c.ok {
			t.Errorf("%+v: got %v", c.a, err)
		}
	}
}

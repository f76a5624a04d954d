package ledger

import (
	"net/netip"
	"strings"
	"unicode"

	"github.com/sekisho/sekisho/controlplane/config"
)

// field is one key of an entry with its value as YAML; empty text means that the key is not there.
type field struct{ key, text string }

// communicationKeys are the keys of a communication in the order in which they are written.
var communicationKeys = []string{"id", "name", "state", "from", "to", "ports", "class", "purpose", "basis", "owner", "approved", "since", "until", "review", "window"}

// communicationText writes a communication, key by key.
func communicationText(c *config.Communication) []field {
	var out []field
	add := func(key, text string) {
		if text != "" {
			out = append(out, field{key, text})
		}
	}
	add("id", quote(c.ID))
	add("name", names(c.Name))
	add("state", string(c.State))
	add("from", oneOf("stations", c.From.Stations, "groups", c.From.Groups, "segments", c.From.Segments))
	add("to", oneOf("services", c.To.Services, "stations", c.To.Stations, "groups", c.To.Groups, "prefixes", texts(c.To.Prefixes)))
	if len(c.Ports) > 0 {
		add("ports", flow(texts(c.Ports)))
	}
	add("class", quote(c.Class))
	add("purpose", quote(c.Purpose))
	add("basis", quote(c.Basis))
	add("owner", quote(c.Owner))
	if c.Approved.By != "" {
		add("approved", "{by: "+quote(c.Approved.By)+", on: "+quote(c.Approved.On.String())+"}")
	}
	add("since", quote(c.Since.String()))
	add("until", quote(c.Until.String()))
	add("review", quote(c.Review.String()))
	add("window", quote(c.Window))
	return out
}

func stationText(s *config.Station) string {
	return entryText([]field{{"id", quote(s.ID)}, {"segment", quote(s.Segment)}, {"mac", macText(s.MAC.String(), s.MAC.IsZero())}, {"addresses", flow(texts(s.Addresses))}, {"owner", quote(s.Owner)}, {"name", names(s.Name)}})
}

func serviceText(s *config.Service) string {
	return entryText([]field{{"id", quote(s.ID)}, {"segment", quote(s.Segment)}, {"mac", macText(s.MAC.String(), s.MAC.IsZero())}, {"addresses", flow(texts(s.Addresses))}, {"ports", flow(texts(s.Ports))}, {"owner", quote(s.Owner)}, {"name", names(s.Name)}})
}

func windowTextOf(w *config.Window) string {
	return entryText([]field{{"id", quote(w.ID)}, {"name", names(w.Name)}, {"days", flow(texts(w.Days))}, {"from", quote(w.From.String())}, {"to", quote(w.To.String())}})
}

// entryText writes an entry on one line.
func entryText(fields []field) string {
	var out []string
	for _, f := range fields {
		if f.text != "" {
			out = append(out, f.key+": "+f.text)
		}
	}
	return "{" + strings.Join(out, ", ") + "}"
}

func macText(s string, none bool) string {
	if none {
		return ""
	}
	return `"` + s + `"`
}

func names(t config.Text) string {
	if t.JA == "" {
		return ""
	}
	return entryText([]field{{"ja", quote(t.JA)}, {"en", quote(t.EN)}})
}

// oneOf writes the list that is given, of pairs of key and list.
func oneOf(pairs ...any) string {
	for i := 0; i+1 < len(pairs); i += 2 {
		if list := pairs[i+1].([]string); len(list) > 0 {
			return "{" + pairs[i].(string) + ": " + flow(list) + "}"
		}
	}
	return ""
}

func flow(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = quote(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// texts writes values in their own form.
func texts[T interface{ String() string }](list []T) []string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = x.String()
	}
	return out
}

// words that YAML, or one of its versions, takes for something else than text.
var yamlWords = map[string]bool{"true": true, "false": true, "yes": true, "no": true, "on": true, "off": true, "y": true, "n": true, "null": true, "nan": true, "inf": true}

// quote writes text as a YAML scalar: plain when no reader could take it for something else.
func quote(s string) string {
	if s == "" {
		return ""
	}
	if plainScalar(s) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func plainScalar(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return strings.Contains(s, ".") && !strings.Contains(s, ":")
	}
	if dateForm.MatchString(s) || networkForm.MatchString(s) {
		return true
	}
	for i, r := range s {
		switch {
		case unicode.IsLetter(r):
		case i > 0 && (unicode.IsDigit(r) || r == '-' || r == '.' || r == '/'):
		case i > 0 && i < len(s)-1 && r == ' ' && s[i-1] != ' ':
		case i > 0 && r > 0x3000 && !control(r) && r != '\uFF1A' && unicode.IsPrint(r): // Japanese punctuation
		default:
			return false
		}
	}
	return !yamlWords[strings.ToLower(s)]
}

package mail

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// address is a person or a list: a name to show, and where mail goes. One of them may be empty.
type address struct{ name, at string }

const (
	maxAddresses = 2000
	maxWord      = 500 // characters of an encoded word; 75 by the standard
)

var beginsWord = regexp.MustCompile("^" + encodedWord.String())

// addresses reads a list of addresses (RFC 5322, 3.4, with its obsolete forms) the way people's mail is, not the way it should be:
// what is no address stays as a name, so that nobody disappears.
func addresses(value string) (list []address) {
	s := []rune(raw(value))
	var phrase, comment, angle strings.Builder
	bracket := false
	flush := func() {
		a := address{name: oneLine(words(phrase.String()), 200), at: where(angle.String())}
		if !bracket {
			if at := where(phrase.String()); strings.Contains(at, "@") {
				a = address{name: oneLine(words(comment.String()), 200), at: at}
			}
		} else if a.name == "" {
			a.name = oneLine(words(comment.String()), 200)
		}
		if bracket && a.at == "" {
			a.name = oneLine(a.name+" "+angle.String(), 300)
		}
		if (a.name != "" || a.at != "") && len(list) < maxAddresses {
			list = append(list, a)
		}
		phrase.Reset()
		comment.Reset()
		angle.Reset()
		bracket = false
	}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			open := i
			for i++; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' && i+1 < len(s) {
					i++
				}
				phrase.WriteRune(s[i])
			}
			if i+1 < len(s) && s[i+1] == '@' { // a local part in quotes
				local := string(s[open : i+1])
				was := strings.TrimSuffix(phrase.String(), string(s[open+1:i]))
				phrase.Reset()
				phrase.WriteString(was + local)
			}
		case '(':
			depth := 1
			for i++; i < len(s) && depth > 0; i++ {
				switch s[i] {
				case '(':
					depth++
				case ')':
					depth--
				case '\\':
					i++
				}
				if depth > 0 && i < len(s) {
					comment.WriteRune(s[i])
				}
			}
			i--
		case '<':
			bracket = true
			for i++; i < len(s) && s[i] != '>'; i++ {
				angle.WriteRune(s[i])
			}
		case ',', ';':
			flush()
		case ':': // the name of a group stays when nobody is in it
			if i+1 < len(s) && strings.HasPrefix(strings.TrimSpace(string(s[i+1:])), ";") {
				continue
			}
			phrase.Reset()
			comment.Reset()
		default:
			word := ""
			if s[i] == '=' { // whose signs are none of the list's
				word = beginsWord.FindString(string(s[i:min(len(s), i+maxWord)]))
			}
			if word == "" {
				word = string(s[i])
			}
			phrase.WriteString(word)
			i += utf8.RuneCountInString(word) - 1
		}
	}
	flush()
	return list
}

var (
	comments  = regexp.MustCompile(`\([^()]*\)`)
	mailbox   = regexp.MustCompile(`^(?:[A-Za-z0-9!#$%&'*+/=?^_{|}~.\x60-]{1,128}|"[ !#-\[\]-~]{1,128}")@[A-Za-z0-9._-]{1,255}$`)
	reference = regexp.MustCompile(`<([!-;=?-~]{1,250})>`)
)

// where is an address that can be written, or "".
func where(s string) string {
	s = comments.ReplaceAllString(s, "")
	if i := strings.LastIndex(s, ":"); i >= 0 && strings.HasPrefix(strings.TrimSpace(s), "@") { // a route
		s = s[i+1:]
	}
	if !strings.Contains(s, `"`) {
		s = strings.Join(strings.Fields(s), "")
	}
	s = strings.TrimSpace(s)
	if !mailbox.MatchString(s) || strings.Contains(s, "=?") {
		return ""
	}
	return s
}

// references reads message identifiers (RFC 5322, 3.6.4); the last ones are those that matter.
func references(s string) (list []string) {
	s = strings.Join(strings.Fields(comments.ReplaceAllString(s, "")), "")
	for _, m := range reference.FindAllStringSubmatch(s, 1000) {
		if !strings.Contains(m[1], "=?") {
			list = append(list, m[1])
		}
	}
	return list[max(0, len(list)-30):]
}

// zones are those that mailers name; a date without one is taken for Japan's.
var zones = map[string]string{
	"JST": "+0900", "GMT": "+0000", "UT": "+0000", "UTC": "+0000", "Z": "+0000", "KST": "+0900", "CET": "+0100", "CEST": "+0200",
	"EST": "-0500", "EDT": "-0400", "CST": "-0600", "CDT": "-0500", "MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700",
}

// dated reads a date and writes it anew, or answers "".
func dated(s string) string {
	s = strings.Join(strings.Fields(comments.ReplaceAllString(raw(s), " ")), " ")
	s = strings.ReplaceAll(strings.ReplaceAll(s, " :", ":"), ": ", ":")
	words := strings.Fields(s)
	if n := len(words); n > 0 && zones[strings.ToUpper(words[n-1])] != "" {
		words[n-1] = zones[strings.ToUpper(words[n-1])]
	} else if n > 0 && strings.Contains(words[n-1], ":") && !strings.Contains(words[n-1], "T") {
		words = append(words, "+0900")
	}
	if len(words) > 0 && strings.HasSuffix(words[0], ",") { // a day of the week that is wrong or in another language says nothing
		words = words[1:]
	}
	s = strings.Join(words, " ")
	for _, layout := range []string{"2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04 -0700", "2 Jan 06 15:04:05 -0700", "2 Jan 06 15:04 -0700", "Mon Jan 2 15:04:05 2006 -0700", "2006-01-02 15:04:05 -0700", time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil && 1900 <= t.Year() && t.Year() <= 9999 {
			return t.Format(time.RFC1123Z)
		}
	}
	return ""
}

func show(list []address) string {
	var out []string
	for _, a := range list {
		switch {
		case a.at == "":
			out = append(out, a.name)
		case a.name == "":
			out = append(out, a.at)
		default:
			out = append(out, a.name+" <"+a.at+">")
		}
	}
	return strings.Join(out, ", ")
}

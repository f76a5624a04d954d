package odf

import (
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// callsOut are functions that reach outside the document, in upper case.
var callsOut = words(`DDE WEBSERVICE FILTERXML CALL REGISTER REGISTER.ID RTD SQL.REQUEST IMAGE MACRO COM.MICROSOFT.WEBSERVICE ORG.LIBREOFFICE.WEBSERVICE EXTERNAL
	COM.MICROSOFT.RTD COM.MICROSOFT.CALL COM.MICROSOFT.CUBEMEMBER CUBEMEMBER CUBEVALUE CUBESET`)

// dangerous tells formulas (OpenFormula, ODF part 4) that leave the document: another document before '#', functions that call out,
// and links to addresses that a person may not follow.
func dangerous(f string) bool {
	if strings.HasPrefix(f, "msoxl:") { // Excel's grammar, which names other books by number
		return true
	}
	for i := 0; i < len(f); {
		switch c := f[i]; {
		case c == '"':
			i = closing(f, i)
		case c == '\'':
			end := closing(f, i)
			if end < len(f) && f[end] == '#' { // 'file:///x.ods'#$Sheet.A1
				return true
			}
			i = end
		case c == '|' && !strings.Contains(f, "{"): // only arrays have bars
			return true
		case letter(c):
			end := i
			for end < len(f) && (letter(f[end]) || '0' <= f[end] && f[end] <= '9') {
				end++
			}
			name := strings.ToUpper(f[i:end])
			rest := strings.TrimLeft(f[end:], " \t\r\n")
			if strings.HasPrefix(f[end:], "#$") || strings.HasPrefix(f[end:], "#.") || strings.HasPrefix(f[end:], "#'") || strings.HasPrefix(f[end:], "://") {
				return true
			}
			if args, call := strings.CutPrefix(rest, "("); call {
				if callsOut[name] || name == "HYPERLINK" && !linksSafely(args) {
					return true
				}
			}
			i = end
		default:
			i++
		}
	}
	return false
}

// closing is the offset after the quoted text that begins at i; a doubled quote stays inside.
func closing(f string, i int) int {
	quote := f[i]
	for i++; i < len(f); i++ {
		if f[i] != quote {
			continue
		}
		if i+1 < len(f) && f[i+1] == quote {
			i++
			continue
		}
		return i + 1
	}
	return len(f)
}

func letter(c byte) bool {
	return c >= 0x80 || c == '_' || c == '.' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// linksSafely tells whether the first argument is nothing but a literal address that a person may follow.
func linksSafely(args string) bool {
	args = strings.TrimLeft(args, " \t\r\n")
	if !strings.HasPrefix(args, `"`) {
		return false
	}
	end := closing(args, 0)
	return rebuild.SafeURL(strings.ReplaceAll(args[1:max(1, end-1)], `""`, `"`))
}

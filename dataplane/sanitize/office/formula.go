package office

import (
	"strings"
	"unicode"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// callsOut are functions that reach outside the workbook or run code, in upper case without the _xlfn. prefixes.
var callsOut = set(`CALL REGISTER REGISTER.ID RTD WEBSERVICE SQL.REQUEST IMAGE EXEC EXECUTE INITIATE POKE REQUEST TERMINATE EVALUATE RUN
	FOPEN FREAD FREADLN FWRITE FWRITELN FILES FORMULA FORMULA.FILL GET.CELL GET.WORKBOOK GET.WORKSPACE STOCKHISTORY PY DDE IMPORTCSV IMPORTTEXT
	UNREGISTER DIRECTORY DIRECTORIES FILE.DELETE FCLOSE SAVE.AS OPEN GET.DOCUMENT APP.ACTIVATE ON.TIME VBA.INSERT.FILE VBA.MAKE.ADDIN IMPORTDATA IMPORTXML
	TRANSLATE DETECTLANGUAGE COPILOT ALERT GOTO HALT ERROR URL SEND.KEYS SHELL CUBEMEMBER CUBEVALUE CUBESET CUBERANKEDMEMBER CUBEMEMBERPROPERTY CUBEKPIMEMBER CUBESETCOUNT`)

// dangerous tells formulas that leave the workbook: references to other books ([1]Sheet!A1), DDE (cmd|' /c x'!A1), functions
// that call out, links to addresses that safeURL does not allow, and references to sheets that were removed.
// Grammar: [MS-XLSX] 2.2.2 (formulas), ECMA-376 part 1, 18.17.
func dangerous(formula string, removedSheets []string) bool {
	f := strings.TrimSpace(formula)
	if len(removedSheets) > 0 && strings.Contains(f, "!") {
		upper := strings.ToUpper(f)
		for _, s := range removedSheets {
			if strings.Contains(upper, strings.ToUpper(strings.ReplaceAll(s, "'", "''"))) {
				return true
			}
		}
	}
	for i := 0; i < len(f); {
		c := f[i]
		switch {
		case c == '"':
			i = closing(f, i, '"')
		case c == '\'':
			end := closing(f, i, '\'')
			if strings.ContainsAny(f[i:end], "[]|") {
				return true
			}
			i = end
		case c == '|':
			return true
		case c == '[':
			end := bracket(f, i)
			table := i > 0 && (identifier(f[i-1:]) || '0' <= f[i-1] && f[i-1] <= '9' || f[i-1] == '.')
			if !table && !strings.HasPrefix(f[i:], "[0]!") || strings.ContainsRune(f[i:end], '|') {
				return true
			}
			i = end
		case identifier(f[i:]):
			end := i
			for end < len(f) && (identifier(f[end:]) || f[end] == '.' || '0' <= f[end] && f[end] <= '9' || f[end] >= 0x80) {
				end++
			}
			name := strings.ToUpper(f[i:end])
			for _, p := range []string{"_XLFN.", "_XLWS.", "_XLUDF."} {
				name = strings.TrimPrefix(name, p)
			}
			if strings.HasPrefix(name, "_XLL.") {
				return true
			}
			name, handed := strings.CutPrefix(name, "_XLETA.") // a function that another one is to call
			rest := strings.TrimLeft(f[end:], " \t\r\n")
			if handed && (callsOut[name] || name == "HYPERLINK") {
				return true
			}
			if strings.HasPrefix(rest, "(") {
				if callsOut[name] {
					return true
				}
				if name == "HYPERLINK" && !linksSafely(rest[1:]) {
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
func closing(f string, i int, quote byte) int {
	for i++; i < len(f); i++ {
		if f[i] == quote {
			if i+1 < len(f) && f[i+1] == quote {
				i++
				continue
			}
			return i + 1
		}
	}
	return len(f)
}

// bracket is the offset after the bracket that begins at i; brackets nest in structured references, ' escapes.
func bracket(f string, i int) int {
	depth := 0
	for ; i < len(f); i++ {
		switch f[i] {
		case '\'':
			i++
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(f)
}

func identifier(s string) bool {
	c := s[0]
	return c >= 0x80 || c == '_' || c == '\\' || c < 0x80 && unicode.IsLetter(rune(c))
}

// linksSafely tells whether a link's first argument begins with a literal address that may be followed.
func linksSafely(args string) bool {
	args = strings.TrimLeft(args, " \t\r\n")
	if !strings.HasPrefix(args, `"`) {
		return false
	}
	url := strings.ReplaceAll(args[1:max(1, closing(args, 0, '"')-1)], `""`, `"`)
	return rebuild.SafeURL(url)
}

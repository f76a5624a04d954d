package office

import (
	"strings"

	"github.com/sekisho/sekisho/dataplane/verify/container"
	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// forbiddenFunctions reach outside the workbook, call code, or belong to macro sheets.
var forbiddenFunctions = words(`CALL REGISTER REGISTER.ID UNREGISTER EXEC EXECUTE INITIATE POKE REQUEST TERMINATE SEND.KEYS RUN FORMULA FORMULA.FILL EVALUATE
	WEBSERVICE RTD SQL.REQUEST IMAGE STOCKHISTORY DDE FOPEN FWRITE FWRITELN FREAD FREADLN FCLOSE FILES DIRECTORY DIRECTORIES FILE.DELETE HALT ALERT
	CUBEMEMBER CUBEVALUE CUBESET CUBERANKEDMEMBER CUBEMEMBERPROPERTY CUBEKPIMEMBER CUBESETCOUNT DETECTLANGUAGE URL SHELL GOTO ERROR IMPORTCSV IMPORTTEXT
	SAVE.AS OPEN GET.WORKSPACE GET.WORKBOOK GET.CELL GET.DOCUMENT APP.ACTIVATE ON.TIME VBA.INSERT.FILE VBA.MAKE.ADDIN PY IMPORTDATA IMPORTXML TRANSLATE COPILOT`)

// checkFormula reads a formula of a workbook (ECMA-376 part 1, 18.17) just well enough to see what reaches outside: DDE (a bar
// outside quotes), another workbook (brackets that open a reference), forbidden functions, and addresses in HYPERLINK.
func (d *document) checkFormula(place, f string) error {
	depth := 0
	for i := 0; i < len(f); {
		switch c := f[i]; {
		case c == '"':
			i = closing(f, i, '"')
			continue
		case c == '\'':
			end := closing(f, i, '\'')
			if strings.ContainsAny(f[i:end], "[]") && depth == 0 {
				return rule.Refuse(container.CodeLink, place, "formula refers to another workbook")
			}
			i = end
			continue
		case c == '|':
			return rule.Refuse(container.CodeActive, place, "formula with DDE")
		case c == '[':
			if depth == 0 && (i == 0 || !identifier(f[i-1])) && !strings.HasPrefix(f[i:], "[0]!") {
				return rule.Refuse(container.CodeLink, place, "formula refers to another workbook")
			}
			depth++
		case c == ']':
			depth = max(0, depth-1)
		case identifier(c) && depth == 0:
			end := i
			for end < len(f) && identifier(f[end]) {
				end++
			}
			if name, handed := strings.CutPrefix(strings.TrimPrefix(strings.ToUpper(f[i:end]), "_XLFN."), "_XLETA."); handed && (forbiddenFunctions[name] || name == "HYPERLINK") {
				return rule.Refuse(container.CodeActive, place, "function %s, handed to another", name)
			}
			if after := strings.TrimLeft(f[end:], " \t\r\n"); strings.HasPrefix(after, "(") {
				if err := d.checkFunction(place, f[i:end], after[1:]); err != nil {
					return err
				}
			}
			i = end
			continue
		}
		i++
	}
	return nil
}

// closing gives the offset behind the quote that ends what begins at i; a doubled quote is a quote.
func closing(f string, i int, q byte) int {
	for i++; i < len(f); i++ {
		if f[i] != q {
			continue
		}
		if i+1 < len(f) && f[i+1] == q {
			i++
			continue
		}
		return i + 1
	}
	return len(f)
}

func identifier(c byte) bool {
	return c == '_' || c == '.' || c == '\\' || c >= 0x80 || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func (d *document) checkFunction(place, name, args string) error {
	name = strings.ToUpper(name)
	if strings.HasPrefix(name, "_XLL.") {
		return rule.Refuse(container.CodeActive, place, "function %s of a program", name)
	}
	for _, prefix := range []string{"_XLFN.", "_XLWS.", "_XLETA.", "_XLUDF."} {
		name = strings.TrimPrefix(name, prefix)
	}
	if forbiddenFunctions[name] {
		return rule.Refuse(container.CodeActive, place, "function %s", name)
	}
	if name != "HYPERLINK" {
		return nil
	}
	args = strings.TrimLeft(args, " \t\r\n")
	if !strings.HasPrefix(args, `"`) {
		return rule.Refuse(container.CodeLink, place, "HYPERLINK to a computed address")
	}
	end := closing(args, 0, '"')
	url := strings.ReplaceAll(strings.TrimSuffix(args[1:end], `"`), `""`, `"`)
	after := strings.TrimLeft(args[end:], " \t\r\n")
	if d.noLinks() && out(url) {
		return rule.Refuse(container.CodeLink, place, "HYPERLINK to %q, which the route does not let pass", url)
	}
	if container.SafeAddress(url) || url == "" && !strings.HasPrefix(after, "&") { // what is joined on behind a host stays there
		return nil
	}
	return rule.Refuse(container.CodeLink, place, "HYPERLINK to %q", url)
}

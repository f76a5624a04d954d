package odf_test

import (
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/odf/odftest"
)

// Findings name the paragraph or row of a text, the cell of a sheet and the slide.
func TestFindingsNameWhereTheyAre(t *testing.T) {
	macro := `<text:p><text:execute-macro>m</text:execute-macro></text:p>`
	cell := func(inner string) string { return `<table:table-cell>` + inner + `</table:table-cell>` }
	for name, c := range map[string]struct {
		file string
		in   []byte
		want string
	}{
		"a paragraph":         {"a.odt", odftest.Text(t, `<text:p>一</text:p><text:h>二</text:h>`+macro, nil), "content.xml L3"},
		"a table in a text":   {"a.odt", odftest.Text(t, `<text:p>一</text:p><table:table><table:table-row>`+cell("<text:p/>")+`</table:table-row><table:table-row>`+cell("<text:p/>")+cell(macro)+`</table:table-row></table:table>`, nil), "content.xml R3C2"},
		"behind a table":      {"a.odt", odftest.Text(t, `<table:table><table:table-row>`+cell("<text:p/><text:p/>")+`</table:table-row></table:table>`+macro, nil), "content.xml L2"},
		"a cell of a sheet":   {"a.ods", odftest.Sheet(t, `<table:table table:name="表"><table:table-row table:number-rows-repeated="3"><table:table-cell/></table:table-row><table:table-row><table:table-cell table:number-columns-repeated="27"/>`+cell(macro)+`</table:table-row></table:table>`, nil), "表!AB4"},
		"the second sheet":    {"a.ods", odftest.Sheet(t, `<table:table table:name="一"/><table:table table:name="二"><table:table-row>`+cell(macro)+`</table:table-row></table:table>`, nil), "二!A1"},
		"a slide":             {"a.odp", odftest.Show(t, `<draw:page/><draw:page><draw:frame><draw:text-box>`+macro+`</draw:text-box></draw:frame></draw:page>`, nil), "p2"},
		"the style of a text": {"a.odt", odftest.Text(t, `<text:p/>`, map[string]string{"styles.xml": odftest.Styles(`<office:scripts>x</office:scripts>`)}), "styles.xml"},
	} {
		rep, _ := clean(t, c.file, c.in)
		found := false
		for _, f := range rep.Findings {
			found = found || f.Code == "odf.macros" && f.Place == c.want
		}
		if !found {
			t.Errorf("%s: want odf.macros at %q, got %v", name, c.want, rep.Findings)
		}
	}
}

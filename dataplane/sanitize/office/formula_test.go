package office

import "testing"

func TestFormulas(t *testing.T) {
	for f, want := range map[string]bool{
		"SUM(A1:B2)": false, `"[1]|"&A1`: false, "Table1[Col]": false, "Table1[[#Headers],[a]]": false, "[0]!name": false, "'S 1'!A1": false, "データ[金額]": false,
		"[1]!name": true, "[Book.xlsx]S!A1": true, "'[1]S 1'!A1": true, `'C:\x\[b.xlsx]S'!A1`: true, "SUM([2]S!A1)": true, "cmd|'/c'!A1": true, "MSEXCEL|'x'!''": true,
		"_xlfn.WEBSERVICE(A1)": true, "call(\"a\")": true, "RTD (1)": true, "REGISTER.ID(1)": true, "_xll.F(1)": true, "HYPERLINK(A1)": true, `HYPERLINK("file:///x")`: true, `HYPERLINK("#S!A1")`: false,
		"_xlfn.IMAGE(\"http://x/\")": true, "RECALL(1)": false, "A1+CALLS": false,
	} {
		if got := dangerous(f, nil); got != want {
			t.Errorf("%s: got %v, want %v", f, got, want)
		}
	}
	if !dangerous("SUM('a''b'!A1)", []string{"A'B"}) || dangerous("SUM(x!A1)", []string{"A'B"}) {
		t.Error("reference to a removed sheet")
	}
}

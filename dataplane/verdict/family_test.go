package verdict

import "testing"

func TestRoutesAdmitByOriginalOrResult(t *testing.T) {
	for _, c := range []struct {
		formats          []string
		original, result string
		admitted, passes bool
	}{
		{[]string{"txt", "jpg"}, "text", "text", true, true},
		{[]string{"jpg"}, "jpeg", "jpeg", true, true},
		{[]string{"doc"}, "doc", "docx", true, true},
		{[]string{"docx"}, "doc", "docx", true, true},
		{[]string{"docx"}, "docx", "docx", true, true},
		{[]string{"doc"}, "docx", "docx", false, true}, // the sanitizer has refused it
		{[]string{"xls"}, "ppt", "pptx", false, false},
		{[]string{"text"}, "doc", "docx", false, false},
		{[]string{"text"}, "", "", false, false},
	} {
		if got := Admits(c.formats, c.original); got != c.admitted {
			t.Errorf("%v takes %q: got %v", c.formats, c.original, got)
		}
		if got := AdmitsResult(c.formats, c.result); got != c.passes {
			t.Errorf("%v lets %q pass: got %v", c.formats, c.result, got)
		}
	}
}

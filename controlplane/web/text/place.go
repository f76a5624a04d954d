package text

import (
	"regexp"
	"strings"
)

// places are the forms of a finding's last words on where it is, with the text of each: what a part of a document holds, and not how
// it is called inside. The number of a part is the file's own, and need not be that of the sheet or slide as shown.
var places = []struct {
	form *regexp.Regexp
	key  string
}{
	{at(`p(\d+)`), "page"},
	{at(`L(\d+)`), "line"},
	{at(`R(\d+)C(\d+)`), "cell"},
	{at(`word/document\.xml`), "body"},
	{at(`content\.xml`), "body"},
	{at(`word/header\d*\.xml`), "header"},
	{at(`word/footer\d*\.xml`), "footer"},
	{at(`word/(?:foot|end)notes\.xml`), "notes"},
	{at(`(?:word|xl|ppt)/(?:.*/)?comments?\d*\.xml`), "comments"},
	{at(`(?:word/(?:webS|s)ettings|settings)\.xml`), "settings"},
	{at(`word/fontTable\.xml`), "fonts"},
	{at(`(?:word|xl|ppt)/media/([^/]+)`), "media"},
	{at(`xl/workbook\.xml`), "book"},
	{at(`xl/worksheets/(sheet\d+)\.xml`), "sheet"},
	{at(`xl/drawings/[^/]+`), "drawing"},
	{at(`ppt/presentation\.xml`), "show"},
	{at(`ppt/slides/(slide\d+)\.xml`), "slide"},
	{at(`ppt/slide(?:Master|Layout)s/[^/]+`), "master"},
	{at(`ppt/notesSlides/[^/]+`), "speaker"},
}

func at(form string) *regexp.Regexp { return regexp.MustCompile(`(?:^|/)` + form + `$`) }

// Place says where a finding is in the words of a reader; what it does not know it gives as it is. What the place lies in, a member of
// an archive or a mail, stays before it.
func (l Lang) Place(place string) string {
	for _, p := range places {
		m := p.form.FindStringSubmatchIndex(place)
		if m == nil {
			continue
		}
		var args []any
		for i := 2; i < len(m); i += 2 {
			args = append(args, place[m[i]:m[i+1]])
		}
		words := l.T("place."+p.key, args...)
		if within := strings.TrimSuffix(place[:m[0]], "/"); within != "" {
			return within + ": " + words
		}
		return words
	}
	return place
}

package html

import "strings"

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// elements that stay. Others are opened: what stands in them stays, without them.
var elements = set(`html head title body style
	address article aside footer header h1 h2 h3 h4 h5 h6 hgroup main nav section
	blockquote dd div dl dt figcaption figure hr li menu ol p pre ul
	a abbr b bdi br cite code data dfn em i kbd mark q rp rt ruby rb rtc s samp small span strong sub sup time u var wbr del ins
	img caption col colgroup table tbody td tfoot th thead tr details summary
	center font big tt strike acronym dir`)

// void elements have no end.
var void = set("br hr img wbr col")

// gone are elements that go with all that stands in them, by the code that tells of them.
var gone = map[string]string{
	"script": "html.script", "noscript": "", "template": "html.script", "applet": "html.embedded", "embed": "html.embedded", "iframe": "html.frame", "frame": "html.frame",
	"frameset": "html.frame", "noframes": "", "portal": "html.frame", "fencedframe": "html.frame", "link": "html.external", "base": "html.external", "meta": "", "audio": "html.embedded",
	"video": "html.embedded", "source": "", "track": "html.embedded", "canvas": "", "svg": "html.drawing", "math": "html.drawing", "bgsound": "html.embedded",
	"param": "", "noembed": "", "area": "html.external", "xml": "html.embedded", "datalist": "", "selectedcontent": "",
}

// opened are elements that go, with a word about it, while what stands in them stays.
var opened = map[string]string{
	"form": "html.form", "input": "html.form", "button": "html.form", "select": "html.form", "option": "", "textarea": "html.form", "isindex": "html.form",
	"object": "html.embedded", "map": "", "marquee": "", "blink": "", "bdo": "html.direction",
}

// attributes that stay, on any element of the list; href, src and style have rules of their own.
var attributes = set(`id class title lang dir align valign width height bgcolor color face size border cellpadding cellspacing colspan rowspan span
	headers scope abbr start type value reversed datetime name alt summary nowrap clear noshade compact rules frame open char charoff hspace vspace text role`)

// addresses are attributes that load, send or tell something by themselves.
var addresses = set("background src srcset action formaction ping poster longdesc cite href data codebase classid archive profile manifest usemap lowsrc dynsrc")

// blocks stand on lines of their own.
var blocks = set(`address article aside footer header h1 h2 h3 h4 h5 h6 hgroup main nav section blockquote dd div dl dt figcaption figure
	hr li menu ol p pre ul table caption tr details summary center dir form fieldset legend body html option title`)

// spaced are blocks with an empty line before and after.
var spaced = set("p h1 h2 h3 h4 h5 h6 blockquote pre ul ol dl table figure menu dir")

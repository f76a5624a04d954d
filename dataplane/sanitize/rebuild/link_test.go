package rebuild

import "testing"

func TestLinksThatAPersonMayFollow(t *testing.T) {
	for link, want := range map[string]bool{
		"https://www.town.example/a?b=c#d": true, "http://town.example": true, "mailto:zeimu@town.example?subject=x": true, "#place": true, "https://town.example/@user": true,
		"https://bank.example@evil.example/": false, "https://a\\@b/": false, "http://": false, "http:///x": false, "mailto:x@y?attach=c:/a": false, "mailto:": false,
		"javascript:x": false, "file:///c:/x": false, "\\\\server\\x": false, "https://a\u202eb/": false, "ms-msdt:x": false,
	} {
		if got := SafeURL(link); got != want {
			t.Errorf("%q: got %t, want %t", link, got, want)
		}
	}
}

func TestDevices(t *testing.T) {
	for name, want := range map[string]bool{"CON": true, "aux.docx": true, "com1.txt": true, "LPT9": true, "nul .pdf": true, "console.txt": false, "com10.txt": false, "資料.pdf": false, "com.txt": false} {
		if got := Device(name); got != want {
			t.Errorf("%q: got %t, want %t", name, got, want)
		}
	}
}

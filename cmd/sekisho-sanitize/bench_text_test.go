package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// BenchmarkText measures rebuild plus verify of the text families, in bytes of the original.
func BenchmarkText(b *testing.B) {
	line := "関所町　総務課　山田太郎,2026年11月22日,0123-45-6789,ｶﾝｼﾞｮｳ,1234567890,-1500,住民票の写しの交付について\r\n"
	all := strings.Repeat(line, 8<<20/len(line))
	in := func(e encoding.Encoding) []byte {
		s, err := e.NewEncoder().String(all)
		if err != nil {
			b.Fatal(err)
		}
		return []byte(s)
	}
	page := "<!DOCTYPE html><html><head><title>x</title></head><body>" + strings.Repeat("<p class=\"a\">関所町の<b>お知らせ</b>です。<a href=\"https://a.example/\">こちら</a></p>\n<table><tr><td>1</td><td>2</td></tr></table>", 20_000) + "</body></html>"
	var object strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&object, "{\"番号\": %d, \"氏名\": \"山田 太郎\", \"備考\": \"a\\nb\"},\n", i)
	}
	for _, c := range []struct {
		name string
		in   []byte
	}{
		{"utf8.txt", []byte(all)}, {"cp932.txt", in(japanese.ShiftJIS)}, {"euc.txt", in(japanese.EUCJP)}, {"iso2022.txt", in(japanese.ISO2022JP)},
		{"utf8.csv", []byte(all)}, {"cp932.csv", in(japanese.ShiftJIS)}, {"ascii.csv", []byte(strings.Repeat("12,abc,3.5,2026-11-22,-7\n", 300_000))},
		{"page.html", []byte(page)}, {"data.json", []byte("[" + object.String() + "{}]")}, {"data.xml", []byte("<r>" + strings.Repeat("<a b=\"1\">字句 text</a>\n", 150_000) + "</r>")}, {"doc.md", []byte(all)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.in)))
			before, passes := cpu(b), 0
			for b.Loop() {
				passes++
				var out bytes.Buffer
				r, _ := sanitize.Rebuild(b.Context(), c.name, c.in, &out, sanitize.Options{})
				if v := verify.Check(b.Context(), r.OutName, out.Bytes()); r.Outcome != verdict.Clean || v.Outcome != verdict.Clean {
					b.Fatal(r.Findings, v.Findings)
				}
			}
			b.ReportMetric(float64(passes*len(c.in))/1e6/(cpu(b)-before), "MB/cpu-s")
		})
	}
}

// cpu is the processor's time that the process has used, in seconds: on a machine that does other things too it says more than the clock.
func cpu(b *testing.B) float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

package sanitize

import (
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/compound/compoundtest"
)

// contents are how files of each strange kind begin, or end.
var contents = map[kind][]string{
	kindPE: {"MZ\x90\x00\x03\x00"}, kindELF: {"\x7FELF\x02\x01"}, kindMachO: {"\xCF\xFA\xED\xFE"}, kindClass: {"\xCA\xFE\xBA\xBE\x00", "\x00asm\x01"}, kindHelp: {"ITSF\x03\x00"},
	kindScript: {"#!/bin/sh\nx", "@ECHO off\r\ndel *", "Windows Registry Editor Version 5.00\r\n", "\xEF\xBB\xBF#!/usr/bin/env python"}, kindLink: {"L\x00\x00\x00\x01\x14\x02\x00", "[InternetShortcut]\r\nURL=file:///c:/x"},
	kindDisk:     {strings.Repeat("\x00", 32769) + "CD001", "conectix\x00", "vhdxfile\x00", "MSWIM\x00\x00\x00", "\x00" + strings.Repeat("x", 999) + "conectix" + strings.Repeat("\x00", 504), "\x00" + strings.Repeat("x", 999) + "koly" + strings.Repeat("\x00", 508)},
	kindIchitaro: {string(compoundtest.File(map[string]string{"DocumentText": "x"}))}, kindDocuWorks: {"\x60\x0E\x82\x01\x00"},
	kindCAD:   {"JwwData.\x00\x58", "AC1032\x00\x00", "AutoCAD Binary DXF\r\n\x1A\x00", "  0\r\nSECTION\r\n  2\r\nHEADER\r\n", "999\ncomment\n0\nSECTION\n", "ISO-10303-21;\r\nHEADER;\r\n"},
	kindNotes: {"\xE4\x52\x5C\x7B\x8C\xD8\xA7\x4D\xAE\xB1\x53\x78\xD0\x29\x96\xD3\x00", "\xA1\x2F\xFF\x43\xD9\xEF\x76\x4C\x9E\xE2\x10\xEA\x57\x22\x76\x5F\x00"}, kindMailbox: {"!BDN\x00\x01"},
	kindDatabase: {"SQLite format 3\x00", "\x00\x01\x00\x00Standard Jet DB\x00", "\x00\x01\x00\x00Standard ACE DB\x00"}, kindMedia: {"ID3\x03\x00", "\x00\x00\x00\x18ftypmp42", "RIFF\x00\x00\x00\x00WAVE", "\x1A\x45\xDF\xA3\x00"},
	kindImage: {"8BPS\x00\x01", "\x00\x00\x01\x00\x01", "\xD7\xCD\xC6\x9A\x00", "\x00\x00\x00\x1Cftypavif"}, kindPostScript: {"%!PS-Adobe-3.0\n", "\xC5\xD0\xD3\xC6\x00"}, kindRAR: {"Rar!\x1A\x07\x01\x00"}, kindArchive: {"MSCF\x00\x00\x00\x00", "\x28\xB5\x2F\xFD\x00"},
}

// TestStrangeKindsHaveTheirOwnSentence: each by each of its names, and by its content under a name that says nothing; under the name of
// something else it is a disguise.
func TestStrangeKindsHaveTheirOwnSentence(t *testing.T) {
	said := map[string]string{}
	for _, s := range strange {
		for _, lang := range []string{"ja", "en"} {
			sentence := Sentence(s.code, lang)
			if other := said[sentence]; other != "" || len(sentence) < 40 {
				t.Errorf("%s and %s say the same in %s: %q", s.code, other, lang, sentence)
			}
			said[sentence] = s.code
		}
		for _, n := range strings.Fields(s.names) {
			if rebuildable(n) {
				t.Errorf("%s is strange and rebuilt", n)
			}
			for _, in := range []string{"x", "\x00\x01\x02"} {
				if want := expected[n]; len(want) > 0 && !acts[s.code] {
					in = contents[want[0]][0]
				}
				blocked(t, "資料"+strings.ToUpper(n), []byte(in), s.code)
			}
		}
		for _, k := range s.kinds {
			if len(contents[k]) == 0 {
				t.Errorf("%s: no content", k)
			}
			for _, in := range contents[k] {
				blocked(t, "資料.docx", []byte(in), "type.mismatch")
				if isProgram(k) && !strings.HasPrefix(in, "[") { // whatever name does not say so hides it
					blocked(t, "資料.xyz", []byte(in), "type.mismatch")
					blocked(t, "資料", []byte(in), "type.mismatch")
					continue
				}
				blocked(t, "資料.xyz", []byte(in), s.code)
				blocked(t, "資料", []byte(in), s.code)
			}
		}
	}
}

// What a text is called is not what it is: under the name of a text nothing runs it.
func TestTextStaysText(t *testing.T) {
	for _, k := range []kind{kindScript, kindCAD} {
		for _, in := range contents[k] {
			if detect([]byte(in)) == kindText {
				clean(t, "a.txt", []byte(in))
			}
		}
	}
	for _, in := range []string{"AC10の図面", "!BDN", "conectix", "JwwData.", "BZh"} {
		clean(t, "a.txt", []byte(in))
	}
}

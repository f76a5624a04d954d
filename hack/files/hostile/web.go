package hostile

// web are marked-up texts: HTML, SVG, XML, Markdown, JSON.
func web() []File {
	var out []File
	add := func(name, technique, body string) {
		out = append(out, File{Name: name, Technique: technique, Nesting: "bare", Body: []byte(body)})
	}
	for technique, inside := range map[string]string{
		"script": `<script>` + Marker + `</script>`, "remote script": `<script src="` + remote + `"></script>`, "event": `<p onclick="` + Marker + `">x</p>`, "event of a picture": `<img src=x onerror=` + Marker + `>`, "javascript link": `<a href="javascript:` + Marker + `">x</a>`,
		"javascript link, spelled": `<a href="&#106;ava&#09;script:` + Marker + `">x</a>`, "data link": `<a href="data:text/html,` + Marker + `">x</a>`, "file link": `<a href="file:///c:/` + Marker + `">x</a>`, "share": `<img src="\\198.51.100.66\` + Marker + `">`,
		"frame": `<iframe src="` + remote + `"></iframe>`, "object": `<object data="` + remote + `"></object>`, "embed": `<embed src="` + remote + `">`, "form": `<form action="` + remote + `"><input name=a></form>`, "button": `<button formaction="` + remote + `">x</button>`,
		"refresh": `<meta http-equiv="refresh" content="0;url=` + remote + `">`, "base": `<base href="` + remote + `">`, "stylesheet": `<link rel="stylesheet" href="` + remote + `">`, "style import": `<style>@import url(` + remote + `);</style>`, "style picture": `<p style="background:url(` + remote + `)">x</p>`,
		"style expression": `<p style="width:expression(` + Marker + `)">x</p>`, "style binding": `<style>p{-moz-binding:url(` + remote + `)}</style>`, "remote picture": `<img src="` + remote + `.png">`, "picture set": `<img srcset="` + remote + `.png 2x">`, "video": `<video src="` + remote + `"></video>`,
		"svg in html": `<svg><script>` + Marker + `</script></svg>`, "math": `<math><mtext><script>` + Marker + `</script></mtext></math>`, "template": `<template><script>` + Marker + `</script></template>`, "noscript": `<noscript><p title="</noscript><script>alert(1)</script>"></noscript>`,
		"comment": `<!--[if IE]><script>` + Marker + `</script><![endif]-->`, "vbscript": `<a href="vbscript:` + Marker + `">x</a>`, "isindex": `<isindex action="` + remote + `">`, "xml island": `<xml id=x><a>` + Marker + `</a></xml>`, "srcdoc": `<iframe srcdoc="<script>` + Marker + `</script>"></iframe>`,
		"ping": `<a href="http://town.example/" ping="` + remote + `">x</a>`, "unclosed": `<img src="x" onerror="` + Marker + `" <p`,
	} {
		add("頁.html", technique, `<!DOCTYPE html><html><head><meta charset="utf-8"><title>x</title></head><body><p>`+Kept+`</p>`+inside+`</body></html>`)
	}
	for technique, inside := range map[string]string{
		"script": `<script>` + Marker + `</script>`, "event": `<rect width="1" height="1" onload="` + Marker + `"/>`, "foreign object": `<foreignObject><p xmlns="http://www.w3.org/1999/xhtml">` + Marker + `</p></foreignObject>`, "remote picture": `<image href="` + remote + `.png" width="1" height="1"/>`,
		"javascript link": `<a href="javascript:` + Marker + `"><text>x</text></a>`, "old link": `<a xlink:href="javascript:` + Marker + `"><text>x</text></a>`, "remote use": `<use href="` + remote + `#x"/>`, "animated link": `<a><set attributeName="href" to="javascript:` + Marker + `"/><text>x</text></a>`,
		"style import": `<style>@import url(` + remote + `);</style>`, "style picture": `<rect style="fill:url(` + remote + `)" width="1" height="1"/>`, "handler": `<handler xmlns:ev="http://www.w3.org/2001/xml-events" ev:event="load">` + Marker + `</handler>`, "metadata": `<metadata>` + Marker + `</metadata>`,
		"remote filter": `<filter id="f"><feImage href="` + remote + `"/></filter>`, "iframe": `<iframe xmlns="http://www.w3.org/1999/xhtml" src="` + remote + `"/>`, "comment": `<!-- ` + Marker + ` -->`, "cdata": `<script><![CDATA[` + Marker + `]]></script>`,
	} {
		add("図.svg", technique, `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="10" height="10"><text>`+Kept+`</text>`+inside+`</svg>`)
	}
	for technique, text := range map[string]string{
		"flat document with a macro": `<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:script="urn:oasis:names:tc:opendocument:xmlns:script:1.0" xmlns:xlink="http://www.w3.org/1999/xlink" office:mimetype="application/vnd.oasis.opendocument.text"><office:scripts><office:event-listeners>` +
			`<script:event-listener script:event-name="dom:load" script:language="ooo:script" xlink:href="vnd.sun.star.script:` + Marker + `"/></office:event-listeners></office:scripts><office:body/></office:document>`,
		"package as one text": `<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:fldSimple w:instr="DDE ` + Marker + `"/></w:p></w:body></w:document>`,
		"mathematics":         `<a xmlns:m="http://www.w3.org/1998/Math/MathML"><m:math href="javascript:` + Marker + `"/></a>`,
		"external entity":     `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e SYSTEM "` + remote + `">]><a>&e;</a>`,
		"parameter entity":    `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY % e SYSTEM "` + remote + `"> %e;]><a/>`,
		"entity bomb":         `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "` + Marker + `"><!ENTITY b "&a;&a;&a;&a;">]><a>&b;</a>`,
	} {
		add("データ.xml", technique, text)
		out[len(out)-1].Blocked = true
	}
	for technique, text := range map[string]string{
		"DTD elsewhere": `<?xml version="1.0"?><!DOCTYPE a SYSTEM "` + remote + `"><a>` + Kept + `</a>`,
		"stylesheet":    `<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="` + remote + `"?><a>` + Kept + `</a>`,
		"inclusion":     `<?xml version="1.0"?><a xmlns:xi="http://www.w3.org/2001/XInclude">` + Kept + `<xi:include href="` + remote + `"/></a>`,
		"comment":       `<?xml version="1.0"?><a>` + Kept + `<!-- ` + Marker + ` --></a>`,
		"instruction":   `<?xml version="1.0"?><a>` + Kept + `<?php ` + Marker + ` ?></a>`,
		"xhtml":         `<?xml version="1.0"?><a xmlns:h="http://www.w3.org/1999/xhtml">` + Kept + `<h:script>` + Marker + `</h:script></a>`,
	} {
		add("データ.xml", technique, text)
	}
	// What stood in a dangerous place may stay as text here, so there is no marker in it.
	const inert, elsewhere = "sekisho-inert", "http://198.51.100.66/sekisho-inert"
	for technique, text := range map[string]string{
		"script": `<script>` + inert + `</script>`, "event": `<img src=x onerror=` + inert + `>`, "javascript link": `[x](javascript:` + inert + `)`, "spelled link": `[x](&#106;avascript:` + inert + `)`, "reference": "[x][1]\n\n[1]: javascript:" + inert, "file link": `[x](file:///c:/` + inert + `)`, "elsewhere picture": `![x](` + elsewhere + `.png)`,
		"angle link": `<javascript:` + inert + `>`, "comment": `<!-- ` + inert + ` -->`,
	} {
		add("説明.md", technique, "# 題\n\n"+Kept+"\n\n"+text+"\n")
	}
	add("設定.json", "control characters", `{"a":"`+Kept+`","b":"x`+"\x1b]0;"+inert+"\x07"+`"}`)
	return sorted(out)
}

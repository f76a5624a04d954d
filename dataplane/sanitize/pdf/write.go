package pdf

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
)

// write spells objects, numbered from 1, as qpdf JSON. Strings are written in hexadecimal: what they mean is kept by the byte.
func write(objects []*object, root ref) []byte {
	size := 0
	for _, o := range objects {
		size += 200 + len(o.data)*4/3
	}
	b := make([]byte, 0, size)
	b = append(b, `{"qpdf":[{"jsonversion":2,"pdfversion":"1.7","pushedinheritedpageresources":false,"calledgetallpages":false,"maxobjectid":`...)
	b = strconv.AppendInt(b, int64(len(objects)), 10)
	b = append(b, "},{"...)
	for i, o := range objects {
		b = append(b, `"obj:`...)
		b = strconv.AppendInt(b, int64(i+1), 10)
		if o.stream {
			b = append(b, ` 0 R":{"stream":{"data":"`...)
			b = base64.StdEncoding.AppendEncode(b, o.data)
			b = append(b, `","dict":`...)
			b = appendJSON(b, o.v)
			b = append(b, "}},\n"...)
			continue
		}
		b = append(b, ` 0 R":{"value":`...)
		b = appendJSON(b, o.v)
		b = append(b, "},\n"...)
	}
	b = append(b, `"trailer":{"value":{"/Root":`...)
	b = appendJSON(b, root)
	b = append(b, `,"/Size":`...)
	b = strconv.AppendInt(b, int64(len(objects)+1), 10)
	return append(b, "}}}]}"...)
}

func appendJSON(b []byte, v value) []byte {
	switch v := v.(type) {
	case bool:
		return strconv.AppendBool(b, v)
	case number:
		return append(b, v...)
	case name:
		return appendName(b, v)
	case text:
		b = append(b, `"b:`...)
		b = hex.AppendEncode(b, []byte(v))
		return append(b, '"')
	case ref:
		b = append(b, '"')
		b = strconv.AppendInt(b, int64(v), 10)
		return append(b, ` 0 R"`...)
	case array:
		return appendArray(b, v)
	case list:
		return appendArray(b, v)
	case dict:
		b = append(b, '{')
		for i, k := range v.keys() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendName(b, k)
			b = append(b, ':')
			b = appendJSON(b, v[k])
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

func appendArray(b []byte, a []value) []byte {
	b = append(b, '[')
	for i, e := range a {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, e)
	}
	return append(b, ']')
}

// appendName writes a name: all are plain, so only two characters need JSON's care.
func appendName(b []byte, n name) []byte {
	b = append(b, `"/`...)
	for i := range len(n) {
		if n[i] == '"' || n[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, n[i])
	}
	return append(b, '"')
}

package archive

import (
	"bytes"
	"hash/crc32"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/flate"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// checkGzip accepts one stream (RFC 1952) without name, time, comment or extra field, and checks what lies in it by the name without its
// last ending.
func checkGzip(f *rule.File) error {
	const head, foot = 10, 8
	if len(f.In) < head+foot || string(f.In[:head]) != "\x1F\x8B\x08\x00\x00\x00\x00\x00\x00\xFF" {
		return rule.Refuse(codeLayout, "", "gzip header")
	}
	in := rule.ByteByByte(bytes.NewReader(f.In[head : len(f.In)-foot]))
	z := flate.NewReader(in)
	defer z.Close()
	body, err := io.ReadAll(io.LimitReader(&patient{f.Ctx, z}, maxUnpacked+1))
	_, more := in.ReadByte()
	end := f.In[len(f.In)-foot:]
	switch {
	case f.Ctx.Err() != nil:
		return f.Ctx.Err()
	case err != nil:
		return rule.Refuse(codeLayout, "", "%v", err)
	case len(body) > maxUnpacked:
		return rule.Refuse(codeLimit, "", "unpacks to more than %d bytes", maxUnpacked)
	case more != io.EOF || u32(end, 4) != len(body) || uint32(u32(end, 0)) != crc32.ChecksumIEEE(body):
		return rule.Refuse(codeLayout, "", "size or checksum differs")
	}
	inner := strings.TrimSuffix(f.Name, path.Ext(f.Name))
	if strings.EqualFold(path.Ext(f.Name), ".tgz") {
		inner += ".tar"
	}
	return nested(f, inner, body)
}

package crypt

import (
	"context"
	"encoding/binary"

	"github.com/sekisho/sekisho/dataplane/sanitize/compound"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// The head of a Word document ([MS-DOC] 2.5.1 and 2.2.6).
const (
	wordFlags      = 10
	wordKeyLength  = 14
	wordOpen       = 68 // bytes at the beginning that are never encrypted
	wordEncrypted  = 0x0100
	wordTable1     = 0x0200
	wordObfuscated = 0x8000
	wordBlock      = 512
)

// openWord opens the streams of a Word document. The table stream begins with the encryption's header, as long as the document's head says.
func openWord(ctx context.Context, f *compound.File, keys []string) (map[string][]byte, error) {
	doc, err := f.Read("WordDocument")
	if err != nil {
		return nil, err
	}
	if len(doc) < wordOpen {
		return nil, broken("head of the document")
	}
	flags := binary.LittleEndian.Uint16(doc[wordFlags:])
	if flags&wordObfuscated != 0 {
		return nil, rebuild.Refuse("legacy.encryption", "", "XOR")
	}
	name := "0Table"
	if flags&wordTable1 != 0 {
		name = "1Table"
	}
	table, err := f.Read(name)
	if err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(doc[wordKeyLength:])
	if uint64(n) > uint64(len(table)) {
		return nil, broken("encryption header")
	}
	key, err := readRC4(table[:n], keys)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, s := range []string{"WordDocument", name, "Data"} {
		if !f.Has(s) {
			continue
		}
		b, err := f.Read(s)
		if err != nil {
			return nil, err
		}
		if out[s], err = key.stream(ctx, b, wordBlock); err != nil {
			return nil, err
		}
	}
	clear(out[name][:n])
	head := out["WordDocument"]
	copy(head, doc[:wordOpen])
	binary.LittleEndian.PutUint16(head[wordFlags:], flags&^wordEncrypted)
	binary.LittleEndian.PutUint32(head[wordKeyLength:], 0)
	return out, nil
}

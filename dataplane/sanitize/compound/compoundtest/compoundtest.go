// Package compoundtest makes compound files ([MS-CFB] version 3) for tests.
//
// Problem: no program that writes old Office files runs in tests. Mechanism: streams by path become sectors of 512 bytes, one chain
// after the other, without a mini stream. Life cycle: one call a test. Invariant: what comes out has the header, the allocation table
// and the directory that the specification asks for.
package compoundtest

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"
)

const (
	sector   = 512
	endChain = 0xFFFFFFFE
	free     = 0xFFFFFFFF
)

type entry struct {
	name              string
	kind              byte // 1 storage, 2 stream, 5 root
	start, child, sib uint32
	size              uint32
}

// File packs streams by path ("Macros/VBA/dir"); each is filled up to 4096 bytes, below which streams would lie in the mini stream.
func File(streams map[string]string) []byte {
	entries := []entry{{name: "Root Entry", kind: 5, start: endChain, child: free, sib: free}}
	index := map[string]int{"": 0}
	var body bytes.Buffer
	var fat []uint32
	put := func(b []byte) uint32 {
		start := uint32(len(fat))
		for i := 0; i < len(b); i += sector {
			s := make([]byte, sector)
			copy(s, b[i:])
			body.Write(s)
			next := uint32(len(fat) + 1)
			if i+sector >= len(b) {
				next = endChain
			}
			fat = append(fat, next)
		}
		return start
	}
	var add func(path string, e entry) int
	add = func(path string, e entry) int {
		parent, name := "", path
		if i := strings.LastIndexByte(path, '/'); i >= 0 {
			parent, name = path[:i], path[i+1:]
		}
		at, ok := index[parent]
		if !ok {
			at = add(parent, entry{kind: 1, start: 0, child: free})
		}
		e.name, e.sib = name, entries[at].child
		entries = append(entries, e)
		entries[at].child = uint32(len(entries) - 1)
		index[path] = len(entries) - 1
		return len(entries) - 1
	}
	for _, path := range slices.Sorted(maps.Keys(streams)) {
		b := []byte(streams[path])
		for len(b) < 4096 {
			b = append(b, 0)
		}
		add(path, entry{kind: 2, start: put(b), child: free, size: uint32(len(b))})
	}
	var dir bytes.Buffer
	for _, e := range entries {
		d := make([]byte, 128)
		u := utf16.Encode([]rune(e.name))
		for i, c := range u {
			binary.LittleEndian.PutUint16(d[2*i:], c)
		}
		binary.LittleEndian.PutUint16(d[64:], uint16(2*len(u)+2))
		d[66], d[67] = e.kind, 1
		binary.LittleEndian.PutUint32(d[68:], free)
		binary.LittleEndian.PutUint32(d[72:], e.sib)
		binary.LittleEndian.PutUint32(d[76:], e.child)
		binary.LittleEndian.PutUint32(d[116:], e.start)
		binary.LittleEndian.PutUint32(d[120:], e.size)
		dir.Write(d)
	}
	dirStart := put(dir.Bytes())
	fatSectors := 1
	for (len(fat)+fatSectors)*4 > fatSectors*sector {
		fatSectors++
	}
	h := make([]byte, sector)
	copy(h, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1")
	for at, v := range map[int]uint16{24: 0x3E, 26: 3, 28: 0xFFFE, 30: 9, 32: 6} {
		binary.LittleEndian.PutUint16(h[at:], v)
	}
	for at, v := range map[int]uint32{44: uint32(fatSectors), 48: dirStart, 56: 4096, 60: endChain, 68: endChain} {
		binary.LittleEndian.PutUint32(h[at:], v)
	}
	for i := range 109 {
		v := uint32(free)
		if i < fatSectors {
			v = uint32(len(fat) + i)
		}
		binary.LittleEndian.PutUint32(h[76+4*i:], v)
	}
	for range fatSectors {
		fat = append(fat, 0xFFFFFFFD)
	}
	table := make([]byte, fatSectors*sector)
	for i := range table {
		table[i] = 0xFF
	}
	for i, v := range fat {
		binary.LittleEndian.PutUint32(table[4*i:], v)
	}
	return slices.Concat(h, body.Bytes(), table)
}

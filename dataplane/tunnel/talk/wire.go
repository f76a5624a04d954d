package talk

import (
	"encoding/binary"
	"fmt"
)

// The header on the wire, big-endian: magic (2), version, kind, class, zeros (3), gate (8), far (8), sequence (8).
var magic = [2]byte{'S', 'T'}

const version = 1

type writer struct {
	b   []byte
	err error
}

func (w *writer) header(kind uint8, h *Header) {
	w.b = append(w.b, magic[0], magic[1], version, kind, h.Class, 0, 0, 0)
	w.u64(h.Gate, h.Far, h.Seq)
}

func (w *writer) u8(v uint8)   { w.b = append(w.b, v) }
func (w *writer) u16(v uint16) { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *writer) u32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }
func (w *writer) u64(vs ...uint64) {
	for _, v := range vs {
		w.b = binary.BigEndian.AppendUint64(w.b, v)
	}
}

func (w *writer) refuse(what string, have, most int) {
	w.err = fmt.Errorf("%w: %d %s, want at most %d", ErrForm, have, what, most)
}

// reader gives zeros once something was missing; err tells that.
type reader struct {
	b   []byte
	err error
}

func (r *reader) header() (kind uint8, h Header) {
	b := r.take(headSize)
	if b == nil {
		return 0, h
	}
	if b[5]|b[6]|b[7] != 0 {
		r.err = ErrForm
	}
	return b[3], Header{Class: b[4], Gate: binary.BigEndian.Uint64(b[8:]), Far: binary.BigEndian.Uint64(b[16:]), Seq: binary.BigEndian.Uint64(b[24:])}
}

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.b, r.err = nil, ErrForm
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (m *Request) write(w *writer) { w.u64(uint64(m.Sent), m.Plan, m.Grant, m.Use) }
func (m *Request) read(r *reader) {
	m.Sent, m.Plan, m.Grant, m.Use = int64(r.u64()), r.u64(), r.u64(), r.u64()
}

func (m *Reply) write(w *writer) {
	if len(m.Classes) > MaxClasses {
		w.refuse("classes", len(m.Classes), MaxClasses)
		return
	}
	w.u64(uint64(m.Sent), uint64(m.Received), uint64(m.Answered), m.Plan, m.Psk, m.RxBytes, m.RxPackets, m.Root, m.Demand)
	w.u8(uint8(len(m.Classes)))
	for _, c := range m.Classes {
		w.u8(c.ID)
		w.u64(c.Bytes, c.Packets, c.Drops)
		w.u32(c.Backlog)
	}
}

func (m *Reply) read(r *reader) {
	m.Sent, m.Received, m.Answered = int64(r.u64()), int64(r.u64()), int64(r.u64())
	m.Plan, m.Psk, m.RxBytes, m.RxPackets, m.Root, m.Demand = r.u64(), r.u64(), r.u64(), r.u64(), r.u64(), r.u64()
	n := int(r.u8())
	if n > MaxClasses {
		r.err = ErrForm
		return
	}
	for range n {
		m.Classes = append(m.Classes, Counter{ID: r.u8(), Bytes: r.u64(), Packets: r.u64(), Drops: r.u64(), Backlog: r.u32()})
	}
}

func (m *Part) write(w *writer) {
	if len(m.Bytes) > MaxPart {
		w.refuse("bytes of a part", len(m.Bytes), MaxPart)
		return
	}
	w.u64(m.Hash)
	w.u16(m.Index)
	w.u16(m.Count)
	w.b = append(w.b, m.Bytes...)
}

func (m *Part) read(r *reader) {
	m.Hash, m.Index, m.Count = r.u64(), r.u16(), r.u16()
	if len(r.b) > MaxPart || m.Index >= m.Count {
		r.err = ErrForm
		return
	}
	m.Bytes = append([]byte(nil), r.take(len(r.b))...)
}

func (m *PartAck) write(w *writer) { w.u64(m.Hash); w.u16(m.Index) }
func (m *PartAck) read(r *reader)  { m.Hash, m.Index = r.u64(), r.u16() }

func (m *Psk) write(w *writer) { w.u64(m.ID); w.b = append(w.b, m.Key[:]...) }
func (m *Psk) read(r *reader)  { m.ID = r.u64(); copy(m.Key[:], r.take(len(m.Key))) }

func (m *PskAck) write(w *writer) { w.u64(m.ID) }
func (m *PskAck) read(r *reader)  { m.ID = r.u64() }

func (m *Size) write(w *writer) {
	if m.Pad < 0 || m.Pad > MaxMessage {
		w.refuse("bytes of padding", m.Pad, MaxMessage)
		return
	}
	w.b = append(w.b, make([]byte, m.Pad)...)
}
func (m *Size) read(r *reader) { m.Pad = len(r.take(len(r.b))) }

func (m *SizeReply) write(w *writer) { w.u32(uint32(m.Pad)) }
func (m *SizeReply) read(r *reader)  { m.Pad = int(r.u32()) }

// Package pcapng writes captures that say of each packet what became of it.
//
// Problem: a capture of a gate is worth little without the verdicts, and it must not outgrow its bounds. Mechanism: sections
// and interfaces are written by gopacket; packets, whose comments gopacket cannot write, by this package as Enhanced Packet
// Blocks (draft-ietf-opsawg-pcapng, section 4.3). Every block is made whole in memory and written only if it fits. Life
// cycle: New writes the section and the first interface, Interface and Packet follow; there is nothing to close. Invariant:
// what was written is a valid file after every call, never longer than the limit.
package pcapng

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// ErrFull is the answer when a block would take the file beyond its limit; nothing of it was written.
var ErrFull = errors.New("the capture has reached its size")

// Link is what the packets of an interface begin with.
type Link uint16

// Links of the gate's devices.
const (
	Ethernet = Link(layers.LinkTypeEthernet)
	IP       = Link(layers.LinkTypeRaw) // IPv4 or IPv6 without anything before
)

// Interface is one device.
type Interface struct {
	Name        string
	Description string
	Link        Link
	Snap        int // most bytes of a packet
}

// Packet is one packet and its fate.
type Packet struct {
	Interface int // as Interface answered
	Time      time.Time
	Data      []byte // what was captured of it
	Length    int    // what it was, at least len(Data)
	Outbound  bool   // seen on its way out
	Comment   string // at most 65,535 bytes
}

// Writer writes one capture.
type Writer struct {
	w     io.Writer
	limit int64
	size  int64
	block bytes.Buffer
	heads *pcapgo.NgWriter // writes into block
}

// New begins a capture of at most limit bytes on w. comment says of the whole what it is; the first interface has number 0.
func New(w io.Writer, limit int64, comment string, first Interface) (*Writer, error) {
	p := &Writer{w: w, limit: limit}
	heads, err := pcapgo.NewNgWriterInterface(&p.block, first.head(), pcapgo.NgWriterOptions{
		SectionInfo: pcapgo.NgSectionInfo{Application: "sekisho", Comment: comment},
	})
	if err != nil {
		return nil, err
	}
	p.heads = heads
	return p, errors.Join(heads.Flush(), p.emit())
}

func (i Interface) head() pcapgo.NgInterface {
	return pcapgo.NgInterface{Name: i.Name, Description: i.Description, LinkType: layers.LinkType(i.Link), SnapLength: uint32(i.Snap)}
}

// Interface adds a device and gives its number.
func (p *Writer) Interface(i Interface) (int, error) {
	id, err := p.heads.AddInterface(i.head())
	if err != nil {
		return 0, err
	}
	if err := p.heads.Flush(); err != nil {
		return 0, err
	}
	return id, p.emit()
}

// Size is how many bytes were written.
func (p *Writer) Size() int64 { return p.size }

// emit writes the block that was made, if it fits.
func (p *Writer) emit() error {
	defer p.block.Reset()
	if p.size+int64(p.block.Len()) > p.limit {
		return ErrFull
	}
	n, err := p.w.Write(p.block.Bytes())
	p.size += int64(n)
	return err
}

// Numbers of the format that gopacket keeps to itself.
const (
	enhancedPacket = 6
	optionEnd      = 0
	optionComment  = 1
	optionFlags    = 2
	inbound        = 1
	outbound       = 2
)

// Packet writes one packet.
func (p *Writer) Packet(k Packet) error {
	b := &p.block
	word := func(v uint32) { b.Write(binary.LittleEndian.AppendUint32(nil, v)) }
	padded := func(data []byte) {
		b.Write(data)
		b.Write(make([]byte, -len(data)&3))
	}
	option := func(code uint16, value []byte) {
		word(uint32(code) | uint32(len(value))<<16)
		padded(value)
	}
	at := uint64(k.Time.UnixNano()) // the resolution that gopacket gives every interface
	word(enhancedPacket)
	word(0) // length, below
	word(uint32(k.Interface))
	word(uint32(at >> 32))
	word(uint32(at))
	word(uint32(len(k.Data)))
	word(uint32(max(k.Length, len(k.Data))))
	padded(k.Data)
	if k.Comment != "" {
		option(optionComment, []byte(k.Comment[:min(len(k.Comment), 65535)]))
	}
	direction := uint32(inbound)
	if k.Outbound {
		direction = outbound
	}
	option(optionFlags, binary.LittleEndian.AppendUint32(nil, direction))
	option(optionEnd, nil)
	word(0)
	length := uint32(b.Len())
	binary.LittleEndian.PutUint32(b.Bytes()[4:], length)
	binary.LittleEndian.PutUint32(b.Bytes()[length-4:], length)
	return p.emit()
}

// Whole lets only whole blocks of a file through: what was written of it is valid even if the rest never comes.
type Whole struct {
	W    io.Writer
	held []byte
	size int64
}

// maxBlock bounds what is held back: no block of a capture is near it.
const maxBlock = 1 << 20

// Write holds back what is no whole block yet.
func (h *Whole) Write(b []byte) (int, error) {
	h.held = append(h.held, b...)
	whole, err := blocks(h.held, len(h.held))
	if err != nil {
		return 0, err
	}
	n, err := h.W.Write(h.held[:whole])
	if err != nil {
		n, _ = blocks(h.held, n)
		h.size += int64(n)
		return 0, err
	}
	h.size += int64(whole)
	h.held = append(h.held[:0], h.held[whole:]...)
	return len(b), nil
}

// blocks tells how many of the first n bytes are whole blocks.
func blocks(b []byte, n int) (whole int, err error) {
	for whole+12 <= n {
		length := binary.LittleEndian.Uint32(b[whole+4:])
		if length < 12 || length > maxBlock {
			return whole, errors.New("what comes is no capture")
		}
		if whole+int(length) > n {
			break
		}
		whole += int(length)
	}
	return whole, nil
}

// Size is how many bytes of whole blocks were let through; after an error, more may have been written behind them.
func (h *Whole) Size() int64 { return h.size }

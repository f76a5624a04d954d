package talk

// Header is in every message.
type Header struct {
	Class uint8  // bandwidth class that the message travels in; 0 = none
	Gate  uint64 // the gate's run; random
	Far   uint64 // the far end's run; random. From the gate: as last heard, 0 = never. Only then does a far end act on a message
	Seq   uint64 // of a question, rising within the gate's run; an answer repeats it
}

// Message is one of the pointers to the types below.
type Message interface {
	head() *Header
	kind() uint8
	write(*writer)
	read(*reader)
}

// HeaderOf is the header of a message.
func HeaderOf(m Message) Header { return *m.head() }

func (h *Header) head() *Header { return h }

// Request asks the far end how it is; gate to far end.
type Request struct {
	Header
	Sent  int64  // ns, the gate's clock
	Plan  uint64 // hash of the plan that shall be in force; 0 = none
	Grant uint64 // bit/s that the root may send on this device now; 0 = the plan's
	Use   uint64 // bit n: class n shall come down by this device; bit 0: what has no class
}

// Reply answers a Request; far end to gate.
type Reply struct {
	Header
	Sent      int64  // of the request
	Received  int64  // ns, the far end's clock
	Answered  int64  // ns, the far end's clock
	Plan      uint64 // hash of the plan in force; 0 = none
	Psk       uint64 // id of the pre-shared key in force; 0 = none
	RxBytes   uint64 // from the gate on this device
	RxPackets uint64
	Root      uint64 // bit/s that the root may send now
	Demand    uint64 // bit/s that it would send
	Classes   []Counter
}

// Counter is what a class was given towards the gate.
type Counter struct {
	ID      uint8
	Bytes   uint64 // sent
	Packets uint64
	Drops   uint64
	Backlog uint32 // bytes that wait
}

// Part is a piece of a plan; gate to far end.
type Part struct {
	Header
	Hash  uint64 // of the whole plan
	Index uint16 // from 0
	Count uint16 // of parts
	Bytes []byte // at most MaxPart
}

// PartAck tells that a part has come.
type PartAck struct {
	Header
	Hash  uint64
	Index uint16
}

// Psk hands over a pre-shared key, which the tunnel itself keeps secret; gate to far end.
type Psk struct {
	Header
	ID  uint64
	Key [32]byte
}

// PskAck tells that the key is kept and in force.
type PskAck struct {
	Header
	ID uint64
}

// Size is a question of a certain length: whether packets of that length come through; gate to far end.
type Size struct {
	Header
	Pad int // bytes of zeros; see Padding
}

// SizeReply tells the length that came.
type SizeReply struct {
	Header
	Pad int
}

// Padding is the Pad that makes the IP packet around a Size as long as given, bytes; less than 0: that is shorter than any.
func Padding(packet int, v6 bool) int {
	ip := 20
	if v6 {
		ip = 40
	}
	return packet - ip - 8 - headSize - macSize
}

const (
	kindRequest = 1 + iota
	kindReply
	kindPart
	kindPartAck
	kindPsk
	kindPskAck
	kindSize
	kindSizeReply
)

func blank(kind uint8) Message {
	switch kind {
	case kindRequest:
		return &Request{}
	case kindReply:
		return &Reply{}
	case kindPart:
		return &Part{}
	case kindPartAck:
		return &PartAck{}
	case kindPsk:
		return &Psk{}
	case kindPskAck:
		return &PskAck{}
	case kindSize:
		return &Size{}
	case kindSizeReply:
		return &SizeReply{}
	}
	return nil
}

func (*Request) kind() uint8   { return kindRequest }
func (*Reply) kind() uint8     { return kindReply }
func (*Part) kind() uint8      { return kindPart }
func (*PartAck) kind() uint8   { return kindPartAck }
func (*Psk) kind() uint8       { return kindPsk }
func (*PskAck) kind() uint8    { return kindPskAck }
func (*Size) kind() uint8      { return kindSize }
func (*SizeReply) kind() uint8 { return kindSizeReply }

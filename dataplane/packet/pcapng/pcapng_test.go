package pcapng

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/pcapgo"
)

// comments reads the comment of every packet block of a file: what gopacket's reader passes over.
func comments(t *testing.T, file []byte) (out []string) {
	t.Helper()
	for len(file) > 0 {
		if len(file) < 12 {
			t.Fatalf("%d bytes behind the last block", len(file))
		}
		length := binary.LittleEndian.Uint32(file[4:])
		if int(length) > len(file) || length%4 != 0 || binary.LittleEndian.Uint32(file[length-4:]) != length {
			t.Fatalf("a block of length %d in %d bytes, closed by %d", length, len(file), binary.LittleEndian.Uint32(file[length-4:]))
		}
		block := file[:length-4]
		file = file[length:]
		if binary.LittleEndian.Uint32(block) != 6 {
			continue
		}
		captured := int(binary.LittleEndian.Uint32(block[20:]))
		options, comment := block[28+(captured+3)/4*4:], ""
		for {
			code, n := binary.LittleEndian.Uint16(options), int(binary.LittleEndian.Uint16(options[2:]))
			if code == 0 {
				break
			}
			if code == 1 {
				comment = string(options[4 : 4+n])
			}
			options = options[4+(n+3)/4*4:]
		}
		out = append(out, comment)
	}
	return out
}

func TestPacketsReadBackAsTheyWere(t *testing.T) {
	var file bytes.Buffer
	w, err := New(&file, 1<<20, "a capture", Interface{Name: "mn0", Link: Ethernet, Snap: 256})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var want []Packet
	for i := range 40 {
		if i == 20 {
			id, err := w.Interface(Interface{Name: "wg0", Link: IP, Snap: 256})
			if err != nil || id != 1 {
				t.Fatalf("the second interface has number %d, %v", id, err)
			}
		}
		k := Packet{Interface: i / 20, Time: time.Unix(1_800_000_000+int64(i), 123_456_789), Data: make([]byte, i), Length: i + r.IntN(3), Comment: "関所" + strings.Repeat("x", i%4), Outbound: i%2 == 1}
		for j := range k.Data {
			k.Data[j] = byte(r.Uint32())
		}
		if err := w.Packet(k); err != nil {
			t.Fatal(err)
		}
		want = append(want, k)
	}
	if w.Size() != int64(file.Len()) {
		t.Errorf("%d bytes counted, %d written", w.Size(), file.Len())
	}
	said := comments(t, file.Bytes())
	in, err := pcapgo.NewNgReader(bytes.NewReader(file.Bytes()), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	if c := in.SectionInfo().Comment; c != "a capture" {
		t.Errorf("the section says %q", c)
	}
	for i, k := range want {
		data, info, err := in.ReadPacketData()
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		if !bytes.Equal(data, k.Data) || info.Length != k.Length || !info.Timestamp.Equal(k.Time) || info.InterfaceIndex != k.Interface || said[i] != k.Comment {
			t.Errorf("packet %d: %x, %+v, %q; want %+v", i, data, info, said[i], k)
		}
	}
	if _, _, err := in.ReadPacketData(); err != io.EOF {
		t.Errorf("after the last: %v", err)
	}
	for i, link := range []Link{Ethernet, IP} {
		if got, err := in.Interface(i); err != nil || Link(got.LinkType) != link {
			t.Errorf("interface %d: %+v, %v", i, got, err)
		}
	}
}

// A file never grows beyond its limit and ends with a whole block.
func TestTheLimitHolds(t *testing.T) {
	for limit := int64(200); limit < 700; limit += 7 {
		var file bytes.Buffer
		w, err := New(&file, limit, "", Interface{Name: "mn0", Link: Ethernet, Snap: 64})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; err == nil; n++ {
			err = w.Packet(Packet{Data: make([]byte, 61), Length: 61, Comment: "dropped"})
		}
		if !errors.Is(err, ErrFull) || int64(file.Len()) > limit || limit-int64(file.Len()) >= 200 {
			t.Fatalf("limit %d: %d bytes, %v", limit, file.Len(), err)
		}
		if said := comments(t, file.Bytes()); len(said) != n-1 {
			t.Errorf("limit %d: %d packets in the file, %d were written", limit, len(said), n-1)
		}
	}
}

type failing struct{ left int }

func (f *failing) Write(b []byte) (int, error) {
	if len(b) > f.left {
		n := f.left
		f.left = 0
		return n, io.ErrShortWrite
	}
	f.left -= len(b)
	return len(b), nil
}

func TestAWriteThatFailsIsTold(t *testing.T) {
	w, err := New(&failing{300}, 1<<20, "", Interface{Name: "mn0", Link: Ethernet, Snap: 64})
	for range 10 {
		if err == nil {
			err = w.Packet(Packet{Data: make([]byte, 60), Length: 60})
		}
	}
	if !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v", err)
	}
	if _, err := New(&failing{10}, 1<<20, "", Interface{Name: "mn0"}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("at the beginning: %v", err)
	}
}

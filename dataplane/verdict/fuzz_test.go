package verdict

import (
	"bytes"
	"testing"
)

// FuzzFrames reads whatever a worker, a helper or their caller sends: no more than the limit comes of it, and what was taken is taken
// again when it is sent on.
func FuzzFrames(f *testing.F) {
	const most = 1 << 16
	frame := func(write func(*bytes.Buffer) error) []byte {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			f.Fatal(err)
		}
		return b.Bytes()
	}
	need := Need{ID: "a", Kind: "convert", Options: map[string]string{"from": "doc"}, Body: []byte("abc")}
	answer := Answer{ID: "a", Body: []byte("def")}
	f.Add(byte(0), frame(func(b *bytes.Buffer) error {
		return WriteJob(b, Job{Name: "a.txt", Keys: []string{"k"}, Answers: []Answer{answer}}, []byte("x"))
	}))
	f.Add(byte(1), frame(func(b *bytes.Buffer) error { return WriteNeeds(b, Report{Name: "a.doc"}, []Need{need}) }))
	f.Add(byte(1), frame(func(b *bytes.Buffer) error {
		return WriteReport(b, Report{Outcome: Clean, After: &Digest{Size: 1}}, []byte("x"))
	}))
	f.Add(byte(2), frame(func(b *bytes.Buffer) error { return WriteReport(b, Report{Outcome: Blocked}, nil) }))
	f.Add(byte(3), frame(func(b *bytes.Buffer) error { return WriteNeed(b, need) }))
	f.Add(byte(4), frame(func(b *bytes.Buffer) error { return WriteAnswer(b, answer) }))
	f.Fuzz(func(t *testing.T, kind byte, in []byte) {
		// take reads a frame and answers how many bytes of bodies it had, and how it is sent on.
		take := func(in []byte) (size int, on func(*bytes.Buffer) error, err error) {
			r := bytes.NewReader(in)
			switch kind % 5 {
			case 0:
				j, body, err := ReadJob(r, most)
				for _, a := range j.Answers {
					size += len(a.Body)
				}
				return size + len(body), func(b *bytes.Buffer) error { return WriteJob(b, j, body) }, err
			case 1, 2:
				rep, body, err := ReadReport(r, most, kind%5 == 1)
				for _, n := range rep.Needs {
					size += len(n.Body)
				}
				return size + len(body), func(b *bytes.Buffer) error {
					if rep.Outcome == Asks {
						return WriteNeeds(b, rep, rep.Needs)
					}
					return WriteReport(b, rep, body)
				}, err
			case 3:
				n, err := ReadNeed(r, most)
				return len(n.Body), func(b *bytes.Buffer) error { return WriteNeed(b, n) }, err
			default:
				a, err := ReadAnswer(r, most)
				return len(a.Body), func(b *bytes.Buffer) error { return WriteAnswer(b, a) }, err
			}
		}
		size, on, err := take(in)
		if err != nil {
			return
		}
		if size > min(most, len(in)) {
			t.Fatalf("%d bytes of %d", size, len(in))
		}
		var b bytes.Buffer
		if err := on(&b); err != nil {
			return // a line that got longer by escapes
		}
		if again, _, err := take(b.Bytes()); err != nil || again != size {
			t.Fatalf("%q became %q: %d bytes, %v, want %d", in, b.Bytes(), again, err, size)
		}
	})
}

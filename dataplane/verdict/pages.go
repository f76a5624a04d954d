package verdict

import (
	"bufio"
	"fmt"
	"io"
)

// Pages are the first pages of a file as a reader sees them, before and after, for the person who approves it. They never travel in a
// report: the broker has them drawn when somebody wants to look, and leaves them with release, which shows them to the approver's
// portal. Framed like a report: one line, then the pictures of Before and of After, in order.
type Pages struct {
	Version int     `json:"version"` // 1
	Before  Drawing `json:"before"`
	After   Drawing `json:"after"`
	// Compared are the pages that both have, in order.
	Compared []Comparison `json:"compared,omitempty"`
}

// Drawing is one side.
type Drawing struct {
	Failed string   `json:"failed,omitempty"` // a code of a catalogue: there are no pages
	Pages  []Sheet  `json:"pages,omitempty"`
	More   bool     `json:"more,omitempty"` // there are pages behind these
	Made   []string `json:"made,omitempty"` // what drew them
}

// Sheet is the picture of one page.
type Sheet struct {
	Width  int    `json:"width"` // pixels
	Height int    `json:"height"`
	Size   int64  `json:"size"` // of PNG
	PNG    []byte `json:"-"`    // follows the line
}

// Comparison tells how a page after differs from the same page before.
type Comparison struct {
	Same  bool     `json:"same"`            // in every pixel
	Marks [][4]int `json:"marks,omitempty"` // x, y, width, height of what a person sees to differ, in pixels
}

// Bounds of pages, whoever made them.
const (
	MaxPages     = 4    // of each side
	MaxPageEdge  = 1000 // pixels
	MaxPageBytes = 16 << 20
	maxMarks     = 1024 // of a page: more squares than there are
)

// WritePages sends pages.
func WritePages(w io.Writer, p Pages) error {
	var bodies [][]byte
	for _, d := range []*Drawing{&p.Before, &p.After} {
		d.Pages = append([]Sheet(nil), d.Pages...)
		for i := range d.Pages {
			d.Pages[i].Size = int64(len(d.Pages[i].PNG))
			bodies = append(bodies, d.Pages[i].PNG)
		}
	}
	if err := p.check(); err != nil {
		return fmt.Errorf("write pages: %w", err)
	}
	return writeFrame(w, p, MaxJobLine, bodies...)
}

// ReadPages reads them.
func ReadPages(r io.Reader) (Pages, error) {
	br := bufio.NewReader(r)
	var p Pages
	if err := readLine(br, MaxJobLine, &p); err != nil {
		return Pages{}, fmt.Errorf("read pages: %w", err)
	}
	if err := p.check(); err != nil {
		return Pages{}, fmt.Errorf("read pages: %w", err)
	}
	var sizes []int64
	for _, d := range []Drawing{p.Before, p.After} {
		for _, s := range d.Pages {
			sizes = append(sizes, s.Size)
		}
	}
	bodies, err := readBodies(br, sizes, MaxPageBytes)
	if err != nil {
		return Pages{}, fmt.Errorf("read pages: %w", err)
	}
	for _, d := range []*Drawing{&p.Before, &p.After} {
		for i := range d.Pages {
			d.Pages[i].PNG, bodies = bodies[0], bodies[1:]
		}
	}
	return p, nil
}

// check holds pages to the bounds.
func (p *Pages) check() error {
	if p.Version != 1 {
		return fmt.Errorf("version %d: %w", p.Version, ErrFrame)
	}
	for _, d := range []Drawing{p.Before, p.After} {
		if len(d.Pages) > MaxPages || len(d.Failed) > 60 || d.Failed != "" && len(d.Pages) > 0 {
			return fmt.Errorf("%d pages, failed %.60q: %w", len(d.Pages), d.Failed, ErrFrame)
		}
		for _, s := range d.Pages {
			if s.Width < 1 || s.Height < 1 || s.Width > MaxPageEdge || s.Height > MaxPageEdge {
				return fmt.Errorf("a page of %d x %d: %w", s.Width, s.Height, ErrFrame)
			}
		}
	}
	if len(p.Compared) > min(len(p.Before.Pages), len(p.After.Pages)) {
		return fmt.Errorf("%d comparisons: %w", len(p.Compared), ErrFrame)
	}
	for _, c := range p.Compared {
		if len(c.Marks) > maxMarks {
			return fmt.Errorf("%d marks on a page: %w", len(c.Marks), ErrFrame)
		}
	}
	return nil
}

package main

import (
	"fmt"
	"strings"
	"time"
)

// steps are the parts of an act and how long each took.
type steps struct {
	Names []string
	Took  []time.Duration
}

// clock gives a function that books the time since its last call under a name.
func (s *steps) clock() func(name string) {
	last := time.Now()
	return func(name string) {
		now := time.Now()
		s.Names = append(s.Names, name)
		s.Took = append(s.Took, now.Sub(last))
		last = now
	}
}

func (s steps) total() (d time.Duration) {
	for _, t := range s.Took {
		d += t
	}
	return d
}

func (s steps) String() string {
	var b strings.Builder
	for i, name := range s.Names {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %d ms", name, s.Took[i].Milliseconds())
	}
	return b.String()
}

// Package evidence keeps what each line and class was given, for years, and says of each second whether the guarantee was kept.
//
// Problem: a town that pays for a guarantee and a carrier that sold it must agree, weeks later, on what happened in which second
// and whose fault it was; what was only averaged, or lost in a restart, convinces nobody. Mechanism: the dataplane's samples are
// judged one by one and written into rings of files, a slot for each second of a day, each minute of 90 days and each hour of five
// years; a slot has its place by its time, so nothing is searched, and its checksum, so a torn one is told from a gap. Life cycle:
// Open, Keep every second, Read at any time, Close; what the dataplane still remembers is taken up again after a stop. Invariant: a
// second without a sample is a gap and never counts as kept, and what was once recorded as not kept does not become better.
package evidence

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Tier is one of the rings of a series.
type Tier struct {
	Step  int64 // seconds a slot stands for
	Slots int64
	size  int64 // bytes of a slot; of a power of two, so that none lies across two pages
	end   string
}

// The rings of each series.
var (
	Seconds = Tier{Step: 1, Slots: 24 * 60 * 60, size: 128, end: ".seconds"}
	Minutes = Tier{Step: 60, Slots: 90 * 24 * 60, size: 256, end: ".minutes"}
	Hours   = Tier{Step: 3600, Slots: (5*365 + 2) * 24, size: 256, end: ".hours"}
)

// SizeOfSeries is what a series takes on disk when all its rings are full, in bytes: 55 MB. A line with four classes has five series
// (277 MB), four lines with eight classes each have 36 (2.0 GB).
func SizeOfSeries() (n int64) {
	for _, t := range []Tier{Seconds, Minutes, Hours} {
		n += headerSize + t.Slots*t.size
	}
	return n
}

// Series is what is kept together: a class on a line, or, without a class, the line.
type Series struct {
	Line  string `json:"line"`
	Class string `json:"class,omitempty"`
}

// mostSeries bounds the disk: 4 lines of 16 classes, and half as much again of what is no more.
const mostSeries = 100

// Store is the evidence of one gate. Its methods may be called from several goroutines.
type Store struct {
	dir string
	log *slog.Logger

	mu       sync.RWMutex
	series   map[Series]*series
	synced   int64 // minute in which the files were synced last
	syncing  atomic.Bool
	flushing sync.WaitGroup
	flush    func(*os.File) error
	told     map[string]int
	// refused are the series that could not be opened when it was tried last; what is on disk of them is left alone.
	refused map[Series]bool
}

// Open takes up what is in dir, which is made if need be. A series that cannot be opened is left as it is and said; the others are kept.
func Open(dir string, log *slog.Logger) (*Store, error) {
	if log == nil {
		log = slog.Default()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the evidence: %w", err)
	}
	s := &Store{dir: dir, log: log, series: map[Series]*series{}, told: map[string]int{}, refused: map[Series]bool{}, flush: (*os.File).Sync}
	names, err := filepath.Glob(filepath.Join(dir, "*", "*"+Seconds.end))
	if err != nil {
		return nil, fmt.Errorf("open the evidence: %w", err)
	}
	for _, n := range names {
		id, ok := seriesAt(dir, n)
		if !ok {
			continue
		}
		if _, err := s.open(id); err != nil {
			s.refused[id] = true
			log.Error("a series of the evidence cannot be used and is not kept; the others are", "line", id.Line, "class", id.Class, "error", err)
		}
	}
	return s, nil
}

// open gives the rings of a series, which are made if need be.
func (s *Store) open(id Series) (*series, error) {
	if x := s.series[id]; x != nil {
		return x, nil
	}
	if len(s.series) >= mostSeries {
		return nil, fmt.Errorf("keep evidence of class %q on line %q: %d series are kept already; remove those of lines that are no more below %s, with control stopped", id.Class, id.Line, mostSeries, s.dir)
	}
	x := &series{}
	for i, t := range []Tier{Seconds, Minutes, Hours} {
		r, aside, err := openRing(id.path(s.dir, t), t, id)
		if err != nil {
			return nil, errors.Join(err, x.close())
		}
		if aside != "" {
			s.log.Error("a file of the evidence has a damaged head: begun anew", "set_aside", aside)
		}
		x.rings[i] = r
	}
	s.series[id] = x
	return x, nil
}

// Refused is how many series are not kept since they cannot be opened.
func (s *Store) Refused() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.refused)
}

// Known lists the series that there are, by line, the line itself before its classes.
func (s *Store) Known() []Series {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Series
	for id := range s.series {
		out = append(out, id)
	}
	slices.SortFunc(out, func(a, b Series) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Class, b.Class)) })
	return out
}

// Read gives what a tier holds of the times from <= t < to, oldest first, and how many slots were damaged. A time that nothing is
// known of has no record.
func (s *Store) Read(id Series, t Tier, from, to time.Time) (records []Record, damaged int, err error) {
	s.mu.RLock()
	x := s.series[id]
	s.mu.RUnlock()
	if x == nil {
		return nil, 0, nil
	}
	r := x.rings[slices.Index([]Tier{Seconds, Minutes, Hours}, t)]
	first := floorTo(from.Unix()+t.Step-1, t.Step)
	last := to.Unix()
	for first < last {
		n := min(readAhead, (last-first+t.Step-1)/t.Step)
		s.mu.RLock() // for a piece at a time, so that whoever reads a month does not keep a second from being written
		got, bad, err := r.read(first, n)
		s.mu.RUnlock()
		if err != nil {
			return nil, 0, err
		}
		records, damaged = append(records, got...), damaged+bad
		first += n * t.Step
	}
	return records, damaged, nil
}

// readAhead is how many slots are read at once.
const readAhead = 4096

// Close writes what is begun, and closes the files.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushing.Wait() // before its files are closed
	var errs []error
	for id, x := range s.series {
		errs = append(errs, s.finish(id, x), x.sync(), x.close())
	}
	s.series = map[Series]*series{}
	return errors.Join(errs...)
}

func floorTo(at, step int64) int64 { return at - ((at%step)+step)%step }

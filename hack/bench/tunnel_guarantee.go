package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// guaranteeFigures say what each class got while all others together offered ten times the line, as fractions.
type guaranteeFigures struct {
	Mean          float64        `json:"mean"`  // of its guarantee, in the mean: the worst class and direction
	Worst         float64        `json:"worst"` // in its worst second
	Used          float64        `json:"used"`  // of the contract, counted on the line
	UnshapedMean  float64        `json:"unshaped_mean"`
	UnshapedWorst float64        `json:"unshaped_worst"`
	UnshapedUsed  float64        `json:"unshaped_used"`
	Rows          []guaranteeRow `json:"rows"`
}

// guaranteeRow is one class in one direction, in all rounds that say something about it.
type guaranteeRow struct {
	Class     string    `json:"class"`
	Direction direction `json:"direction"`
	Mean      []float64 `json:"mean"` // of each round
	Worst     []float64 `json:"worst"`
	Used      []float64 `json:"used"`
	Starved   int       `json:"starved"` // rounds in which the class offered less than its guarantee in a second: this machine, not the gate, kept it short
}

const (
	guaranteeRounds   = 2           // of each class in each direction; tried at most twice as often
	guaranteeSettle   = time.Second // bursts of the shaper and the queues have passed
	guaranteeMeasured = 8           // seconds
	timesTheLine      = 10
	aLittleMore       = 1.02 // than its guarantee is what a measured class offers, so that its pace is no limit
)

func (f *guaranteeFigures) shaped(l *tunnelLab) error {
	f.Rows = guaranteeRows()
	for range 2 * guaranteeRounds {
		if err := l.guaranteeRound(f.Rows, guaranteeRounds, guaranteeMeasured); err != nil {
			return err
		}
	}
	var err error
	f.Mean, f.Worst, f.Used, err = worstOf(f.Rows)
	return err
}

// discarded tells how many rounds do not count, and how that is known.
func (f guaranteeFigures) discarded() string {
	n, all := 0, 0
	for _, r := range f.Rows {
		n, all = n+r.Starved, all+r.Starved+len(r.Mean)
	}
	return fmt.Sprintf("%d of %d rounds discarded, in which the class's own generator offered less than the guarantee in a second", n, all)
}

func (f *guaranteeFigures) unshaped(l *tunnelLab) error {
	rows := guaranteeRows()
	for range 3 {
		if err := l.guaranteeRound(rows, 1, 2); err != nil {
			return err
		}
	}
	var err error
	f.UnshapedMean, f.UnshapedWorst, f.UnshapedUsed, err = worstOf(rows)
	return err
}

func guaranteeRows() (rows []guaranteeRow) {
	for _, c := range labClasses {
		rows = append(rows, guaranteeRow{Class: c.name, Direction: up}, guaranteeRow{Class: c.name, Direction: down})
	}
	return rows
}

// guaranteeRound measures each class in turn, in both directions at once, that has not enough rounds yet.
func (l *tunnelLab) guaranteeRound(rows []guaranteeRow, enough, seconds int) error {
	for _, c := range labClasses {
		if !slices.ContainsFunc(rows, func(r guaranteeRow) bool { return r.Class == c.name && len(r.Mean) < enough }) {
			continue
		}
		o := offer{up: {}, down: {}}
		for _, other := range labClasses {
			rate := timesTheLine * float64(l.shape.rate) / float64(len(labClasses)-1)
			if other.name == c.name {
				rate = aLittleMore * c.guarantee(l.shape.rate)
			}
			o[up][other.name], o[down][other.name] = rate, rate
		}
		t, err := l.begin(o)
		if err != nil {
			return err
		}
		time.Sleep(guaranteeSettle)
		from, before, err := l.lineCounts()
		if err != nil {
			return errors.Join(err, t.end())
		}
		time.Sleep(time.Until(from.Add(time.Duration(seconds) * time.Second)))
		to, after, err := l.lineCounts()
		if err := errors.Join(err, t.end()); err != nil {
			return err
		}
		for i := range rows {
			r := &rows[i]
			if r.Class != c.name {
				continue
			}
			tr := t.traces[r.Direction][c.name]
			r.add(tr.rates(from, time.Second, seconds), tr.offered(from, time.Second, seconds), c.guarantee(l.shape.rate),
				float64(after[r.Direction]-before[r.Direction])*8/to.Sub(from).Seconds()/float64(l.shape.rate))
		}
	}
	return nil
}

// add takes a round: what arrived and what was offered in each second, bit/s. One in which less than the guarantee was offered
// says nothing about it.
func (r *guaranteeRow) add(arrived, offered []float64, guarantee, used float64) {
	if slices.Min(offered) < guarantee {
		r.Starved++
		return
	}
	sum := 0.0
	for _, x := range arrived {
		sum += x
	}
	r.Mean = append(r.Mean, sum/float64(len(arrived))/guarantee)
	r.Worst = append(r.Worst, slices.Min(arrived)/guarantee)
	r.Used = append(r.Used, used)
}

// lineCounts is what the first line's carrier has handed on in each direction, IP bytes.
func (l *tunnelLab) lineCounts() (at time.Time, n [2]uint64, err error) {
	at = time.Now()
	for d, port := range []string{"b0", "a0"} {
		if n[d], err = counted(l.carrier, port); err != nil {
			return at, n, err
		}
	}
	return at, n, nil
}

// worstOf is the worst class and direction: of its rounds the median of means, and the worst second of all.
func worstOf(rows []guaranteeRow) (mean, worst, used float64, err error) {
	for i, r := range rows {
		if len(r.Mean) == 0 {
			return 0, 0, 0, fmt.Errorf("%s %s: its generator fell behind its pace in all of %d rounds: this machine is too busy", r.Class, r.Direction, r.Starved)
		}
		m, w, u := median(r.Mean), slices.Min(r.Worst), median(r.Used)
		if i == 0 {
			mean, worst, used = m, w, u
		}
		mean, worst, used = min(mean, m), min(worst, w), min(used, u)
	}
	return mean, worst, used, nil
}

func (f guaranteeFigures) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "beside ten times the line\tdirection\tmean of guarantee\tworst second\tline used\trounds discarded\t")
	for _, r := range f.Rows {
		fmt.Fprintf(t, "%s\t%s\t%.3f\t%.3f\t%.3f\t%d of %d\t\n", r.Class, r.Direction, median(r.Mean), slices.Min(r.Worst), median(r.Used), r.Starved, r.Starved+len(r.Mean))
	}
	return t.Flush()
}

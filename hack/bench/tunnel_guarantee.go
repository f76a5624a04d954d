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

// guaranteeRow is one class in one direction: medians of rounds.
type guaranteeRow struct {
	Class     string    `json:"class"`
	Direction direction `json:"direction"`
	Mean      []float64 `json:"mean"` // of each round
	Worst     []float64 `json:"worst"`
	Used      []float64 `json:"used"`
}

const (
	guaranteeRounds   = 3
	guaranteeSettle   = time.Second // bursts of the shaper and the queues have passed
	guaranteeMeasured = 3           // seconds
	timesTheLine      = 10
	aLittleMore       = 1.02 // than its guarantee is what a measured class offers, so that its pace is no limit
)

func (f *guaranteeFigures) shaped(l *tunnelLab) error {
	f.Rows = guaranteeRows()
	for range guaranteeRounds {
		if err := l.guaranteeRound(f.Rows, guaranteeMeasured); err != nil {
			return err
		}
	}
	f.Mean, f.Worst, f.Used = worstOf(f.Rows)
	return nil
}

func (f *guaranteeFigures) unshaped(l *tunnelLab) error {
	rows := guaranteeRows()
	err := l.guaranteeRound(rows, 2)
	f.UnshapedMean, f.UnshapedWorst, f.UnshapedUsed = worstOf(rows)
	return err
}

func guaranteeRows() (rows []guaranteeRow) {
	for _, c := range labClasses {
		rows = append(rows, guaranteeRow{Class: c.name, Direction: up}, guaranteeRow{Class: c.name, Direction: down})
	}
	return rows
}

// guaranteeRound measures each class in turn, in both directions at once.
func (l *tunnelLab) guaranteeRound(rows []guaranteeRow, seconds int) error {
	for _, c := range labClasses {
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
			perSecond := t.traces[r.Direction][c.name].rates(from, time.Second, seconds)
			sum := 0.0
			for _, x := range perSecond {
				sum += x
			}
			g := c.guarantee(l.shape.rate)
			r.Mean = append(r.Mean, sum/float64(seconds)/g)
			r.Worst = append(r.Worst, slices.Min(perSecond)/g)
			r.Used = append(r.Used, float64(after[r.Direction]-before[r.Direction])*8/to.Sub(from).Seconds()/float64(l.shape.rate))
		}
	}
	return nil
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

func worstOf(rows []guaranteeRow) (mean, worst, used float64) {
	mean, worst, used = 1e9, 1e9, 1e9
	for _, r := range rows {
		mean, worst, used = min(mean, median(r.Mean)), min(worst, median(r.Worst)), min(used, median(r.Used))
	}
	return mean, worst, used
}

func (f guaranteeFigures) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "beside ten times the line\tdirection\tmean of guarantee\tworst second\tline used\t")
	for _, r := range f.Rows {
		fmt.Fprintf(t, "%s\t%s\t%.3f\t%.3f\t%.3f\t\n", r.Class, r.Direction, median(r.Mean), median(r.Worst), median(r.Used))
	}
	return t.Flush()
}

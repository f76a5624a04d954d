package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// delayFigures are the 99th percentiles of the way between station and application in the class core, ms, in each direction.
type delayFigures struct {
	Idle     [2]float64 `json:"idle"` // up, down
	Flooded  [2]float64 `json:"flooded"`
	Median   [2]float64 `json:"median"`   // flooded, the 50th
	Unshaped [2]float64 `json:"unshaped"` // flooded
}

const (
	delayRounds = 5
	delaySpan   = 2 * time.Second
	coreOffered = 10e6 // bit/s of the class core while it is timed
	backupTimes = 1.3  // what a backup offers, of the line: its queue stands, and what it drops costs little of this machine
)

// added is what a flood adds, ms: the worse direction.
func (f delayFigures) added() float64 {
	return max(f.Flooded[up]-f.Idle[up], f.Flooded[down]-f.Idle[down])
}

func (f delayFigures) addedUnshaped() float64 {
	return max(f.Unshaped[up]-f.Idle[up], f.Unshaped[down]-f.Idle[down])
}

func (f *delayFigures) shaped(l *tunnelLab) error {
	for _, d := range []direction{up, down} {
		var idle, flooded, middle []float64
		for range delayRounds {
			for _, flood := range []bool{false, true} {
				p50, p99, err := l.delay(d, flood)
				if err != nil {
					return err
				}
				if flood {
					flooded, middle = append(flooded, p99), append(middle, p50)
				} else {
					idle = append(idle, p99)
				}
			}
		}
		f.Idle[d], f.Flooded[d], f.Median[d] = median(idle), median(flooded), median(middle)
	}
	return nil
}

func (f *delayFigures) unshaped(l *tunnelLab) (err error) {
	for _, d := range []direction{up, down} {
		if _, f.Unshaped[d], err = l.delay(d, true); err != nil {
			return err
		}
	}
	return nil
}

// delay times the class core in a direction, ms, alone or beside a flood of the same direction.
func (l *tunnelLab) delay(d direction, flood bool) (p50, p99 float64, err error) {
	o := offer{d: {"core": coreOffered}}
	if flood {
		o[d]["backup"] = backupTimes * float64(l.shape.rate)
	}
	t, err := l.begin(o)
	if err != nil {
		return 0, 0, err
	}
	time.Sleep(time.Second)
	from := time.Now()
	time.Sleep(delaySpan)
	to := time.Now()
	if err := t.end(); err != nil {
		return 0, 0, err
	}
	a, err1 := t.traces[d]["core"].took(from, to, 0.5)
	b, err2 := t.traces[d]["core"].took(from, to, 0.99)
	return a.Seconds() * 1e3, b.Seconds() * 1e3, errors.Join(err1, err2)
}

func (f delayFigures) print(w io.Writer) error {
	var errs []error
	for _, d := range []direction{up, down} {
		_, err := fmt.Fprintf(w, "core on its way %s, ms: idle p99 %.2f; beside a backup p50 %.2f, p99 %.2f; unshaped p99 %.1f\n", d, f.Idle[d], f.Median[d], f.Flooded[d], f.Unshaped[d])
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// pageFigures are the seconds that a page takes to come down.
type pageFigures struct {
	Idle     float64 `json:"idle"`
	Flooded  float64 `json:"flooded"`
	Unshaped float64 `json:"unshaped"` // flooded; pageLimit when it was not done by then
}

const (
	pageRounds  = 5
	pageObjects = 200
	pageTakers  = 6 // connections
	pageLimit   = 10 * time.Second
)

// objectSizes are spread evenly over the powers between 2 and 200 kB; the same in every run.
func objectSizes() []int {
	r := rand.New(rand.NewPCG(200, 2))
	sizes := make([]int, pageObjects)
	for i := range sizes {
		sizes[i] = int(2000 * math.Pow(100, r.Float64()))
	}
	return sizes
}

func (f *pageFigures) shaped(l *tunnelLab) error {
	var idle, flooded []float64
	for range pageRounds {
		for _, flood := range []bool{false, true} {
			took, err := l.page(flood)
			if err != nil {
				return err
			}
			if flood {
				flooded = append(flooded, took.Seconds())
			} else {
				idle = append(idle, took.Seconds())
			}
		}
	}
	f.Idle, f.Flooded = median(idle), median(flooded)
	return nil
}

func (f *pageFigures) unshaped(l *tunnelLab) error {
	took, err := l.page(true)
	f.Unshaped = took.Seconds()
	return err
}

// servePages answers at the application: the path says how many bytes.
func (l *tunnelLab) servePages() (stop func(), err error) {
	s, err := l.listen(labClasses[0].tcp)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil || n < 0 || n > 1<<20 {
			http.Error(w, "how many bytes?", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(n))
		w.Write(make([]byte, n))
	})}
	go server.Serve(s)
	return func() { server.Close() }, nil
}

// page fetches all objects, in fresh connections.
func (l *tunnelLab) page(flood bool) (time.Duration, error) {
	stop, err := l.servePages()
	if err != nil {
		return 0, err
	}
	defer stop()
	o := offer{}
	if flood {
		o = offer{down: {"backup": backupTimes * float64(l.shape.rate)}}
	}
	t, err := l.begin(o)
	if err != nil {
		return 0, err
	}
	time.Sleep(time.Second)
	took, err := l.fetchAll(objectSizes())
	return took, errors.Join(err, t.end())
}

func (l *tunnelLab) fetchAll(sizes []int) (time.Duration, error) {
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return l.dial(labClasses[0].tcp) }, MaxConnsPerHost: pageTakers, MaxIdleConnsPerHost: pageTakers}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}
	begin := time.Now()
	client.Timeout = pageLimit
	todo := make(chan int, len(sizes))
	for _, n := range sizes {
		todo <- n
	}
	close(todo)
	errs := make([]error, pageTakers)
	var takers sync.WaitGroup
	for i := range pageTakers {
		takers.Go(func() {
			for n := range todo {
				if errs[i] == nil && time.Since(begin) < pageLimit {
					errs[i] = fetch(&client, n)
				}
			}
		})
	}
	takers.Wait()
	if took := time.Since(begin); took < pageLimit {
		return took, errors.Join(errs...)
	}
	return pageLimit, nil // that is the figure
}

func fetch(c *http.Client, n int) error {
	r, err := c.Get(fmt.Sprintf("http://%s/%d", labApp, n))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	got, err := io.Copy(io.Discard, r.Body)
	if err == nil && got != int64(n) {
		err = fmt.Errorf("%d bytes of an object of %d", got, n)
	}
	return err
}

func (f pageFigures) without() string {
	if f.Unshaped >= pageLimit.Seconds() {
		return "not within " + pageLimit.String()
	}
	return figure(f.Unshaped) + " s"
}

package tunlab

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/tunnel/lending"
)

// Two regions share one line downstream: what one leaves the other has, what it wants back it has within a second, and the line
// is never asked for more than its contract.
func TestIdleRegionLendsAndHasItBack(t *testing.T) {
	const line = 20 * mbit
	l := New(t, Config{Lines: []Line{{line, line}}, Regions: []string{"tokyo", "osaka"}, Classes: classes(line), Far: far1(t)})
	lender := lending.New(l.Set)
	lender.Plan(l.Plans)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		lender.Run(ctx)
	}()
	defer func() { stop(); <-done }()

	flow := func(region int) Flow { return Flow{Region: region, Class: 3, Down: true, Size: 1300, Rate: 2 * line} }
	tokyo, osaka := l.Receive(t, flow(0)), l.Receive(t, flow(1))
	again(t, func() (complaints []string) {
		worst := 0.0 // most that came to the line within a second
		watch := func(seconds int) {
			for range seconds {
				before, at := l.Offered(t, 0, true), time.Now()
				time.Sleep(time.Second)
				worst = max(worst, float64(l.Offered(t, 0, true)-before)*8/time.Since(at).Seconds()/line)
			}
		}
		both, halt := context.WithCancel(ctx)
		defer halt()
		var senders sync.WaitGroup
		l.Send(t, both, &senders, flow(0))
		time.Sleep(2500 * time.Millisecond) // it asks for more, and is lent it
		start := time.Now()
		watch(3)
		mean, _ := tokyo.Given(start, 3)
		if mean < 0.85*line {
			complaints = append(complaints, fmt.Sprintf("a region alone is given %.3f of the line, want at least 0.85: the other one's share lies idle", mean/line))
		}
		back := time.Now()
		l.Send(t, both, &senders, flow(1))
		watch(4)
		mean, low := osaka.Given(back.Add(time.Second), 3)
		if mean < 0.95*line/2 || low < 0.95*line/2 {
			complaints = append(complaints, fmt.Sprintf("one second after it began, the other region is given %.3f, in the worst second %.3f of its share; bytes a second: %v of %d", mean/(line/2), low/(line/2), osaka.Seconds(back, 4), int(line)/16))
		}
		if worst > 1.01 {
			complaints = append(complaints, fmt.Sprintf("%.4f of the contract came to the line within a second", worst))
		}
		halt()
		senders.Wait()
		return complaints
	})
}

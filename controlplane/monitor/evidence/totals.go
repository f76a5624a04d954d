package evidence

// Totals count what was kept of a series since this program started, for metrics.
type Totals struct {
	Last            Record // the newest second
	UpBytes         uint64
	DownBytes       uint64
	Up, Down        [verdicts]uint64 // seconds by verdict
	Sent, Lost      uint64           // probes
	UpFor, Degraded uint64           // seconds of the line
	DownFor         uint64
}

func (t *Totals) add(r Record) {
	t.Last = r
	t.UpBytes += r.Up.Bytes
	t.DownBytes += r.Down.Bytes
	t.Up[r.Up.Verdicts[0]]++
	t.Down[r.Down.Verdicts[0]]++
	t.Sent += uint64(r.Sent)
	t.Lost += uint64(r.Lost)
	t.UpFor += uint64(r.UpFor)
	t.Degraded += uint64(r.Degraded)
	t.DownFor += uint64(r.DownFor)
}

// Totals gives those of every series that had a sample since the start.
func (s *Store) Totals() map[Series]Totals {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := map[Series]Totals{}
	for id, x := range s.series {
		if x.totals.Last.At != 0 {
			out[id] = x.totals
		}
	}
	return out
}

// Verdicts are all there are, for who goes through them.
func Verdicts() (all []Verdict) {
	for v := NotKnown; v < verdicts; v++ {
		all = append(all, v)
	}
	return all
}

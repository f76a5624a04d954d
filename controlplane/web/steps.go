package web

// Step is one stage of the way that is drawn for a transfer.
type Step struct {
	Name string // key step.NAME
	Mark string // done, now, failed, todo: also the CSS class
}

// Way is a transfer as people see it: five stages and one sentence that says what happens next.
type Way struct {
	Steps []Step
	Busy  bool // the gate is at work: the page fetches itself again
}

var stages = []string{"received", "sanitize", "verify", "approve", "release"}

// steps draws the way of a transfer.
func steps(t Transfer) Way {
	at, mark, busy := 1, "now", true
	switch t.State {
	case Received, Scanned:
	case Sanitized:
		at = 2
	case Verified, Awaiting:
		at, busy = 3, t.State == Verified
	case Released, Expired:
		at, mark, busy = 4, "done", false
	case Rejected:
		at, mark, busy = 3, "failed", false
	case Cancelled:
		mark, busy = "failed", false
		if t.reached(Verified) {
			at = 3
		}
	case Blocked:
		mark, busy = "failed", false
		if t.reached(Sanitized) {
			at = 2
		}
	default:
		at, busy = 0, false
	}
	w := Way{Busy: busy}
	for i, name := range stages {
		m := "todo"
		if i < at {
			m = "done"
		} else if i == at {
			m = mark
		}
		w.Steps = append(w.Steps, Step{name, m})
	}
	return w
}

func (t Transfer) reached(st State) bool {
	for _, h := range t.History {
		if h.State == st {
			return true
		}
	}
	return false
}

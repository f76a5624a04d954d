package gate

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// Alarms are in the log once a minute and device; other events are not.
func TestAlarmsAreLogged(t *testing.T) {
	var out bytes.Buffer
	log, said := slog.New(slog.NewTextHandler(&out, nil)), map[string]time.Time{}
	at := time.Unix(1000, 0)
	for _, e := range []packet.Event{
		{Time: at, Reason: "no-cell", Port: "mn0"},
		{Time: at, Notice: "mac-moved", Port: "mn0", SMAC: packet.MAC{2, 0, 0, 0, 0, 1}, Known: packet.MAC{2, 0, 0, 0, 0, 2}},
		{Time: at.Add(59 * time.Second), Notice: "mac-moved", Port: "mn0"},
		{Time: at.Add(59 * time.Second), Notice: "mac-moved", Port: "lg0"},
		{Time: at.Add(60 * time.Second), Notice: "mac-moved", Port: "mn0"},
		{Time: at, Reason: "duplicate-address", Port: "mn0"},
		{Time: at, Reason: "flow-table-full", Port: "mn0"},
	} {
		tell(log, said, e)
	}
	if n := strings.Count(out.String(), "raises an alarm"); n != 5 || !strings.Contains(out.String(), "mac=02:00:00:00:00:01 known=02:00:00:00:00:02") {
		t.Errorf("%d alarms, want 5:\n%s", n, out.String())
	}
}

package gate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
)

// An answer is bounded, and a caller that goes on from where it ended misses nothing and gets nothing twice.
func TestMeasuresAreReadInPieces(t *testing.T) {
	g := &Gate{}
	start := time.Unix(1_800_000_000, 0)
	for i := range 302 {
		g.measured.Take(start.Add(time.Duration(i)*time.Second), []measure.Reading{{Line: "line-a", Device: "wg0"}})
	}
	ask := func(query string) (code int, out []measure.Sample) {
		w := httptest.NewRecorder()
		g.getMeasures(w, httptest.NewRequest(http.MethodGet, "/measures?"+query, nil))
		if w.Code == http.StatusOK {
			if err := json.NewDecoder(w.Body).Decode(&out); err != nil {
				t.Fatal(err)
			}
		}
		return w.Code, out
	}
	query, at := fmt.Sprintf("since=%d", start.Unix()+100), start.Unix()+100
	for {
		_, got := ask(query)
		if len(got) == 0 {
			break
		}
		if len(got) > mostSeconds {
			t.Fatalf("%d seconds at once", len(got))
		}
		for _, s := range got {
			if s.At != at {
				t.Fatalf("second %d, want %d", s.At, at)
			}
			at++
		}
		last := got[len(got)-1]
		query = fmt.Sprintf("run=%d&after=%d", last.Run, last.Seq)
	}
	if at != start.Unix()+301 {
		t.Errorf("ended at second %d, want 301", at-start.Unix())
	}
	for _, bad := range []string{"since=x", "run=1", "after=5", "run=-1&after=2", "run=4294967296&after=1"} {
		if code, _ := ask(bad); code != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", bad, code)
		}
	}
}

package gate

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// Control may ask for counters and flows, but not read along.
func TestCapturesAreForRootAlone(t *testing.T) {
	w := httptest.NewRecorder()
	(&Gate{}).Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/capture?snap=64&packets=1&bytes=10000&time=1s", nil))
	if w.Code != http.StatusForbidden {
		t.Errorf("somebody who is not root: %d %s", w.Code, w.Body)
	}
}

func TestCaptureQueryReadsBack(t *testing.T) {
	want := packet.CaptureOptions{Filter: packet.CaptureFilter{Verdict: "dropped", Segment: "mn-office", Record: "a b&c", Reason: "no-cell", Hook: "xdp"},
		Snap: 300, Packets: 7, Bytes: 1 << 20, Time: 90 * time.Second}
	q, err := url.ParseQuery(CaptureQuery(want).Encode())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := captureOptions(q); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

// What fails before the first flush can still be answered as a failure; what was written first is not lost.
func TestAStreamBeginsWhenItIsFlushed(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := &stream{w: w}
		s.Write([]byte("held"))
		if r.URL.Path == "/flushed" {
			s.Flush()
			s.Write(make([]byte, streamHolds+1))
		}
		if !s.begun {
			answer(w, http.StatusConflict, failure{Error: "no"})
		}
	}))
	defer srv.Close()
	for path, want := range map[string]struct {
		code int
		size int64
	}{"/flushed": {200, streamHolds + 5}, "/failed": {409, 0}} {
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		n := int64(0)
		buf := make([]byte, 1<<20)
		for {
			m, err := resp.Body.Read(buf)
			n += int64(m)
			if err != nil {
				break
			}
		}
		resp.Body.Close()
		if resp.StatusCode != want.code || (want.size != 0 && n != want.size) {
			t.Errorf("%s: %d with %d bytes, want %+v", path, resp.StatusCode, n, want)
		}
	}
}

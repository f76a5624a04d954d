package main

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// A connection outlives a new start of the gate, which knows no flows then, where the anchors give it time for that, and its
// record still permits it.
func TestConnectionsArePickedUpAfterAStart(t *testing.T) {
	w := newTownOf(t, bytes.Replace(examples.Lab, []byte("model: alpha\n"), []byte("model: alpha\npick-up-seconds: 600\n"), 1))
	handleTCP(t, "lg-asp", "198.18.21.11:443", func(c net.Conn) { io.Copy(c, c) })
	w.start(t)
	w.mustApply(t, w.compile(t))
	var conn net.Conn
	netlab.Do(t, "mn-pc1", func() (err error) {
		conn, err = net.DialTimeout("tcp", "198.18.21.11:443", 10*time.Second)
		return err
	})
	defer conn.Close()
	answered := func(word string, patience time.Duration) bool {
		t.Helper()
		if _, err := io.WriteString(conn, word); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, len(word))
		_, err := io.ReadFull(conn, b)
		return err == nil && string(b) == word
	}
	if !answered("before", 5*time.Second) {
		t.Fatal("an allowed connection does not pass")
	}
	again := func() {
		t.Helper()
		w.stop(t)
		w.sub(t, "remove", "--name", string(w.instance))
		w.start(t)
	}
	again()
	if !answered("after", 20*time.Second) {
		t.Error("the connection was not picked up")
	}
	w.cfg.PickUp = 0
	w.writeAnchors(t, w.cfg)
	again()
	if answered("never", 2*time.Second) {
		t.Error("the connection was picked up though the anchors give no time for that")
	}
}

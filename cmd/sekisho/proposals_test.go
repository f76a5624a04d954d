package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/config/revision"
)

// Whoever approves reads what a new record says and what passes by it, and no other text than the one that is approved.
func TestApproverSeesWhatIsAdded(t *testing.T) {
	lab, err := os.ReadFile(exampleDir + "lab.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(lab), inTheMiddle, inTheMiddle+"  - {id: quick, from: {stations: [mn-pc2]}, to: {services: [eltax]}, ports: [], purpose: 保守, owner: 住民課}\n", 1)
	sum := sha256.Sum256([]byte(text))
	l := looked{Proposal: revision.Proposal{Number: 1, Parent: 1, Text: hex.EncodeToString(sum[:]), State: revision.Open}, Text: text, Before: string(lab)}
	var out bytes.Buffer
	if err := l.print("en", &out, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Newly permitted", "communications quick added", "from: {stations: [mn-pc2]}", "to: {services: [eltax]}", "ports: []", "owner: 住民課"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not shown:\n%s", want, out.String())
		}
	}
	out.Reset()
	l.Before = "{version: 1}\n" // no form that can be cut into entries
	if err := l.print("en", &out, &out); err != nil || !strings.Contains(out.String(), "- {id: quick,") {
		t.Errorf("%v: the text is not shown:\n%s", err, out.String())
	}
	out.Reset()
	l.Text += "# another\n"
	if err := l.print("en", &out, &out); err == nil || out.Len() > 0 {
		t.Errorf("shown as the proposal's, and is not: %v %s", err, out.String())
	}
}

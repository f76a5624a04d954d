package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/controlplane/policy/proven"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// keyFields is which field's cell a key of a communication comes from.
var keyFields = map[string]Field{"id": ID, "name": Name, "state": State, "from": From, "to": To, "ports": Ports, "class": Class, "purpose": Purpose, "basis": Basis,
	"owner": Owner, "approved": ApprovedOn, "since": Since, "until": Until, "review": Review, "window": Window}

// check holds the new document against everything that the gate would: its own checks, that it means what the ledger says, the
// compiler, and both proofs. What goes back to the ledger is told by its cell and refused there.
func (im *importer) check(doc []byte, lay *layout) bool {
	cfg, errs := config.Parse(doc)
	if errs != nil {
		for _, e := range errs {
			list, id, key := lay.find(e.Line)
			if !im.blame(list, id, key, "check.document", e.Message) {
				im.report.Faults = append(im.report.Faults, Note{Code: "check.other", Args: []string{fmt.Sprintf("%d:%d", e.Line, e.Column), e.Message}})
			}
		}
		return false
	}
	if !bytes.Equal(meaning(cfg), meaning(im.next)) { // the text was changed in another way than meant
		im.report.Faults = append(im.report.Faults, Note{Code: "edit.layout", Args: []string{"communications"}})
		return false
	}
	a := im.o.Anchors
	if a == nil {
		a = policy.Anchors(cfg)
	}
	g, err := proven.Compile(cfg, a, policy.Compile)
	if err != nil {
		im.report.Faults = append(im.report.Faults, Note{Code: "check.compile", Args: []string{err.Error()}})
		return false
	}
	for _, v := range g.Isolation {
		told := false
		for _, id := range v.Records {
			told = im.blame("communications", id, "to", "check.proof", v.Invariant, v.Message, packetOf(v)) || told
		}
		if !told {
			im.report.Faults = append(im.report.Faults, Note{Code: "check.proof", Args: []string{v.Invariant, v.Message, packetOf(v)}})
		}
	}
	for _, v := range g.Equality { // no row's fault
		im.report.Faults = append(im.report.Faults, Note{Code: "check.equal", Args: []string{v.Message, packetOf(v)}})
	}
	return len(g.Isolation)+len(g.Equality) == 0
}

// packetOf is the counterexample of a violation, for a message.
func packetOf(v proof.Violation) string {
	if v.Counterexample == nil {
		return "-"
	}
	return v.Counterexample.String()
}

// blame refuses the record of an entry of the document, by the cell that it comes from. false: the ledger did not bring it.
func (im *importer) blame(list, id, key, code string, args ...string) bool {
	var r *rows
	var e *entry
	f := keyFields[key]
	switch list {
	case "communications":
		if r = im.ours[id]; r != nil {
			e = r.list[0]
		}
	case "stations", "services", "windows":
		k := kind(list[:len(list)-1])
		if e = im.brought[ref{k, id}]; e == nil {
			return false
		}
		f = map[kind]Field{station: FromIP, service: ToIP, "window": Window}[k]
		for _, x := range im.records {
			for _, y := range x.list {
				if y == e {
					r = x
				}
			}
		}
	}
	if r == nil || f == "" {
		if r == nil {
			return false
		}
		f = ID
	}
	e.said.Faults = append(e.said.Faults, Note{e.where(f), code, args})
	r.refused = true
	return true
}

// meaning is a document's content without its layout.
func meaning(c *config.Config) []byte {
	b, err := json.Marshal(c)
	if err != nil {
		return nil
	}
	return bytes.ReplaceAll(b, []byte(":null"), []byte(":[]"))
}

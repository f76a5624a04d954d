// Package verdict holds what sandboxes, broker, release and control say to each other about one file. Types only: the
// sanitizer and the verifier share no parser, and this package has none.
package verdict

import (
	"crypto/ed25519"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Outcome of a worker.
type Outcome string

const (
	Clean   Outcome = "clean"
	Blocked Outcome = "blocked"
	Asks    Outcome = "asks" // of a call, never of a file: Needs have to be answered first
)

// Action that was taken for a finding.
type Action string

const (
	Removed  Action = "removed"
	Changed  Action = "changed"
	Reported Action = "reported"
	Refused  Action = "refused" // the reason for a block
)

// Finding is one thing that a reader should know. Text is made by the catalogue from Code; Detail is bounded and escaped
// because it may hold the attacker's words.
type Finding struct {
	Code   string `json:"code"`            // "ooxml.vba", "jpeg.gps", "type.mismatch": a key of the message catalogue
	Place  string `json:"place,omitempty"` // part, sheet, page, line
	Action Action `json:"action"`
	Count  int    `json:"count,omitempty"`
	Detail string `json:"detail,omitempty"` // at most 200 characters, printable
}

// Digest names bytes.
type Digest struct {
	SHA256 string `json:"sha256"` // lower-case hexadecimal
	Size   int64  `json:"size"`   // bytes
}

// Preview is what the approver looks at. Text, at most 4000 characters, or a raw image of Width x Height RGBA encoded outside
// the sandbox.
type Preview struct {
	Text   string `json:"text,omitempty"`
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
	RGBA   []byte `json:"rgba,omitempty"`
}

// Report is a worker's answer. Version 1; report.schema.json tells what a reader may rely on, and within a version only optional
// fields come. What a worker cannot know of itself is filled in outside of its sandbox.
type Report struct {
	Version  int       `json:"version"`
	Name     string    `json:"name"`               // as sent
	OutName  string    `json:"out_name,omitempty"` // a macro kind becomes its plain kind
	Kind     string    `json:"kind,omitempty"`     // family of the original: doc, docx, pdf …
	Family   string    `json:"family,omitempty"`   // of the result: text, csv, png, jpeg, docx, xlsx, pptx …
	Outcome  Outcome   `json:"outcome"`
	Findings []Finding `json:"findings"`
	Before   Digest    `json:"before"`
	After    *Digest   `json:"after,omitempty"`
	Original *Preview  `json:"original,omitempty"`
	Result   *Preview  `json:"result,omitempty"`
	Engine   string    `json:"engine"`
	Helpers  []string  `json:"helpers,omitempty"` // programs that worked on the file, with their versions, and the tree that they come from
	Needs    []Need    `json:"needs,omitempty"`

	Verifier string    `json:"verifier,omitempty"`        // engine and version of the second opinion, when it was asked
	Policy   string    `json:"policy_revision,omitempty"` // SHA-256 of the routes file that the file was held to
	Began    time.Time `json:"began,omitzero"`            // UTC
	Took     int64     `json:"took_ms,omitempty"`         // milliseconds, of all sandboxes together with waiting for them
}

// ReportSchema is the JSON Schema (draft 2020-12) of what `sekisho sanitize --report` writes.
//
//go:embed report.schema.json
var ReportSchema []byte

// Attestation is what the verifier vouches for: these bytes, rebuilt from that original, passed for that route.
type Attestation struct {
	Transfer        string    `json:"transfer"`
	OriginalSHA256  string    `json:"original_sha256"`
	SanitizedSHA256 string    `json:"sanitized_sha256"`
	Name            string    `json:"name"` // name to release under
	Size            int64     `json:"size"`
	From            string    `json:"from"` // zone names
	To              string    `json:"to"`
	PolicyRevision  string    `json:"policy_revision"`
	Verifier        string    `json:"verifier"` // engine and version
	Time            time.Time `json:"time"`
}

// Signed is a JSON statement with an Ed25519 signature over its exact bytes, prefixed by Kind and a zero byte.
type Signed struct {
	Kind      string          `json:"kind"` // "attestation", "approval"
	Statement json.RawMessage `json:"statement"`
	Signature []byte          `json:"signature"`
}

// Sign makes a signed statement of the kind.
func Sign(key ed25519.PrivateKey, kind string, statement any) (Signed, error) {
	b, err := json.Marshal(statement)
	if err != nil {
		return Signed{}, fmt.Errorf("sign %s: %w", kind, err)
	}
	return Signed{Kind: kind, Statement: b, Signature: ed25519.Sign(key, message(kind, b))}, nil
}

// ErrSignature is answered for any statement that its key did not sign.
var ErrSignature = errors.New("signature does not match")

// Open checks kind and signature and decodes the statement into v.
func (s Signed) Open(key ed25519.PublicKey, kind string, v any) error {
	if s.Kind != kind || len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, message(kind, s.Statement), s.Signature) {
		return fmt.Errorf("open %s: %w", kind, ErrSignature)
	}
	if err := json.Unmarshal(s.Statement, v); err != nil {
		return fmt.Errorf("open %s: %w", kind, err)
	}
	return nil
}

func message(kind string, b []byte) []byte { return append(append([]byte("sekisho "+kind), 0), b...) }

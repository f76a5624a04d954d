package verdict

import "time"

// Approval is what a section head said about one sanitized file. Release writes and signs it after it has checked the
// passphrase itself; the kind of the signed statement is KindApproval.
type Approval struct {
	Transfer        string    `json:"transfer"`
	SanitizedSHA256 string    `json:"sanitized_sha256"`
	From            string    `json:"from"` // zone names
	To              string    `json:"to"`
	PolicyRevision  string    `json:"policy_revision"`
	Person          string    `json:"person"`
	Section         string    `json:"section"`
	Role            string    `json:"role"`
	Reason          string    `json:"reason,omitempty"`
	Time            time.Time `json:"time"`
}

// Kinds of signed statements.
const (
	KindAttestation = "attestation"
	KindApproval    = "approval"
)

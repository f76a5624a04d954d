// Package release holds every file that crosses between zones, encrypted, and gives bytes out only on proof.
//
// Problem: the control daemon is large, speaks to browsers and decides nothing that may be trusted; yet somebody has to hold
// the files. Mechanism: this daemon alone has the keys. It lets a file out to the portal of the destination zone when the
// verifier's signature covers exactly the stored bytes, a route in a root-owned file joins the two zones, and every approval
// that this route demands was given to this daemon by a person whose passphrase it checked itself. Control can put files in,
// look at their state and erase them; it can't read, approve or release.
//
// Attestation and approval count under the routes file that they were given under, named by its SHA-256, and no longer: after any
// change of that file a file that waits has to be checked and approved anew.
//
// Life cycle: received (original stored), sanitized (rebuilt bytes and attestation stored by the broker), approved, released
// any number of times until it expires, erased. Keys of files are random, wrapped by a period key that is overwritten when it
// rotates, so erased files stay erased in backups of the disk.
//
// While people have cut a zone off (package isolation), nothing is shown, approved or given out from or to it; release reads that
// itself in root's record. What waits goes on waiting, and is as it was when the zone is given back.
//
// Invariants: F1 (no route joins My Number and internet), F3 (nothing leaves that the verifier did not sign), F4 (every doubt
// is a no), F5 (prior approval on every route that leaves a protected zone). Each is checked when bytes go out, not only when
// they come in. An accepted file survives a kill at any point; a half-written one is never seen.
package release

import (
	_ "embed"
	"fmt"
	"net/http"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

//go:embed codes.json
var codesJSON []byte

// Sentences tell a clerk what the codes of this package mean.
var Sentences = verdict.NewCatalogue(codesJSON)

// Refusal is a "no" with a code for the message catalogue.
type Refusal struct {
	Code   string // "approval-missing": a key of the message catalogue
	Status int    // HTTP status
	Text   string // for logs, English
	Wait   int    // seconds until it is worth trying again; only with CodeThrottled
}

func (r *Refusal) Error() string { return r.Text }

// Codes of refusals.
const (
	CodeRole             = "release.role"             // this user may not do that
	CodeRequest          = "release.request"          // malformed request
	CodeUnknown          = "release.unknown"          // no such transfer
	CodeExists           = "release.exists"           // that transfer number was used before
	CodeForbiddenPair    = "release.forbidden-pair"   // F1
	CodeNoRoute          = "release.no-route"         // no root-owned route joins these zones
	CodeFormat           = "release.format"           // the route does not admit that kind of file
	CodeTooLarge         = "release.too-large"        // over the route's limit
	CodeAttestation      = "release.attestation"      // the verifier did not sign that
	CodeNotShown         = "release.not-shown"        // no pages were drawn, or no report was left
	CodeNotSanitized     = "release.not-sanitized"    // nothing to look at or to release yet
	CodeFixed            = "release.fixed"            // the approved bytes can't be replaced
	CodeApprovalMissing  = "release.approval-missing" // an approval that the route demands is missing
	CodeOwnRequest       = "release.own-request"      // nobody approves their own request
	CodePassphrase       = "release.passphrase"       // wrong passphrase, or nobody of that name may approve here
	CodeThrottled        = "release.throttled"        // too many wrong passphrases
	CodeHashMismatch     = "release.hash-mismatch"    // the approval names other bytes than the stored ones
	CodeExpired          = "release.expired"          // kept long enough
	CodeApproved         = "release.approved"         // not erased: an approval came that control has not recorded
	CodeErased           = "release.erased"           // erased
	CodeDamaged          = "release.damaged"          // stored bytes do not fit their hash or key
	CodeNotSectionMember = "release.not-section-head" // approver of another section
	CodeSection          = "release.section"          // the route wants a section head, and the request names no section
	CodeRevision         = "release.revision"         // checked or approved under other routes than the present ones
	CodeSetting          = "release.setting"          // a root-owned file is missing, wrong or writable by others
	CodeZone             = "release.zone"             // that portal serves another zone
	CodeIsolated         = "release.isolated"         // people have cut off one of the two zones: the file waits
	CodeError            = "release.error"            // a fault of release or of the disk
)

func refuse(status int, code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Status: status, Text: fmt.Sprintf(format, args...)}
}

func unknown(id string) *Refusal {
	return refuse(http.StatusNotFound, CodeUnknown, "transfer %s: not here", id)
}

func erased(id string) *Refusal {
	return refuse(http.StatusGone, CodeErased, "%s: erased", id)
}

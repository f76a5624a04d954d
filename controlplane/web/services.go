package web

import (
	"context"
	"io"
	"time"

	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/packet/stones"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Services is what the pages need from the rest of the control plane. Every method is told the zone of the socket that the
// request came in by; that word is the kernel's, not the browser's, and implementers must decide by it.
//
// An error that has a method Code() string is shown as the catalogue's text "error.CODE"; the codes are listed below. Any
// other error is logged and shown as "something failed here, it was recorded".
type Services struct {
	People    People
	Transfers Transfers
	Monitor   Monitor // management zone only; nil elsewhere
	Audit     Audit   // management zone only; nil elsewhere

	Emergency Emergency // management zone only; nil elsewhere
	Book      Book      // management zone only; nil elsewhere
	Differ    Differ    // nil: nobody can tell

	Stones func() ([]stones.Stone, error) // of the head; nil: nobody can tell
	Usage  func() policy.Usage            // of records and stations; nil: nobody watches

	Faults   Faults   // management zone only; nil: nobody can look
	Evidence Evidence // of what lines were given; nil: nobody keeps any
}

// Codes of the errors that a person can do something about. A service wraps its error in a type with Code() string, or
// uses Refuse.
const (
	CodeSignIn       = "sign-in"        // unknown name, wrong password, or not for this zone: one text for all three
	CodeThrottled    = "throttled"      // too many tries; wait
	CodeSession      = "session"        // no session, or it ended: the page goes to sign-in
	CodePasswordOld  = "password-old"   // the current password is wrong
	CodePasswordWeak = "password-weak"  // too short, or the same as before, or the one-time one
	CodeNotFound     = "not-found"      // no such transfer, or not for this person: one text for both
	CodeForbidden    = "forbidden"      // the role may not do that
	CodeOwn          = "own-request"    // nobody decides about their own request
	CodeState        = "state"          // the transfer is no longer in a state that allows it
	CodeApproved     = "approved"       // too late to cancel: it is released
	CodeRoute        = "route"          // no transfer route between these zones
	CodeTooLarge     = "too-large"      // over the route's max-size
	CodeReason       = "reason-missing" // a rejection needs a reason
	CodeEmpty        = "empty"          // a file without bytes
	CodePasswords    = "passwords"      // of a file: too many, too long, or no text that can be typed
	CodeUnavailable  = "unavailable"    // broker, release or dataplane does not answer: nothing was lost, try later
)

// Refusal is an error that a person can act on.
type Refusal struct {
	Why   string // one of the codes above
	Cause error  // for the log; may be nil
}

// Refuse makes a Refusal.
func Refuse(code string, cause error) error { return &Refusal{Why: code, Cause: cause} }

func (r *Refusal) Code() string  { return r.Why }
func (r *Refusal) Unwrap() error { return r.Cause }
func (r *Refusal) Error() string {
	if r.Cause != nil {
		return r.Why + ": " + r.Cause.Error()
	}
	return r.Why
}

// Role of a person.
type Role string

const (
	Staff       Role = "staff"
	SectionHead Role = "section-head"
	ITAdmin     Role = "it-admin"
	Auditor     Role = "auditor"
)

// Person is who is signed in, or who did something.
type Person struct {
	ID         string         `json:"person"`
	Name       string         `json:"name"`
	Section    string         `json:"section"` // name to show
	Role       Role           `json:"role"`
	Zones      []anchors.Zone `json:"zones"`
	MustChange bool           `json:"must_change,omitempty"` // the password is a one-time one: every page leads to changing it
}

// People signs in and out.
type People interface {
	SignIn(ctx context.Context, zone anchors.Zone, user, password string) (token string, p Person, err error)
	Session(ctx context.Context, zone anchors.Zone, token string) (Person, error)
	SignOut(ctx context.Context, zone anchors.Zone, token string) error
	// ChangePassword ends every session of the person and opens a new one, whose token it gives.
	ChangePassword(ctx context.Context, zone anchors.Zone, token, old, new string) (string, error)
}

// State of a transfer, as in the design ("Files").
type State string

const (
	Received  State = "received"
	Scanned   State = "scanned"
	Sanitized State = "sanitized"
	Verified  State = "verified"
	Awaiting  State = "awaiting-approval"
	Released  State = "released" // approved; the destination zone may download it until Expires
	Expired   State = "expired"
	Blocked   State = "blocked"
	Rejected  State = "rejected"
	Cancelled State = "cancelled" // by the requester, before anybody agreed
)

// Box is a list of transfers as one person sees it in one zone.
type Box string

const (
	Sent    Box = "sent"    // own requests made in this zone
	Approve Box = "approve" // from this zone, of the own section, waiting for this person's decision; never own ones
	Decided Box = "decided" // from this zone, decided by this person
	Receive Box = "receive" // released to this person in this zone
)

// Route is a way that a file may take from the zone of the request.
type Route struct {
	To        anchors.Zone `json:"to"`
	Approvals []Role       `json:"approvals"`
	Formats   []string     `json:"formats"`
	MaxSize   int64        `json:"max_size"` // bytes
	KeepDays  int          `json:"keep_days"`
}

// Happening is one step of a transfer's way.
type Happening struct {
	State  State     `json:"state"`
	Time   time.Time `json:"time"`
	Person *Person   `json:"person,omitempty"` // nil: done by the gate itself
	Reason string    `json:"reason,omitempty"` // of a rejection or approval, in the person's words
}

// Transfer is one file on its way.
type Transfer struct {
	ID        string          `json:"id"` // [a-z0-9-]{8,64}
	From      anchors.Zone    `json:"from"`
	To        anchors.Zone    `json:"to"`
	Name      string          `json:"name"` // as sent
	Note      string          `json:"note,omitempty"`
	Size      int64           `json:"size"` // bytes as sent
	State     State           `json:"state"`
	Stage     *verdict.Stage  `json:"stage,omitempty"` // while the gate works on it: how far that is, when it is known
	Requester Person          `json:"requester"`
	Created   time.Time       `json:"created"`
	Expires   time.Time       `json:"expires,omitzero"` // when released: end of the time to fetch it
	History   []Happening     `json:"history"`          // oldest first
	Report    *verdict.Report `json:"report,omitempty"` // once sanitized or blocked; previews as the worker sent them
}

// Transfers moves files. Everything is decided for the person and the zone given; a transfer that is none of the person's
// business is CodeNotFound.
type Transfers interface {
	Routes(ctx context.Context, p Person, from anchors.Zone) ([]Route, error)
	// Create takes keys, passwords of the file, to hand them on and forget them when the file has been read.
	Create(ctx context.Context, p Person, from, to anchors.Zone, name, note string, keys []string, r io.Reader) (Transfer, error) // r is not buffered; CodeTooLarge when it goes on beyond the route's limit
	List(ctx context.Context, p Person, zone anchors.Zone, box Box) ([]Transfer, error)                                           // newest first, at most 200; Report may lack previews
	Get(ctx context.Context, p Person, zone anchors.Zone, id string) (Transfer, error)                                            // requester in both zones; approver in the from zone
	Reject(ctx context.Context, p Person, zone anchors.Zone, id, reason string) error
	Cancel(ctx context.Context, p Person, zone anchors.Zone, id string) error                           // by its requester, before it is released
	Receipt(ctx context.Context, p Person, zone anchors.Zone, id string, approval verdict.Signed) error // release's signed word that p approved
	MayDownload(ctx context.Context, p Person, zone anchors.Zone, id string) (Transfer, error)          // asked by the portal before each download; record it
	MayInspect(ctx context.Context, p Person, zone anchors.Zone, id string) (Transfer, error)           // asked by the portal before an approver gets the sanitized file, and before an approval

	// Draw has the first pages of a file drawn for whoever decides about it now. They lie with release, for the portal; done is closed when
	// they do, or cannot.
	Draw(ctx context.Context, p Person, zone anchors.Zone, id string) (done <-chan struct{}, err error)
}

// Monitor is what the console shows.
type Monitor interface {
	Status(ctx context.Context) (Status, error)
	// Samples are the flow rates since the given time, oldest first, about one a second, at most ten minutes back.
	Samples(ctx context.Context, since time.Time) ([]Sample, error)
}

// Status of the whole gate at one moment.
type Status struct {
	Town     Name      `json:"town"`
	Time     time.Time `json:"time"`
	Revision string    `json:"revision"`
	Hash     string    `json:"hash"` // of the tables in force, hexadecimal
	Epoch    uint64    `json:"epoch"`
	Proven   bool      `json:"proven"` // control checked the same tables itself
	Records  int       `json:"records"`
	Ports    []Port    `json:"ports"`
	Tunnels  []Tunnel  `json:"tunnels"`
	Classes  []Class   `json:"classes"`
	Daemons  []Daemon  `json:"daemons"`

	Antivirus *antivirus.Standing `json:"antivirus,omitempty"` // nil: not asked yet
	Isolated  []Cut               `json:"isolated"`            // zones that people have cut off
	Unseen    string              `json:"unseen,omitempty"`    // why frames that come to nothing after they were allowed are not counted
}

// Cut is a zone that people have cut off in an emergency; of the uplink, every tunnel is.
type Cut struct {
	Zone   anchors.Zone `json:"zone"`
	Since  time.Time    `json:"since"`
	Until  time.Time    `json:"until,omitzero"` // the planned way back; zero: by a person only
	By     string       `json:"by"`
	Reason string       `json:"reason"`
}

// Name is a text in both languages; one may be empty.
type Name struct {
	JA string `json:"ja"`
	EN string `json:"en"`
}

// Port of the box.
type Port struct {
	ID     string       `json:"id"`
	Zone   anchors.Zone `json:"zone"`
	Name   Name         `json:"name"`
	Up     bool         `json:"up"`
	Native bool         `json:"native"` // guarded by native XDP
	Portal bool         `json:"portal"` // the way to a portal, not a socket on the box
	Error  string       `json:"error,omitempty"`

	Failed map[string]uint64 `json:"failed,omitempty"` // frames that were allowed and came to nothing here, by cause ("send ENXIO")
}

// Tunnel to a region.
type Tunnel struct {
	Region    string        `json:"region"`
	Name      Name          `json:"name"`
	Device    string        `json:"device"`
	Zone      anchors.Zone  `json:"zone"`
	Up        bool          `json:"up"` // by probe and handshake, never by configuration
	RTT       time.Duration `json:"rtt"`
	Handshake time.Time     `json:"handshake,omitzero"` // zero: never
}

// Class is one bandwidth class of a line; rates in bit/s.
type Class struct {
	ID        uint8   `json:"id"`
	Name      Name    `json:"name"`
	Line      string  `json:"line"`
	Guarantee uint64  `json:"guarantee"`
	Ceiling   uint64  `json:"ceiling"`
	Delivered float64 `json:"delivered"` // over the last seconds
	Drops     uint64  `json:"drops"`
}

// Daemon is one of the gate's programs.
type Daemon struct {
	Name string `json:"name"`
	Up   bool   `json:"up"`
}

// Sample of the packet core's counters, as rates per second.
type Sample struct {
	Time    time.Time          `json:"time"`
	Allowed *float64           `json:"allowed"` // flows admitted; nil: not known
	Packets float64            `json:"packets"` // packets passed
	Dropped map[string]float64 `json:"dropped"` // packets by reason name; reasons that never occurred may be absent
}

// Audit is what the auditor reads.
type Audit interface {
	Events(ctx context.Context, p Person, before int64, max int) ([]Event, error) // newest first, indexes below before (0 = from the end)
	Verify(ctx context.Context, p Person) (AuditState, error)                     // walks the whole log
	State(ctx context.Context) (AuditState, error)                                // as of the last verification; cheap
}

// Event of the audit log.
type Event struct {
	Index  int64             `json:"index"`
	Time   time.Time         `json:"time"`
	Actor  string            `json:"actor"`
	Action string            `json:"action"` // "transfer.approve": shown as the catalogue's "action.CODE", or as it is
	Object string            `json:"object"`
	Detail map[string]string `json:"detail,omitempty"`
}

// AuditState says whether the chain holds.
type AuditState struct {
	Size       int64     `json:"size"`
	Root       string    `json:"root"` // hexadecimal or base64 tree hash
	Checkpoint time.Time `json:"checkpoint,omitzero"`
	Verified   time.Time `json:"verified,omitzero"` // zero: not since start
	OK         bool      `json:"ok"`
	Problem    string    `json:"problem,omitempty"`
}

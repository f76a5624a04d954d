package release

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/isolation"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// settings are the root-owned files, read again for every decision: a change holds at once, and a file that became writable
// by somebody else stops everything.
type settings struct {
	routes    Routes
	approvers Approvers
	verifier  ed25519.PublicKey
	isolated  isolation.State
}

// Paths of the root-owned files.
type Paths struct{ Routes, Approvers, Verifier, Isolation string }

func (p Paths) load() (settings, error) {
	routes, err := LoadRoutes(p.Routes)
	if err != nil {
		return settings{}, err
	}
	approvers, err := LoadApprovers(p.Approvers)
	if err != nil {
		return settings{}, err
	}
	key, err := loadPublicKey(p.Verifier)
	if err != nil {
		return settings{}, err
	}
	isolated, err := loadIsolation(p.Isolation)
	if err != nil {
		return settings{}, err
	}
	return settings{routes, approvers, key, isolated}, nil
}

// loadIsolation reads which zones are cut off. No file means that none ever was; one that cannot be read stops everything.
func loadIsolation(path string) (isolation.State, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) && filepath.IsAbs(path) {
		return isolation.State{}, trustedAbove(path)
	}
	b, err := readTrusted(path)
	if err != nil {
		return isolation.State{}, err
	}
	s, err := isolation.Decode(b)
	if err != nil {
		return isolation.State{}, refuse(http.StatusServiceUnavailable, CodeSetting, "%s: which zones are cut off: %v", path, err)
	}
	return s, nil
}

// connected refuses what comes from or goes to a zone that is cut off.
func (s settings) connected(rec record) error {
	for _, z := range []anchors.Zone{rec.From, rec.To} {
		if c, cut := s.isolated.Of(z); cut {
			return refuse(http.StatusConflict, CodeIsolated, "%s: %s is cut off since %s by %s: %s", rec.Transfer, z, c.Since.Format(time.RFC3339), c.By, c.Reason)
		}
	}
	return nil
}

func loadPublicKey(path string) (ed25519.PublicKey, error) {
	b, err := readTrusted(path)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, refuse(http.StatusServiceUnavailable, CodeSetting, "%s: want one base64 line of 32 bytes", path)
	}
	return key, nil
}

// alive finds the transfer's route and refuses what is erased or too old.
func (s settings) alive(rec record, now time.Time) (Route, error) {
	if rec.Erased != nil {
		return Route{}, erased(rec.Transfer)
	}
	route, err := s.routes.find(rec.From, rec.To)
	if err != nil {
		return Route{}, err
	}
	if !now.Before(route.expires(rec.Created)) {
		return Route{}, refuse(http.StatusGone, CodeExpired, "%s: expired", rec.Transfer)
	}
	return route, nil
}

// attested checks that the verifier signed exactly these bytes for exactly this way.
func (s settings) attested(rec record, signed *verdict.Signed, sanitized blob, route Route) (verdict.Attestation, error) {
	no := func(why string) (verdict.Attestation, error) {
		return verdict.Attestation{}, refuse(http.StatusForbidden, CodeAttestation, "%s: the verifier's attestation %s", rec.Transfer, why)
	}
	if signed == nil || rec.Original == nil {
		return no("is missing")
	}
	var a verdict.Attestation
	if err := signed.Open(s.verifier, verdict.KindAttestation, &a); err != nil {
		return no(err.Error())
	}
	switch {
	case a.Transfer != rec.Transfer:
		return no("is for another transfer")
	case a.From != rec.From.String() || a.To != rec.To.String():
		return no("is for another route")
	case a.OriginalSHA256 != rec.Original.SHA256:
		return no("is for another original")
	case a.SanitizedSHA256 != sanitized.SHA256 || a.Size != sanitized.Size:
		return no("is for other bytes")
	case a.PolicyRevision != s.routes.Revision:
		return verdict.Attestation{}, refuse(http.StatusConflict, CodeRevision, "%s: the routes were changed since it was checked", rec.Transfer)
	case !route.admits(a.Name):
		return verdict.Attestation{}, refuse(http.StatusForbidden, CodeFormat, "%s: the route %s -> %s does not admit such a file", rec.Transfer, rec.From, rec.To)
	case sanitized.Size > route.MaxSize:
		return verdict.Attestation{}, refuse(http.StatusRequestEntityTooLarge, CodeTooLarge, "%s: over the route's %d bytes", rec.Transfer, route.MaxSize)
	}
	return a, nil
}

// missing gives the roles whose approval of exactly these bytes is not recorded. Each needs another person, and none is the requester.
func missing(route Route, rec record, d details, att verdict.Attestation, own ed25519.PublicKey) []string {
	var left []string
	used := map[string]bool{d.Requester: true}
	for _, role := range route.Approvals {
		at := slices.IndexFunc(d.Approvals, func(s verdict.Signed) bool {
			var a verdict.Approval
			return s.Open(own, verdict.KindApproval, &a) == nil && a.Role == role && !used[a.Person] && approves(a, rec, att)
		})
		if at < 0 {
			left = append(left, role)
			continue
		}
		var a verdict.Approval
		if err := d.Approvals[at].Open(own, verdict.KindApproval, &a); err == nil {
			used[a.Person] = true
		}
	}
	return left
}

func approves(a verdict.Approval, rec record, att verdict.Attestation) bool {
	return a.Transfer == rec.Transfer && a.SanitizedSHA256 == att.SanitizedSHA256 && a.From == rec.From.String() &&
		a.To == rec.To.String() && a.PolicyRevision == att.PolicyRevision
}

// releasable is the whole decision: nil only when every condition holds now.
func (s settings) releasable(rec record, d details, own ed25519.PublicKey, now time.Time) (verdict.Attestation, error) {
	route, err := s.alive(rec, now)
	if err == nil {
		err = s.connected(rec)
	}
	if err != nil {
		return verdict.Attestation{}, err
	}
	if rec.Sanitized == nil {
		return verdict.Attestation{}, refuse(http.StatusConflict, CodeNotSanitized, "%s: not sanitized", rec.Transfer)
	}
	att, err := s.attested(rec, d.Attestation, *rec.Sanitized, route)
	if err != nil {
		return verdict.Attestation{}, err
	}
	if left := missing(route, rec, d, att, own); len(left) > 0 {
		return verdict.Attestation{}, refuse(http.StatusForbidden, CodeApprovalMissing, "%s: approval missing: %s", rec.Transfer, strings.Join(left, ", "))
	}
	return att, nil
}

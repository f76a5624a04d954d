// Package place says where an instance of the gate keeps what, and which user owns it. One table, so that no daemon, test
// or unit invents a path of its own.
package place

import (
	"path/filepath"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Instance is the name of one gate on a machine ("sekisho" on an appliance, the lab's name in a lab).
type Instance string

// Users that the daemons run as. Portals have one each, see PortalUser.
const (
	ControlUser = "sekisho-control"
	BrokerUser  = "sekisho-broker"
	ReleaseUser = "sekisho-release"
	TunnelUser  = "sekisho-tunnel" // the WireGuard child
	ClamdUser   = "clamav"         // Debian's package makes it
)

// PortalZones are the zones in which a portal listens.
var PortalZones = []anchors.Zone{anchors.MyNumber, anchors.LGWAN, anchors.Internet, anchors.Management}

// PortalUser is the user of one zone's portal: sekisho-portal-lg.
func PortalUser(z anchors.Zone) string { return "sekisho-portal-" + z.Short() }

// Run holds sockets and the bpffs; gone after a reboot.
func (i Instance) Run() string { return filepath.Join("/run/sekisho", string(i)) }

// State holds what must survive.
func (i Instance) State() string { return filepath.Join("/var/lib/sekisho", string(i)) }

// Etc holds what only root may change: configuration of the box, anchors, routes, approvers, public keys.
func (i Instance) Etc() string { return filepath.Join("/etc/sekisho", string(i)) }

func (i Instance) BPF() string       { return filepath.Join(i.Run(), "bpf") } // bpffs, pins under v1/
func (i Instance) Anchors() string   { return filepath.Join(i.Etc(), "anchors.yaml") }
func (i Instance) Routes() string    { return filepath.Join(i.Etc(), "routes.yaml") }    // transfer routes, read by release
func (i Instance) Approvers() string { return filepath.Join(i.Etc(), "approvers.yaml") } // read by release
func (i Instance) VerifierKey() string {
	return filepath.Join(i.Etc(), "verifier.pub") // base64 Ed25519; the private half is in StateOf("broker")
}
func (i Instance) ReleaseKey() string {
	return filepath.Join(i.Etc(), "release.pub") // base64 Ed25519, signs approvals; the private half is in StateOf("release")
}

// Isolation is what the dataplane keeps of zones that are cut off: root's, and for release to read.
func (i Instance) Isolation() string { return filepath.Join(i.State(), "isolation", "state.json") }

// AuditLog is the log that control writes; AuditKey is root's copy of the key that verifies it, AuditSigner the signing half.
func (i Instance) AuditLog() string    { return filepath.Join(i.StateOf("control"), "audit") }
func (i Instance) AuditKey() string    { return filepath.Join(i.Etc(), "audit.pub") }
func (i Instance) AuditSigner() string { return filepath.Join(i.StateOf("control"), "audit.key") }

// ClamdConf is the configuration that clamd runs with, Signatures its databases, and Unpacked what it unpacks to.
func (i Instance) ClamdConf() string  { return filepath.Join(i.Etc(), "clamd.conf") }
func (i Instance) Signatures() string { return filepath.Join(i.StateOf("clamd"), "signatures") }
func (i Instance) Unpacked() string   { return filepath.Join(i.StateOf("clamd"), "unpacked") }

// CA is the certificate (PEM) that vouches for the portals; its key is ca.key beside it, mode 0600.
func (i Instance) CA() string { return filepath.Join(i.Etc(), "ca.pem") }

// PortalCert and PortalKey (PEM) are what a zone's portal shows; it owns both.
func (i Instance) PortalCert(z anchors.Zone) string {
	return filepath.Join(i.StateOf("portal-"+z.Short()), "tls.pem")
}

func (i Instance) PortalKey(z anchors.Zone) string {
	return filepath.Join(i.StateOf("portal-"+z.Short()), "tls.key")
}

// StateOf is the directory of one daemon ("dataplane", "control", "broker", "release", "portal-lg"), mode 0700, owned by its user.
func (i Instance) StateOf(daemon string) string { return filepath.Join(i.State(), daemon) }

// AnchorsHistory is where the dataplane keeps every anchors file that it ran with.
func (i Instance) AnchorsHistory() string { return filepath.Join(i.StateOf("dataplane"), "anchors") }

// Sockets. Each lies in a directory of its daemon (mode 0711) and is open to connect; the server admits by peer user.
func (i Instance) DataplaneSocket() string { return filepath.Join(i.Run(), "dataplane", "api.sock") }
func (i Instance) BrokerSocket() string    { return filepath.Join(i.Run(), "broker", "api.sock") }
func (i Instance) ReleaseSocket() string   { return filepath.Join(i.Run(), "release", "api.sock") }
func (i Instance) ClamdSocket() string     { return filepath.Join(i.Run(), "clamd", "clamd.sock") }   // for the broker's group
func (i Instance) AdminSocket() string     { return filepath.Join(i.Run(), "control", "admin.sock") } // root only

// ControlSocket is where control serves one zone's portal; the socket, not a header, says which zone a request comes from.
func (i Instance) ControlSocket(z anchors.Zone) string {
	return filepath.Join(i.Run(), "control", "portal-"+z.Short()+".sock")
}

// PortalNetns is the name of the network namespace of one zone's portal (under /run/netns).
func (i Instance) PortalNetns(z anchors.Zone) string { return string(i) + "-portal-" + z.Short() }

// PortalPort is the gate's end of the veth towards that namespace; the far end is eth0.
func PortalPort(z anchors.Zone) string { return "pt-" + z.Short() }

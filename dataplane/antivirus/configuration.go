package antivirus

import (
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

//go:embed codes.json
var codesJSON []byte

// Sentences tell a clerk what the codes of this package mean.
var Sentences = verdict.NewCatalogue(codesJSON)

// User is whom clamd runs as.
const User = place.ClamdUser

// maxScan is when clamd gives up a file, which is an alarm.
const maxScan = 2 * time.Minute

// Settings of a clamd.
type Settings struct {
	File       string // of its configuration
	Socket     string // of our own
	Signatures string // directory of its databases
	Temporary  string // directory for what it unpacks
	// Shared says that the group which owns the socket's directory may connect. The directory then has the set-group-ID bit, so that
	// the socket gets that group, though clamd is no member of it. Otherwise only clamd's user may.
	Shared bool
}

// Configuration is a clamd.conf (clamd.conf(5)) with which nothing that clamd did not look at is OK: each limit that is reached is an
// alarm, and each limit but the length of a stream is far above what a town's files need.
func (s Settings) Configuration() string {
	var b strings.Builder
	line := func(key string, value any) { fmt.Fprintf(&b, "%s %v\n", key, value) }
	line("Foreground", "yes")
	line("LocalSocket", s.Socket)
	line("FixStaleSocket", "yes")
	if s.Shared {
		line("LocalSocketMode", "660")
	} else {
		line("LocalSocketMode", "600")
	}
	line("DatabaseDirectory", s.Signatures)
	line("TemporaryDirectory", s.Temporary)
	line("AlertExceedsMax", "yes")
	for _, key := range []string{"StreamMaxLength", "MaxFileSize", "MaxEmbeddedPE", "MaxHTMLNormalize", "MaxHTMLNoTags", "MaxScriptNormalize", "MaxZipTypeRcg", "PCREMaxFileSize"} {
		line(key, MaxStream) // what is cut off at one of these is no alarm: nothing that is sent reaches it
	}
	line("MaxScanSize", 2*MaxStream-1)
	line("MaxScanTime", maxScan.Milliseconds())
	line("MaxRecursion", 17)
	line("MaxFiles", 10_000)
	line("MaxThreads", 12)                 // more than there are sandboxes: a scan whose caller has gone keeps one for maxScan
	line("ConcurrentDatabaseReload", "no") // half the memory
	line("SelfCheck", 600)
	line("ReadTimeout", 60)
	line("CommandReadTimeout", 30)
	line("ExitOnOOM", "yes")
	line("LogTime", "yes")
	return b.String()
}

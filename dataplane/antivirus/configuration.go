package antivirus

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

//go:embed codes.json
var codesJSON []byte

// Sentences tell a clerk what the codes of this package mean.
var Sentences = verdict.NewCatalogue(codesJSON)

// User is whom clamd runs as: Debian's package makes it.
const User = "clamav"

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
	line("MaxScanTime", 600_000) // milliseconds; the caller's patience is shorter
	line("MaxRecursion", 17)
	line("MaxFiles", 10_000)
	line("MaxThreads", 4)
	line("ConcurrentDatabaseReload", "no") // half the memory
	line("SelfCheck", 600)
	line("ReadTimeout", 60)
	line("CommandReadTimeout", 30)
	line("ExitOnOOM", "yes")
	line("LogTime", "yes")
	return b.String()
}

// Command starts clamd in a place of its own (bubblewrap): no network, no processes but its own, no files but its programs, its
// signatures, and the two directories that it writes to. Run it as User, never as root. It ends when its parent does.
func (s Settings) Command() []string {
	run := filepath.Dir(s.Socket)
	return []string{"bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--cap-drop", "ALL", "--clearenv",
		"--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
		"--ro-bind-try", "/etc/localtime", "/etc/localtime", // in which it tells when its signatures were made
		"--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp",
		"--ro-bind", s.File, s.File, "--ro-bind", s.Signatures, s.Signatures, "--bind", run, run, "--bind", s.Temporary, s.Temporary,
		"--remount-ro", "/", "--chdir", "/", "--", "/usr/sbin/clamd", "--config-file", s.File}
}

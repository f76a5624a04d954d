// Command sekisho is the operator's command line.
//
// Problem: one gate, many small daemons; the person at the console needs one word for each task. Mechanism: a table of
// subcommands, each a function of its own file with its own flags. Life cycle: one process a task; nothing is kept between
// runs but what the daemons keep. Invariant: the exit code tells the outcome: 0 done and held, 1 refused or not held,
// 2 not understood.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes of every subcommand.
const (
	exitOK     = 0
	exitFailed = 1 // refused, not held, or an error on the way
	exitUsage  = 2
)

// command is one subcommand. run gets the arguments after the name and answers the exit code.
type command struct {
	name, usage string
	run         func(ctx context.Context, args []string, stdout, stderr io.Writer) int
}

var commands = []command{
	{"init", "init --name N --config FILE [--people FILE] [--force-rules]   make directories, keys, certificates, anchors, first people", runInit},
	{"check", "check FILE [--explain] [--anchors FILE] [--at DAY]   validate a configuration, compile it and prove that the zones stay apart", runCheck},
	{"ledger", "ledger import|export|map FILE   take over the town's ledger of designated communications (xlsx, CSV), write it, tell its columns", runLedger},
	{"trace", "trace FILE --from ZONE --src A --dst B --proto tcp --dport N [--mac M] [--dscp D] [--name N]   which step decides, and by which record", runTrace},
	{"explain", "explain FILE RECORD [--json]   what a record became: classes, ports, rules, cells, and what it shares with others", runExplain},
	{"stones", "stones FILE [--json]   stepping stones: what stands in one zone, can be reached from a second and reaches a third", runStones},
	{"hygiene", "hygiene FILE [--name N] | --name N   [--json]   what there is to tidy up: unused, shadowed, broad, due for review, expired", runHygiene},
	{"templates", "templates [list | show ID]   starting points: models and their measures, designated communications that most towns have", runTemplates},
	{"measures", "measures FILE   the checklist of the configuration's model; 1 when something required is missing", runMeasures},
	{"anchors", anchorsUsage + "   print the anchors that a configuration needs; what they were, what changed; put others into force, at the box", runAnchors},
	{"tunnel", tunnelUsage + "   lines, ends and their keys: what is configured, how it is, public keys to and from far ends, another pre-shared key", runTunnel},
	{"sanitize", "sanitize FILE... --out DIR [--report FILE.json] [--passwords FILE]   sanitize and verify files in their sandboxes", runSanitize},
	{"routes", "routes FILE   print the file routes of a configuration, for root to put into force", runRoutes},
	{"commit", "commit --name N [--confirm 10m] [--comment TEXT] [--parent REV] [--merge] [--replace] [--as ID] FILE   prove a configuration and bring it into force", runCommit},
	{"confirm", "confirm --name N [--as ID]   make the change on trial last", runConfirm},
	{"rollback", "rollback --name N [--confirm 10m] [--comment TEXT] [--as ID] [REV]   end the trial, or bring an older revision into force again", runRollback},
	{"history", "history --name N [--max N] [--json]   revisions, newest first", runHistory},
	{"show", "show --name N [REV]   the text of the head or of a revision, to be edited", runShow},
	{"proposals", "proposals --name N [--all] [NUMBER]   changes that wait for a second administrator, or one of them", runProposals},
	{"approve", "approve --name N --as ID [--yes] NUMBER   bring another person's proposal into force", runApprove},
	{"withdraw", "withdraw --name N [--as ID] [--reason TEXT] NUMBER   end a proposal", runWithdraw},
	{"diff", "diff --name N FILE|REVISION [FILE|REVISION]   what changes between two texts, or one and the head: packets first, then lines", runDiff},
	{"isolate", "isolate ZONE --name N --reason TEXT [--for 2h | --until TIME]   cut a zone off at once (my-number, lgwan, internet; uplink: all tunnels)", runIsolate},
	{"rejoin", "rejoin ZONE --name N --reason TEXT [--dry-run]   give a zone back that was cut off", runRejoin},
	{"status", "status --name N   what control sees, as JSON", runStatus},
	{"report", "report --name N --month 2026-10 --line LINE --out DIR [--lang ja|en]   a month of a line: whether guarantees were kept, and who was responsible (PDF, CSV)", runReport},
	{"diagnose", "diagnose [REGION] --name N [--line L] [--json]   where the way to a region is broken, what to do and who has to; 1 when it is", runDiagnose},
	{"flows", "flows --name N [--zone Z] [--segment S] [--record R] [--addr A] [--json]   live flows, by what they carried", runFlows},
	{"top", "top --name N [--once]   records, flows, segments and drops by rate, refreshed", runTop},
	{"capture", "capture FILE --name N [--verdict allowed|dropped] [--segment S] [--record R] [--reason R]   packets and what became of them, as pcapng", runCapture},
	{"person", "person add|reset|disable|enable|change --name N --id ID ...   enter a person, give a new one-time password, let in or not, change role or section", runPerson},
	{"approver", "approver add|remove --name N --id ID ...   enter a person in release's own list of those who may approve, or take them out", runApprover},
	{"certificates", "certificates renew --name N [--config FILE]   renew the portals' certificates that are missing or about to expire", runCertificates},
	{"audit", "audit verify|show DIR   verify or read an audit log, offline", runAudit},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := dispatch(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// dispatch finds the subcommand that args[0] names and runs it.
func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		usage(stderr)
		return exitUsage
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(stdout)
		return exitOK
	}
	if args[0] == "enter" { // the child of init and person; not for people
		return runEnter(ctx, args[1:], os.Stdin, stdout, stderr)
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.run(ctx, args[1:], stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "sekisho: no subcommand %q\n", args[0])
	usage(stderr)
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "usage: sekisho SUBCOMMAND [FLAGS]")
	for _, c := range commands {
		fmt.Fprintln(w, "  sekisho "+c.usage)
	}
}

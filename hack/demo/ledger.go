package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/hack/ledgers"
	"github.com/sekisho/sekisho/hack/town"
)

const (
	ledgerRows = 200
	onTrial    = 6 * time.Second // of the change that nobody confirms
	admin      = "admin"         // who is signed in for these changes
)

// another is a record that the town tries out.
const another = `
  - id: pattern-files
    name: {ja: パターンファイルの取得, en: Pattern files}
    from: {stations: [lg-pc1]}
    to: {services: [web]}
    ports: []
    purpose: ウイルス定義の更新
    owner: 総務課
`

// ledger is step 6: the town's own ledger comes into force, and a change that nobody confirms goes back by itself.
func (j *job) ledger(ctx context.Context) error {
	j.section(6, "The town's ledger comes into force; what nobody confirms goes back by itself")
	dir := filepath.Dir(j.name.ConfigFile())
	book, taken := filepath.Join(dir, "ledger.xlsx"), filepath.Join(dir, "with-ledger.yaml")
	if err := j.must(ctx, fmt.Sprintf("import of a ledger of %d rows from Excel", ledgerRows), fmt.Sprintf("%d added, none refused", ledgerRows), func() (string, bool, error) {
		return j.taken(ctx, book, taken)
	}); err != nil {
		return err
	}
	j.check("sekisho diff of the head and the new document", "what newly passes, box by box", func() (string, bool, error) {
		out, err := j.difference(ctx, taken)
		boxes := newly(out)
		if err != nil || len(boxes) == 0 || strings.Contains(out, "Newly refused") {
			return out, false, err
		}
		return fmt.Sprintf("%d boxes and more, none newly refused; the first: %s", len(boxes), boxes[0]), true, nil
	})
	// The administrator has a password of their own from now on, which the command line asks for.
	if _, err := j.sit(ctx, anchors.Management, admin); err != nil {
		return err
	}
	if err := j.must(ctx, "commit --confirm 10m by "+admin, "in force, on trial", func() (string, bool, error) {
		_, err := j.byAdmin(ctx, "commit", "--confirm", "10m", "--comment", "特定通信管理台帳の取込み", taken)
		return j.newest(ctx, err, revision.Running)
	}); err != nil {
		return err
	}
	j.check("confirm by another person (root, nobody signed in)", "refused", func() (string, bool, error) {
		_, err := j.town.Sekisho(ctx, "confirm", "--name", string(j.name))
		seen, running, herr := j.newest(ctx, nil, revision.Running)
		return seen, err != nil && running, herr
	})
	if err := j.must(ctx, "confirm by "+admin+", a new request", "stays in force", func() (string, bool, error) {
		_, err := j.byAdmin(ctx, "confirm")
		return j.newest(ctx, err, revision.Confirmed)
	}); err != nil {
		return err
	}
	return j.unconfirmed(ctx, taken)
}

// taken writes a ledger and lets it be imported into the town's document.
func (j *job) taken(ctx context.Context, book, into string) (string, bool, error) {
	doc, err := os.ReadFile(j.name.ConfigFile())
	if err != nil {
		return "", false, err
	}
	cfg, faults := config.Parse(doc)
	if err := faults.Err(); err != nil {
		return "", false, err
	}
	if err := ledgers.Write(book, cfg, ledgerRows); err != nil {
		return "", false, err
	}
	report := book + ".json"
	_, err = j.town.Sekisho(ctx, "ledger", "import", book, "--into", j.name.ConfigFile(), "--out", into, "--report", report)
	if err != nil {
		return "", false, err
	}
	b, err := os.ReadFile(report)
	if err != nil {
		return "", false, err
	}
	var r struct {
		Totals map[string]int `json:"totals"`
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return "", false, err
	}
	return fmt.Sprintf("%d added, %d refused", r.Totals["added"], r.Totals["refused"]), r.Totals["added"] == ledgerRows && r.Totals["refused"] == 0, nil
}

// unconfirmed adds a record, on trial, and waits for it to go back.
func (j *job) unconfirmed(ctx context.Context, head string) error {
	doc, err := os.ReadFile(head)
	if err != nil {
		return err
	}
	changed := strings.Replace(string(doc), communications, communications+strings.TrimPrefix(another, "\n"), 1)
	if changed == string(doc) {
		return errors.New("the example configuration has no list of communications to add to")
	}
	file := filepath.Join(filepath.Dir(head), "another.yaml")
	if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
		return err
	}
	j.check("sekisho diff: lg-pc1 may fetch pattern files", "one box, newly permitted", func() (string, bool, error) {
		out, err := j.difference(ctx, file)
		boxes := newly(out)
		return strings.Join(boxes, "; "), len(boxes) == 1 && strings.Contains(boxes[0], "lg-pc1") && strings.Contains(boxes[0], "tcp/443"), err
	})
	before, err := j.status(ctx)
	if err != nil {
		return err
	}
	if err := j.must(ctx, fmt.Sprintf("commit --confirm %v, which nobody confirms", onTrial), "in force, on trial", func() (string, bool, error) {
		_, err := j.byAdmin(ctx, "commit", "--confirm", onTrial.String(), "--comment", "試行", file)
		return j.newest(ctx, err, revision.Running)
	}); err != nil {
		return err
	}
	j.check("lg-pc1 opens in-web meanwhile", "passes", func() (string, bool, error) {
		web, err := town.HostNamed("in-web")
		if err != nil {
			return "", false, err
		}
		body, err := j.fetch(ctx, "lg-pc1", "https://"+netip.AddrPortFrom(web.Addr4(), 443).String()+"/")
		return body, err == nil, err
	})
	j.check("the time is over", "reverted, the tables of before in force", func() (string, bool, error) {
		err := j.town.Poll(ctx, 4*onTrial, "the reversion", func(ctx context.Context) error {
			s, err := j.status(ctx)
			if err == nil && s.Hash != before.Hash {
				err = errors.New("the tables on trial are still in force")
			}
			if err != nil {
				return err
			}
			seen, gone, err := j.newest(ctx, nil, revision.Reverted)
			if err == nil && !gone {
				err = errors.New(seen)
			}
			return err
		})
		if err != nil {
			return "", false, err
		}
		return j.newest(ctx, nil, revision.Reverted)
	})
	j.refused(ctx, families[0], attempt{host: "lg-pc1", to: "in-web", port: 443, reason: "no-cell"})
	return nil
}

// difference is what the head and a file differ in; the exit code says that they do.
func (j *job) difference(ctx context.Context, file string) (string, error) {
	out, err := j.town.Sekisho(ctx, "diff", "--name", string(j.name), file)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil
	}
	return out, err
}

// byAdmin runs a subcommand for this gate as the signed-in administrator.
func (j *job) byAdmin(ctx context.Context, sub string, args ...string) (string, error) {
	p, err := j.town.Person(admin)
	if err != nil {
		return "", err
	}
	return j.town.SekishoWith(ctx, p.Password+"\n", append([]string{sub, "--name", string(j.name), "--as", admin}, args...)...)
}

// newest tells the newest revision, and whether its trial is in a state.
func (j *job) newest(ctx context.Context, err error, want revision.State) (string, bool, error) {
	if err != nil {
		return "", false, err
	}
	out, err := j.town.Sekisho(ctx, "history", "--name", string(j.name), "--max", "1", "--json")
	if err != nil {
		return "", false, err
	}
	var rs []revision.Revision
	if err := json.Unmarshal([]byte(out), &rs); err != nil || len(rs) != 1 || rs[0].Trial == nil {
		return out, false, err
	}
	return fmt.Sprintf("revision %d by %s: %s", rs[0].Number, rs[0].Author, rs[0].Trial.State), rs[0].Trial.State == want, nil
}

// newly lists the boxes that a difference says are newly permitted.
func newly(diff string) []string {
	var out []string
	for line := range strings.Lines(diff) {
		if box, ok := strings.CutPrefix(strings.TrimSpace(line), "+ from "); ok {
			out = append(out, "from "+strings.TrimSpace(box))
		}
	}
	return out
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"slices"
	"strconv"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/dataplane/place"
)

// changed is what control answers to a change: a revision, or a proposal that waits.
type changed struct {
	revision.Revision
	Waiting *revision.Proposal `json:"waiting"`
	Message string             `json:"message"`
}

// runCommit brings a configuration into force (反映).
func runCommit(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("commit", stderr)
	comment := flags.String("comment", "", "why, for those who read the history")
	confirm := flags.Duration("confirm", 0, "go back by itself unless `sekisho confirm` comes within this `time`")
	parent := flags.Int("parent", 0, "the `revision` that FILE was edited from; a text of `sekisho show` says it by itself")
	merge := flags.Bool("merge", false, "take in what others have changed since then")
	merged := flags.String("save-merged", "", "where that can be merged, write the text to this `file` instead of committing it")
	replace := flags.Bool("replace", false, "take the place of your own change that is on trial")
	as := asFlag(flags)
	files, err := interspersed(flags, args)
	if err != nil || *name == "" || len(files) != 1 || *confirm < 0 || *parent < 0 {
		fmt.Fprintln(stderr, "usage: sekisho commit --name N [--confirm 10m] [--comment TEXT] [--parent REV] [--merge|--save-merged FILE] [--replace] [--as ID] FILE")
		return exitUsage
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		fmt.Fprintln(stderr, "sekisho commit:", err)
		return exitFailed
	}
	// Faults of the text are shown with the lines they stand in, as `sekisho check` does.
	cfg, faults := config.Parse(text)
	if len(faults) > 0 {
		faults.Print(stderr, files[0])
		return exitFailed
	}
	text, marked := revision.Unmarked(text, *name)
	q := url.Values{"comment": {*comment}}
	if *parent == 0 {
		*parent = marked
	}
	if *parent > 0 {
		q.Set("parent", strconv.Itoa(*parent))
	}
	if *confirm > 0 {
		q.Set("confirm", confirm.String())
	}
	if *merge && *merged == "" {
		q.Set("merge", "true")
	}
	if *replace {
		q.Set("replace", "true")
	}
	var r changed
	err = askAs(ctx, *name, *as, "/revisions", q, text, &r, stderr)
	var no *refused
	if errors.As(err, &no) && no.Merged != "" && *merged != "" {
		if err := os.WriteFile(*merged, []byte(no.Merged), 0o600); err != nil {
			fmt.Fprintln(stderr, "sekisho commit:", err)
			return exitFailed
		}
		fmt.Fprintf(stderr, "%s\nthe text with both changes is in %s; it is not committed\n", no.Text, *merged)
		return exitFailed
	}
	if err != nil {
		fmt.Fprintln(stderr, "sekisho commit:", err)
		return exitFailed
	}
	// Which records have expired is for control's clock to say.
	expired := slices.DeleteFunc(records(cfg), func(c *config.Communication) bool { return !slices.Contains(r.Expired, c.ID) })
	warnExpired(stderr, files[0], cfg, expired)
	return r.tell(*name, stdout)
}

// tell says what became of the change. Exit code 1 when it is not in force.
func (r changed) tell(name string, w io.Writer) int {
	if r.Waiting != nil {
		fmt.Fprintln(w, r.Message)
		return exitFailed
	}
	if r.Merged != 0 {
		fmt.Fprintf(w, "merged with what was changed since revision %d\n", r.Merged)
	}
	fmt.Fprintf(w, "revision %d is in force: policy %s, tables %s\n", r.Number, r.Policy, r.Hash)
	if r.Trial != nil && r.Trial.State == revision.Running {
		fmt.Fprintf(w, "on trial: it goes back by itself at %s unless you run `sekisho confirm --name %s` before\n", r.Trial.Until.Local().Format(time.DateTime), name)
	}
	return exitOK
}

func records(cfg *config.Config) (all []*config.Communication) {
	for i := range cfg.Communications {
		all = append(all, &cfg.Communications[i])
	}
	return all
}

// runConfirm makes the change on trial last (確定).
func runConfirm(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("confirm", stderr)
	as := asFlag(flags)
	if flags.Parse(args) != nil || *name == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: sekisho confirm --name N [--as ID]")
		return exitUsage
	}
	var p struct {
		Pending *revision.Revision `json:"pending"`
	}
	err := control{place.Instance(*name)}.call(ctx, http.MethodGet, "/pending", nil, &p)
	trial := ""
	if p.Pending != nil {
		trial = p.Pending.Trial.ID
	}
	var r changed
	if err == nil {
		err = postAs(ctx, *name, *as, "/pending/confirm", map[string]string{"trial": trial}, &r, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "sekisho confirm:", err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "revision %d is confirmed and stays in force\n", r.Number)
	return exitOK
}

// runRollback goes back (切戻し).
func runRollback(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("rollback", stderr)
	comment := flags.String("comment", "", "why, for those who read the history")
	confirm := flags.Duration("confirm", 0, "as for commit")
	replace := flags.Bool("replace", false, "as for commit")
	as := asFlag(flags)
	rest, err := interspersed(flags, args)
	number := 0
	if err == nil && len(rest) == 1 {
		number, err = strconv.Atoi(rest[0])
	}
	if err != nil || *name == "" || len(rest) > 1 || *confirm < 0 {
		fmt.Fprintln(stderr, "usage: sekisho rollback --name N [--confirm 10m] [--comment TEXT] [--replace] [--as ID] [REV]")
		return exitUsage
	}
	body := map[string]any{"number": number, "comment": *comment, "replace": *replace}
	if *confirm > 0 {
		body["confirm"] = confirm.String()
	}
	var r changed
	if err := postAs(ctx, *name, *as, "/rollback", body, &r, stderr); err != nil {
		fmt.Fprintln(stderr, "sekisho rollback:", err)
		return exitFailed
	}
	return r.tell(*name, stdout)
}

// signature is a person's name and password.
type signature struct{ id, password string }

func asFlag(flags *flag.FlagSet) *string {
	return flags.String("as", "", "administrator's sign-in `name`; the password is asked for, or read from the first line of the input")
}

// askAs posts to control, as somebody where that is wanted.
func askAs(ctx context.Context, name, as, path string, q url.Values, body []byte, into any, stderr io.Writer) error {
	sign := signature{id: as}
	if as != "" {
		var err error
		if sign.password, err = password(os.Stdin, stderr, "password of "+as+": "); err != nil {
			return err
		}
	}
	if q == nil {
		q = url.Values{}
	}
	q.Set("author", operator())
	return control{place.Instance(name)}.callAs(ctx, sign, http.MethodPost, path+"?"+q.Encode(), body, into)
}

func postAs(ctx context.Context, name, as, path string, v, into any, stderr io.Writer) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return askAs(ctx, name, as, path, nil, b, into, stderr)
}

// operator is who sits at the terminal, as far as sudo tells. Anybody can write that.
func operator() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return revision.Root
}

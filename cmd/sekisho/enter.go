package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/identity"
	"github.com/sekisho/sekisho/controlplane/office"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// entry is what is to be entered in control's books: by control where it runs, else by a child with control's rights, so that
// root never follows what may lie in control's directory.
type entry struct {
	Text     string             `json:"text,omitempty"` // configuration, when no revision is there yet
	Comment  string             `json:"comment,omitempty"`
	Sections []identity.Section `json:"sections,omitempty"`
	People   []identity.Person  `json:"people,omitempty"`
	First    bool               `json:"first,omitempty"` // when there is nobody, make admin
	Reset    string             `json:"reset,omitempty"` // person who gets a new one-time password
	Disable  string             `json:"disable,omitempty"`
	Enable   string             `json:"enable,omitempty"`
	Change   *identity.Person   `json:"change,omitempty"` // person with what is to be another
}

// entered is the answer.
type entered struct {
	Revision int           `json:"revision"`
	People   []credentials `json:"people,omitempty"`
	Error    string        `json:"error,omitempty"`
}

func enter(ctx context.Context, i place.Instance, e entry) (entered, error) {
	if c := (control{i}); c.up(ctx) {
		return c.enter(ctx, e)
	}
	uid, gid, err := idsOf(place.ControlUser)
	if err != nil {
		return entered{}, err
	}
	in, err := json.Marshal(e)
	if err != nil {
		return entered{}, err
	}
	// The child runs the very program that runs now, whatever has become of its file.
	child := exec.CommandContext(ctx, "/proc/self/exe", "enter", string(i))
	child.Stdin, child.Env, child.Dir = bytes.NewReader(in), []string{}, "/"
	child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	var said bytes.Buffer
	child.Stderr = &said
	b, err := child.Output()
	var out entered
	if err != nil {
		return out, fmt.Errorf("enter in control's books: %w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return out, fmt.Errorf("enter in control's books: %w", err)
	}
	if out.Error != "" {
		return out, errors.New(out.Error)
	}
	return out, nil
}

// runEnter is that child. It is not for people and not in the list of subcommands.
func runEnter(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) != 1 {
		return exitUsage
	}
	var e entry
	out := entered{}
	err := json.NewDecoder(stdin).Decode(&e)
	if err == nil {
		out, err = write(ctx, place.Instance(args[0]), e)
	}
	if err != nil {
		out.Error = err.Error()
	}
	return printJSON(stdout, stderr, out)
}

func write(ctx context.Context, i place.Instance, e entry) (out entered, err error) {
	o, err := office.Open(ctx, i, nil, time.Now)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	revs, err := o.Book.History(ctx, 1)
	if err != nil {
		return out, err
	}
	if len(revs) > 0 {
		out.Revision = revs[0].Number
	} else if e.Text != "" {
		r, err := o.Book.Commit(ctx, revision.Author{ID: revision.Root, Via: revision.Console}, revision.Change{Text: []byte(e.Text), Comment: e.Comment})
		if err != nil {
			return out, err
		}
		out.Revision = r.Number
	}
	err = e.people(&out, books{
		everybody: func() ([]identity.Person, error) { return o.People.Everybody(ctx) },
		section:   func(s identity.Section) error { return o.People.AddSection(ctx, "root", s) },
		add:       func(p identity.Person) (string, error) { return o.People.Add(ctx, "root", p) },
		reset:     func(id string) (string, error) { return o.People.Reset(ctx, "root", id) },
		disable:   func(id string) error { return o.People.Disable(ctx, "root", id) },
		enable:    func(id string) error { return o.People.Enable(ctx, "root", id) },
		change:    func(p identity.Person) error { return o.People.Change(ctx, "root", p) },
	})
	return out, err
}

// books are control's, opened here or behind its socket.
type books struct {
	everybody func() ([]identity.Person, error)
	section   func(identity.Section) error
	add       func(identity.Person) (string, error)
	reset     func(id string) (string, error)
	disable   func(id string) error
	enable    func(id string) error
	change    func(identity.Person) error
}

// people enters who is new.
func (e entry) people(out *entered, b books) error {
	there, err := b.everybody()
	if err != nil {
		return err
	}
	known := map[string]identity.Person{}
	for _, p := range there {
		known[p.ID] = p
	}
	if e.First && len(there) == 0 {
		e.Sections = append(e.Sections, identity.Section{ID: "it", Name: "情報システム"})
		e.People = append(e.People, identity.Person{ID: "admin", Name: "admin", Section: "it", Role: web.ITAdmin, Zones: []anchors.Zone{anchors.Management}})
	}
	for _, s := range e.Sections {
		if err := b.section(s); err != nil {
			return err
		}
	}
	for _, p := range e.People {
		if _, ok := known[p.ID]; ok {
			continue
		}
		password, err := b.add(p)
		if err != nil {
			return err
		}
		out.People = append(out.People, credentials{Person: p, Password: password})
	}
	for id, act := range map[string]func(string) error{e.Disable: b.disable, e.Enable: b.enable} {
		if id == "" {
			continue
		}
		if err := act(id); err != nil {
			return fmt.Errorf("person %s: %w", id, err)
		}
		out.People = append(out.People, credentials{Person: known[id]})
	}
	if e.Change != nil {
		if err := b.change(*e.Change); err != nil {
			return fmt.Errorf("person %s: %w", e.Change.ID, err)
		}
		if there, err = b.everybody(); err != nil {
			return err
		}
		for _, p := range there {
			if p.ID == e.Change.ID {
				out.People = append(out.People, credentials{Person: p})
			}
		}
	}
	if e.Reset == "" {
		return nil
	}
	password, err := b.reset(e.Reset)
	if err != nil {
		return fmt.Errorf("person %s: %w", e.Reset, err)
	}
	out.People = append(out.People, credentials{Person: known[e.Reset], Password: password})
	return nil
}

// control is the daemon behind root's socket.
type control struct{ i place.Instance }

func (c control) up(ctx context.Context) bool {
	return c.call(ctx, http.MethodGet, "/people", nil, nil) == nil
}

func (c control) enter(ctx context.Context, e entry) (out entered, err error) {
	var revs struct {
		Revisions []struct {
			Number int `json:"number"`
		} `json:"revisions"`
	}
	if err := c.call(ctx, http.MethodGet, "/revisions?max=1", nil, &revs); err != nil {
		return out, err
	}
	if len(revs.Revisions) > 0 {
		out.Revision = revs.Revisions[0].Number
	} else if e.Text != "" {
		var r struct {
			Number int `json:"number"`
		}
		if err := c.call(ctx, http.MethodPost, "/revisions?"+url.Values{"comment": {e.Comment}}.Encode(), []byte(e.Text), &r); err != nil {
			return out, err
		}
		out.Revision = r.Number
	}
	ask := func(path string, v, into any) error {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return c.call(ctx, http.MethodPost, path, b, into)
	}
	type answer struct {
		Password string `json:"password"`
	}
	err = e.people(&out, books{
		everybody: func() ([]identity.Person, error) {
			var l struct{ People []identity.Person }
			return l.People, c.call(ctx, http.MethodGet, "/people", nil, &l)
		},
		section: func(s identity.Section) error { return ask("/sections", s, nil) },
		add: func(p identity.Person) (string, error) {
			var a answer
			err := ask("/people", p, &a)
			return a.Password, err
		},
		reset: func(id string) (string, error) {
			var a answer
			err := ask("/people/"+url.PathEscape(id)+"/reset", nil, &a)
			return a.Password, err
		},
		disable: func(id string) error { return ask("/people/"+url.PathEscape(id)+"/disable", nil, nil) },
		enable:  func(id string) error { return ask("/people/"+url.PathEscape(id)+"/enable", nil, nil) },
		change:  func(p identity.Person) error { return ask("/people/"+url.PathEscape(p.ID)+"/change", p, nil) },
	})
	return out, err
}

// refused is an error that control answered.
type refused struct {
	Code   int
	Text   string
	Merged string // a text that holds one's own changes and those made meanwhile
}

func (r *refused) Error() string { return r.Text }

// call asks control. The error is *refused when control said no, and anything else when it could not be asked.
func (c control) call(ctx context.Context, method, path string, body []byte, into any) error {
	return c.callAs(ctx, signature{}, method, path, body, into)
}

// callAs asks as somebody.
func (c control) callAs(ctx context.Context, as signature, method, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://control"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if as.id != "" {
		req.SetBasicAuth(as.id, as.password)
	}
	client := socket.Client(c.i.AdminSocket())
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask control of %s: %w", c.i, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 32<<20))
	if err != nil {
		return fmt.Errorf("ask control of %s: %w", c.i, err)
	}
	if resp.StatusCode/100 != 2 {
		var no struct {
			Error  string `json:"error"`
			Merged string `json:"merged"`
		}
		if json.Unmarshal(b, &no) != nil || no.Error == "" {
			no.Error = string(bytes.TrimSpace(b))
		}
		return &refused{resp.StatusCode, no.Error, no.Merged}
	}
	if into == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("ask control of %s: %w", c.i, err)
	}
	return nil
}

func isRoot(stderr io.Writer, what string) bool {
	if os.Geteuid() != 0 {
		fmt.Fprintf(stderr, "sekisho %s: only root may do that\n", what)
		return false
	}
	return true
}

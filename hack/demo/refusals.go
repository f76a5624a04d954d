package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/hack/town"
)

// joining is a record that would join My Number to the internet, as a hurried administrator might write it.
const joining = `
  - id: quick-fix
    from: {stations: [mn-pc1]}
    to: {services: [web]}
    ports: []
    purpose: 業者の依頼
    owner: 税務課
    until: 2036-03-31
`

// communications is where the records of a document begin.
const communications = "\ncommunications:\n"

// refusals is step 5: changes that must not come into force.
func (j *job) refusals(ctx context.Context) error {
	j.section(5, "What would join the zones is refused")
	doc, err := os.ReadFile(j.name.ConfigFile())
	if err != nil {
		return err
	}
	changed := strings.Replace(string(doc), communications, communications+strings.TrimPrefix(joining, "\n"), 1)
	if changed == string(doc) {
		return errors.New("the example configuration has no list of communications to add to")
	}
	file := filepath.Join(filepath.Dir(j.name.ConfigFile()), "joining.yaml")
	if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
		return err
	}
	before, err := j.status(ctx)
	if err != nil {
		return err
	}
	for _, args := range [][]string{{"check", file}, {"commit", "--name", string(j.name), file}} {
		j.check("sekisho "+args[0]+" of a record My Number -> internet", "refused with a counterexample (I1)", func() (string, bool, error) {
			out, err := j.town.Sekisho(ctx, args...)
			var exit *exec.ExitError
			if err == nil || !errors.As(err, &exit) {
				return "it was accepted", false, err
			}
			text := out + err.Error()
			shown := strings.Contains(text, "I1") && strings.Contains(text, "quick-fix") && strings.Contains(text, "203.0.113.11")
			return counterexample(text), exit.ExitCode() == 1 && shown, nil
		})
	}
	relabelled, err := lie(doc, func(c *config.Config) {
		// The internet is called My Number, and then the same record looks harmless.
		for i := range c.Ports {
			if c.Ports[i].ID == "inw0" {
				c.Ports[i].Zone = anchors.MyNumber
			}
		}
		for i := range c.Segments {
			if c.Segments[i].ID == "in-net" {
				c.Segments[i].Zone = anchors.MyNumber
			}
		}
		for i := range c.Communications {
			if c.Communications[i].ID == "web-use" {
				c.Communications[i].From = config.From{Stations: []string{"mn-pc1"}}
			}
		}
	})
	if err != nil {
		return err
	}
	j.check("control calls the internet port My Number (as user sekisho-control)", "409 by the anchors", func() (string, bool, error) {
		return j.lyingGeneration(ctx, relabelled, `I10: segment "in-net"`)
	})
	stranger, err := wgtypes.GeneratePrivateKey()
	if err != nil {
		return err
	}
	pointed, err := lie(doc, func(*config.Config) {})
	if err != nil {
		return err
	}
	pointed.Tunnels[0].Peers[0].PublicKey = stranger.PublicKey().String()
	j.check("control points the region at a stranger's key", "409 by the anchors", func() (string, bool, error) {
		return j.lyingGeneration(ctx, pointed, "is not that of the anchors")
	})
	// The file that nobody approved is verified and waits: only the missing approval keeps it.
	released := "/released/" + j.paper.own.id
	j.check("control asks release for "+j.paper.own.name+", verified but not approved", "403, not for control", func() (string, bool, error) {
		a, err := asUser(ctx, place.ControlUser, j.name.Instance().ReleaseSocket(), http.MethodGet, released, nil)
		return a.String(), a.status == http.StatusForbidden && a.Code == "release.role", err
	})
	j.check("the internet portal asks release for it, whatever control said", "403, the approval is missing", func() (string, bool, error) {
		a, err := asUser(ctx, place.PortalUser(anchors.Internet), j.name.Instance().ReleaseSocket(), http.MethodGet, released, nil)
		return a.String(), a.status == http.StatusForbidden && a.Code == "release.approval-missing", err
	})
	j.check("tables in force afterwards", "the same", func() (string, bool, error) {
		after, err := j.status(ctx)
		return fmt.Sprintf("tables %.12s, epoch %d", after.Hash, after.Epoch), after.Hash == before.Hash && after.Epoch == before.Epoch, err
	})
	return nil
}

// counterexample picks from a refusal the line that names a packet.
func counterexample(text string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, "198.18.10.") && strings.Contains(line, "203.0.113.") {
			return strings.TrimSpace(line)
		}
	}
	return lastLine(text)
}

// lie compiles what a control process would send that had changed the configuration and everything it checks it against.
func lie(doc []byte, change func(*config.Config)) (gate.Generation, error) {
	c, errs := config.Parse(doc)
	if err := errs.Err(); err != nil {
		return gate.Generation{}, err
	}
	change(c)
	return policy.Compile(c, policy.Anchors(c))
}

// lyingGeneration sends a generation to the dataplane as the control daemon's user would; the answer must say why not.
func (j *job) lyingGeneration(ctx context.Context, g gate.Generation, why string) (string, bool, error) {
	g.Revision, g.Tables.Revision = "0123456789abcdef", "0123456789abcdef"
	body, err := json.Marshal(g)
	if err != nil {
		return "", false, err
	}
	a, err := asUser(ctx, place.ControlUser, j.name.Instance().DataplaneSocket(), http.MethodPost, "/generation", body)
	return a.String(), a.status == http.StatusConflict && strings.Contains(a.Error, why), err
}

// reply is what a daemon's socket said.
type reply struct {
	status int
	Error  string `json:"error"`
	Code   string `json:"code"`
}

func (a reply) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", a.status, a.Code, a.Error))
}

// asUser speaks to one of the daemons' sockets from a process with another user.
func asUser(ctx context.Context, user, sock, method, path string, body []byte) (reply, error) {
	cred, err := town.Credential(user)
	if err != nil {
		return reply{}, err
	}
	cmd := exec.CommandContext(ctx, "curl", "-sS", "--max-time", "30", "--unix-socket", sock, "-X", method,
		"-H", "Content-Type: application/json", "--data-binary", "@-", "-w", "\n%{http_code}", "http://gate"+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	cmd.Stdin = bytes.NewReader(body)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return reply{Error: string(out)}, err
	}
	at := bytes.LastIndexByte(out, '\n')
	code, err := strconv.Atoi(string(out[at+1:]))
	if err != nil {
		return reply{Error: string(out)}, err
	}
	a := reply{status: code}
	if err := json.Unmarshal(out[:max(at, 0)], &a); err != nil {
		a.Error = string(out[:max(at, 0)]) // not all refusals are JSON
	}
	if words := []rune(a.Error); len(words) > 150 {
		a.Error = string(words[:150]) + "…"
	}
	return a, nil
}

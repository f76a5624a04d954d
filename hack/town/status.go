package town

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/sekisho/sekisho/dataplane/place"
)

// state is what `lab status` prints.
type state struct {
	Name    Name              `json:"name"`
	Outcome string            `json:"outcome"`
	Hosts   []hostState       `json:"hosts"`
	Portals []portalState     `json:"portals"`
	People  []Person          `json:"people,omitempty"`
	Sockets map[string]string `json:"sockets"`
	Logs    string            `json:"logs"`
}

type hostState struct {
	Name       string   `json:"name"`
	Namespace  string   `json:"namespace"`
	Addresses  []string `json:"addresses"`
	MAC        string   `json:"mac,omitempty"`
	Registered bool     `json:"registered"`
}

type portalState struct {
	Zone string `json:"zone"`
	URL  string `json:"url"`
	Addr string `json:"address"`
	From string `json:"from"` // host that may open it
}

// Status writes what a town consists of as JSON.
func Status(n Name, w io.Writer) error {
	r, err := n.Record()
	if err != nil {
		return fmt.Errorf("%w; `lab up --name %s` makes it", err, n)
	}
	i := place.Instance(n)
	s := state{Name: n, Outcome: r.Outcome, People: r.People, Logs: i.Run() + "/log",
		Sockets: map[string]string{"dataplane": i.DataplaneSocket(), "admin": i.AdminSocket()}}
	s.Hosts = append(s.Hosts, hostState{Name: Gate, Namespace: n.Netns(Gate), Registered: true, Addresses: []string{}})
	for _, h := range Hosts() {
		hs := hostState{Name: h.Name, Namespace: n.Netns(h.Name), MAC: h.MAC.String(), Registered: !h.Strange}
		for _, a := range h.Addrs {
			hs.Addresses = append(hs.Addresses, a.String())
		}
		s.Hosts = append(s.Hosts, hs)
	}
	portals, err := Portals()
	if err != nil {
		return err
	}
	for _, p := range portals {
		s.Portals = append(s.Portals, portalState{Zone: p.Zone.String(), URL: "https://" + p.Name + "/", Addr: p.Addr.String(), From: p.From})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(s)
}

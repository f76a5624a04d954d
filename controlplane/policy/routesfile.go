package policy

import (
	"fmt"

	"github.com/goccy/go-yaml"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// RoutesFile is the root-owned file by which the release process knows what a file needs before it may leave.
type RoutesFile struct {
	Version int     `yaml:"version"`
	Routes  []Route `yaml:"routes"`
}

// Route is one direction between two zones.
type Route struct {
	From      string   `yaml:"from"`
	To        string   `yaml:"to"`
	Approvals []string `yaml:"approvals,flow"` // roles, in order
	Formats   []string `yaml:"formats,flow"`   // families, as in verdict.Report
	MaxSize   int64    `yaml:"max_size"`       // bytes
	KeepDays  int      `yaml:"keep_days"`
	Decision  string   `yaml:"decision,omitempty"` // the security officer's, to let files in without prior approval

	Sanitize verdict.Policy `yaml:"sanitize,omitempty"` // what is done where there is a choice
}

// Routes derives the routes file from the configuration's transfers.
func Routes(cfg *config.Config) RoutesFile {
	out := RoutesFile{Version: 1, Routes: []Route{}}
	for _, t := range cfg.Transfers {
		if t.Approvals == nil {
			t.Approvals = []string{}
		}
		out.Routes = append(out.Routes, Route{t.From.String(), t.To.String(), t.Approvals, t.Formats, int64(t.MaxSize), t.KeepDays, t.Decision, t.Sanitize})
	}
	return out
}

// YAML writes the file.
func (r RoutesFile) YAML() ([]byte, error) {
	b, err := yaml.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write the routes file: %w", err)
	}
	return b, nil
}

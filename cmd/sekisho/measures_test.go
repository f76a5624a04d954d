package main

import (
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
)

// What `templates show MODEL` prints can be pasted as it is: it states every measure as planned.
func TestModelsSectionIsRead(t *testing.T) {
	for _, model := range config.Models {
		code, out := ran("templates", "show", model)
		if code != exitOK {
			t.Fatal(out)
		}
		cfg, errs := config.Parse([]byte(strings.Replace(string(examples.Lab), "model: alpha\n", out, 1)))
		if errs != nil {
			t.Fatalf("%v\n%s", errs, out)
		}
		list, err := cfg.Checklist(nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range list {
			if i.Standing != config.Pending && i.Standing != config.Held {
				t.Errorf("model %s: %s is %s", model, i.ID, i.Standing)
			}
		}
		if cfg.Model != model {
			t.Errorf("got model %s of %s", cfg.Model, model)
		}
	}
}

package main

import (
	"fmt"
	"io"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy/difference"
)

// compared reads two texts and says what changes between them in packets; nil where one of them is no configuration (any more).
func compared(texts [2][]byte, labels []string, stderr io.Writer) *difference.Difference {
	var cfg [2]*config.Config
	for n, text := range texts {
		var faults config.Errors
		if cfg[n], faults = config.Parse(text); faults != nil {
			fmt.Fprintf(stderr, "sekisho: %s cannot be read as a configuration (errors: %d; sekisho check lists them): only the texts are compared\n", labels[n], len(faults))
			return nil
		}
	}
	return difference.Of(cfg[0], cfg[1])
}

// against says, for `sekisho check`, what a configuration changes beside another one.
func against(file string, cfg *config.Config, lang string, stdout, stderr io.Writer) bool {
	older, ok := parse(file, stderr)
	if !ok {
		return false
	}
	fmt.Fprintf(stdout, "%s:\n", file)
	if err := difference.Of(older, cfg).Print(stdout, lang); err != nil {
		fmt.Fprintf(stderr, "sekisho check: %v\n", err)
		return false
	}
	return true
}

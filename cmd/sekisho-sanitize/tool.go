package main

import (
	"context"
	"io"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// runTool answers one need with a program of the tree that is this sandbox's root. What bounds it is the sandbox.
func runTool(stdin io.Reader, stdout io.Writer) error {
	n, err := verdict.ReadNeed(stdin, sanitize.MaxIn)
	if err != nil {
		return err
	}
	return verdict.WriteAnswer(stdout, tool.Run(context.Background(), n, tool.Work))
}

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

// runOffice is runTool for documents, with a LibreOffice that is started before there is a need to read.
func runOffice(stdin io.Reader, stdout io.Writer) error {
	convert := tool.Ready(context.Background(), tool.Work)
	n, err := verdict.ReadNeed(stdin, sanitize.MaxIn)
	if err != nil {
		return err
	}
	return verdict.WriteAnswer(stdout, convert(n))
}

package main

import (
	"context"
	"fmt"
	"io"
)

func runInit(_ context.Context, _ []string, _, stderr io.Writer) int {
	fmt.Fprintln(stderr, "sekisho init: not in this build")
	return exitFailed
}

package tunnel_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/linelab"
	"github.com/sekisho/sekisho/dataplane/tunnel/region"
)

// The test binary is also the engine process and the far end.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == tunnel.ChildCommand {
		os.Exit(tunnel.Child(context.Background(), os.Stderr))
	}
	if len(os.Args) > 2 && os.Args[1] == "region" {
		fmt.Fprintln(os.Stderr, region.Run(context.Background(), os.Args[2], region.Options{}))
		os.Exit(1)
	}
	os.Exit(linelab.Main(m))
}

package tunnel_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/sekisho/sekisho/dataplane/tunnel/linelab"
	"github.com/sekisho/sekisho/dataplane/tunnel/region"
)

// The test binary is also the engine process and the far end.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "region" {
		fmt.Fprintln(os.Stderr, region.Run(context.Background(), os.Args[2], region.Options{}))
		os.Exit(1)
	}
	os.Exit(linelab.Main(m))
}

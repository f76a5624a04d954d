package packet

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

func TestScratchLoad(t *testing.T) {
	spec, err := loadPrograms()
	if err != nil {
		t.Fatal(err)
	}
	if err := setFlows(spec, sizesFor(65536), 65536, 1000, hashKeys{}); err != nil {
		t.Fatal(err)
	}
	full := spec.Programs
	for name := range full {
		s := spec.Copy()
		for n := range s.Programs {
			if n != name {
				delete(s.Programs, n)
			}
		}
		start := time.Now()
		c, err := ebpf.NewCollectionWithOptions(s, ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats, LogSizeStart: 1 << 20}})
		if err != nil {
			var ve *ebpf.VerifierError
			if errors.As(err, &ve) {
				n := len(ve.Log)
				fmt.Println(name, strings.Join(ve.Log[max(0, n-12):], "\n"))
			}
			fmt.Println(name, err)
			continue
		}
		fmt.Println(name, time.Since(start), c.Programs[name].VerifierLog)
		c.Close()
	}
}

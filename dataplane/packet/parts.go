package packet

import (
	"cmp"
	"runtime"
	"sync"
)

// inParts does something with n things; with many in several threads, since most of the time is spent waiting for memory. It
// answers the first part's error.
func inParts(n int, do func(from, to int) error) error {
	const many = 1 << 14
	parts := min(4, runtime.GOMAXPROCS(0), 1+n/many)
	errs := make([]error, parts)
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() { errs[i] = do(n*i/parts, n*(i+1)/parts) })
	}
	wg.Wait()
	return cmp.Or(errs...)
}

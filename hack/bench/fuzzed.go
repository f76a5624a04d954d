package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// fuzzed is the ledger of `make fuzz`: how often each target has run, over all runs.
type fuzzed map[string]int64

func readFuzzed() (fuzzed, error) {
	b, err := os.ReadFile("hack/fuzz/executions.json")
	if err != nil {
		return nil, err
	}
	var f fuzzed
	return f, json.Unmarshal(b, &f)
}

func (f fuzzed) total() (n int64) {
	for _, of := range f {
		n += of
	}
	return n
}

func (f fuzzed) lines() []string {
	if len(f) == 0 {
		return nil
	}
	var each []int64
	for _, n := range f {
		each = append(each, n)
	}
	slices.Sort(each)
	return []string{fmt.Sprintf("fuzzed\t%d targets\t%d executions\tthe least of them %d, the median %d", len(f), f.total(), each[0], each[len(each)/2])}
}

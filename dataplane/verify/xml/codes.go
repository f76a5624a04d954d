package xml

import _ "embed"

// Codes are what this package's refusals are called, with the sentences that a clerk reads (verdict.Catalogue).
//
//go:embed codes.json
var Codes []byte

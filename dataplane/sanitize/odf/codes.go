package odf

import _ "embed"

// Codes are what this package's findings and refusals are called, with the sentences that a clerk reads (verdict.Catalogue).
//
//go:embed codes.json
var Codes []byte

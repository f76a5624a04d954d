package pdf

// Fonts with something hidden, for tests of whole files.
var (
	CompactOf  = compactOf
	TrueTypeOf = trueTypeOf
	Type1Of    = type1Of
	Type1Hex   = type1Hex
)

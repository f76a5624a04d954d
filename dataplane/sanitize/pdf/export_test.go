package pdf

// Fonts with something hidden, for tests of whole files.
var (
	CompactOf  = compactOf
	TrueTypeOf = trueTypeOf
)

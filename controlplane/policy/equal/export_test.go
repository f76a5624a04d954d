package equal

// MostNoted lets a test look up what records expect in small parts.
var MostNoted = &mostNoted

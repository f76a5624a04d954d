package bandwidth

// Root is the handle of the root class.
var Root = handle(rootMinor)

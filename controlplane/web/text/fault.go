package text

// Seen says what a check on the way to a region found.
func (l Lang) Seen(code string, args []string) string { return l.T("seen."+code, anyOf(args)...) }

// Remedy says what to do about it; "" when there is nothing to do.
func (l Lang) Remedy(code string, args []string) string {
	if !l.Has("remedy." + code) {
		return ""
	}
	return l.T("remedy."+code, anyOf(args)...)
}

func anyOf(in []string) []any {
	out := make([]any, len(in))
	for i, s := range in {
		out[i] = s
	}
	return out
}

package pdf

import (
	"slices"
	"strings"
)

// Rules for values that are no objects of their own.

func aName(w *walk, v value) (value, bool) {
	v, _ = w.get(v)
	n, ok := v.(name)
	return n, ok
}

// oneOf takes the names that are given.
func oneOf(words string) rule {
	all := strings.Fields(words)
	return func(w *walk, v value) (value, bool) {
		v, _ = w.get(v)
		n, ok := v.(name)
		return n, ok && slices.Contains(all, string(n))
	}
}

func aNumber(w *walk, v value) (value, bool) {
	v, _ = w.get(v)
	n, ok := v.(number)
	return n, ok
}

func anInt(w *walk, v value) (value, bool) {
	v, _ = w.get(v)
	i, ok := integer(v)
	return whole(i), ok
}

func aBool(w *walk, v value) (value, bool) {
	v, _ = w.get(v)
	b, ok := v.(bool)
	return b, ok
}

func aText(w *walk, v value) (value, bool) {
	v, _ = w.get(v)
	s, ok := v.(text)
	return s, ok
}

func aRect(w *walk, v value) (value, bool) { return numbers(4, 4)(w, v) }

// numbers takes an array of so many.
func numbers(least, most int) rule {
	return func(w *walk, v value) (value, bool) {
		v, ok := each(aNumber)(w, v)
		if !ok {
			return nil, false
		}
		n := len(v.(array))
		return v, n >= least && n <= most
	}
}

// each takes an array all of whose elements the rule takes.
func each(r rule) rule {
	return func(w *walk, v value) (value, bool) {
		v, _ = w.get(v)
		a, ok := v.(array)
		if !ok {
			return nil, false
		}
		out := make(array, len(a))
		for i, e := range a {
			if out[i], ok = r(w, e); !ok {
				return nil, false
			}
		}
		w.values += len(a)
		return out, w.values < maxValues
	}
}

// some takes those elements of an array that the rule takes.
func some(r rule) rule {
	return func(w *walk, v value) (value, bool) {
		v, _ = w.get(v)
		a, ok := v.(array)
		if !ok {
			return nil, false
		}
		out := list{}
		for _, e := range a {
			if v, ok := r(w, e); ok {
				out = append(out, v)
			}
		}
		w.values += len(a)
		return out, w.values < maxValues
	}
}

// either takes what the first of the rules takes that takes it.
func either(rules ...rule) rule {
	return func(w *walk, v value) (value, bool) {
		for _, r := range rules {
			if v, ok := r(w, v); ok {
				return v, true
			}
		}
		return nil, false
	}
}

// named takes a dictionary of names, each for what the rule takes.
func named(r rule) rule {
	return func(w *walk, v value) (value, bool) {
		v, o := w.get(v)
		d, ok := v.(dict)
		if !ok || o != nil && o.stream {
			return nil, false
		}
		out := dict{}
		for _, k := range d.keys() {
			if v, ok := r(w, d[k]); ok {
				out[k] = v
			}
		}
		w.values += len(d)
		return out, w.values < maxValues
	}
}

// trimmed marks what is known and left out without a word: it says nothing to a reader.
func trimmed(*walk, value) (value, bool) { return nil, false }

// gone marks what is left out and named in the report.
func gone(code string) rule {
	return func(w *walk, v value) (value, bool) {
		w.removed(code, "")
		return nil, false
	}
}

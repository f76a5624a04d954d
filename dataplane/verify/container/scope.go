package container

import "strings"

// scope is what prefixes mean inside of an element that declares some; outside of its own declarations that of the element around it.
type scope struct {
	outer    *scope
	own      []binding
	elements map[string]string // names met so far, as written -> resolved
	others   map[string]string // of attributes
}

// binding ties a prefix, "" for the default, to a namespace by its short name, "" for one that is not on the list.
type binding struct{ prefix, space string }

// none is the short name of no namespace at all: only VML drawings have elements in it, where the caller looks.
const none = "none"

func (s *scope) find(prefix string) (string, bool) {
	for ; s != nil; s = s.outer {
		for _, b := range s.own {
			if b.prefix == prefix {
				return b.space, true
			}
		}
	}
	return none, prefix == ""
}

// maxNames of a scope are remembered; what else comes is looked up each time.
const maxNames = 4000

func (s *scope) element(raw string) (string, bool) {
	if name, ok := s.elements[raw]; ok {
		return name, true
	}
	prefix, local, prefixed := strings.Cut(raw, ":")
	if !prefixed {
		prefix, local = "", raw
	}
	space, ok := s.find(prefix)
	if !ok || space == "" {
		return "", false
	}
	name := space + ":" + local
	s.elements = remember(s.elements, raw, name)
	return name, true
}

func (s *scope) attribute(raw string) (string, bool) {
	if strings.IndexByte(raw, ':') < 0 {
		return raw, true
	}
	if name, ok := s.others[raw]; ok {
		return name, true
	}
	prefix, local, _ := strings.Cut(raw, ":")
	space, ok := s.find(prefix)
	if !ok || space == "" {
		return "", false
	}
	name := space + ":" + local
	s.others = remember(s.others, raw, name)
	return name, true
}

func remember(m map[string]string, raw, name string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	if len(m) < maxNames {
		m[raw] = name
	}
	return m
}

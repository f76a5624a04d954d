package pdf

import (
	"fmt"
	"slices"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// walk builds the new graph. What is reached by a reference is rebuilt as the kind that the place of the reference wants, so an
// object that is reached as two kinds becomes two. Recursion follows nesting inside one object only; references go to a list.
type walk struct {
	*rebuild.Job
	doc    *document
	kinds  map[string]kind
	key    map[string]string // the password that opened the file
	new    map[as]ref
	out    []*made
	todo   []*made
	at     *made // that is being rebuilt
	depth  int
	values int
	bytes  int64
	asked  bool // for an answer that is not there: go on, to ask for all at once

	pages    []*made // in their order, without a place in todo
	pageOf   map[ref]ref
	dests    map[string]value
	stale    bool // what fields show is not what is filled in
	outlines ref
	faces    map[ref]*face
	off      map[ref]bool // layers that are not shown when the document is opened
}

type as struct {
	old  ref
	kind string
}

// made is one object of the new graph.
type made struct {
	object
	from   *object
	kind   string
	page   int   // on which it was met first; 0: on none
	self   ref   // of a page: its number
	drop   bool  // it is no such kind: what refers to it goes without
	broken error // it cannot be proven clean: pages that show it are flattened
	says   *script
	told   bool // of a page: what it says was heard
}

// A rule rebuilds one value, or tells that it does not belong.
type rule func(w *walk, v value) (value, bool)

// kind is a dictionary or stream by what may be in it.
type kind struct {
	typ    name // of /Type, written where it is given
	stream bool
	keys   map[name]rule
	need   []name
	quiet  bool // keys that are left out say nothing
	make   func(w *walk, o *object, k kind) (value, bool)
}

func (w *walk) place() string {
	if w.at != nil && w.at.page > 0 {
		return fmt.Sprintf("p%d", w.at.page)
	}
	return ""
}

func (w *walk) removed(code, detail string) { w.Found.Add(code, w.place(), verdict.Removed, detail) }
func (w *walk) changed(code, detail string) { w.Found.Add(code, w.place(), verdict.Changed, detail) }

// broke marks the object that is being rebuilt as one that nobody can vouch for.
func (w *walk) broke(err error) {
	if w.at.broken == nil {
		w.at.broken = err
	}
}

// get follows references to what they lead to.
func (w *walk) get(v value) (value, *object) {
	for range 32 {
		r, ok := v.(ref)
		if !ok {
			return v, nil
		}
		o := w.doc.objects[r]
		if o == nil {
			return nil, nil
		}
		if _, more := o.v.(ref); !more {
			return o.v, o
		}
		v = o.v
	}
	return nil, nil
}

// last is the reference in a chain that leads to no other.
func (w *walk) last(v value) (ref, *object) {
	for range 32 {
		r, ok := v.(ref)
		if !ok {
			break
		}
		o := w.doc.objects[r]
		if o == nil {
			break
		}
		if _, more := o.v.(ref); !more {
			return r, o
		}
		v = o.v
	}
	return 0, nil
}

// reach is the rule for what lies in an object of its own, or in place.
func reach(kindName string) rule {
	return func(w *walk, v value) (value, bool) {
		r, o := w.last(v)
		if o == nil {
			if _, ok := v.(dict); !ok {
				return nil, false
			}
			return w.within(&object{v: v}, kindName)
		}
		return w.number(r, o, kindName)
	}
}

// number gives the object its number in the new graph.
func (w *walk) number(r ref, o *object, kindName string) (value, bool) {
	key := as{r, kindName}
	if n, ok := w.new[key]; ok {
		return n, !w.out[n-1].drop
	}
	if w.kinds[kindName].stream != o.stream && w.kinds[kindName].make == nil {
		return nil, false
	}
	m := w.add(kindName)
	m.from = o
	w.new[key] = ref(len(w.out))
	w.todo = append(w.todo, m)
	return ref(len(w.out)), true
}

// add makes a new object without an old one.
func (w *walk) add(kindName string) *made {
	m := &made{kind: kindName}
	if w.at != nil {
		m.page = w.at.page
	}
	w.out = append(w.out, m)
	return m
}

// within rebuilds a dictionary where it stands.
func (w *walk) within(o *object, kindName string) (value, bool) {
	if w.depth++; w.depth > 2*maxDepth {
		w.depth--
		return nil, false
	}
	defer func() { w.depth-- }()
	k := w.kinds[kindName]
	if k.make != nil {
		return k.make(w, o, k)
	}
	return w.shape(o, k)
}

// shape takes what the kind names from the dictionary.
func (w *walk) shape(o *object, k kind) (value, bool) {
	in, ok := o.v.(dict)
	if !ok || k.stream != o.stream {
		return nil, false
	}
	out := dict{}
	for _, key := range in.keys() {
		r := k.keys[key]
		if r == nil {
			w.unknown(key, k)
			continue
		}
		if v, ok := r(w, in[key]); ok {
			out[key] = v
		}
	}
	for _, n := range k.need {
		if out[n] == nil {
			return nil, false
		}
	}
	if k.typ != "" {
		out["Type"] = k.typ
	}
	if w.values += len(out); w.values > maxValues {
		w.broke(errDeep)
		return nil, false
	}
	return out, true
}

// run rebuilds all that is reached, the newest first: so it is on the page that led to it.
func (w *walk) run() error {
	for len(w.todo) > 0 {
		if err := w.Ctx.Err(); err != nil {
			return err
		}
		if len(w.out) > maxObjects {
			return rebuild.Refuse("limit.members", "", fmt.Sprintf("limit %d objects", maxObjects))
		}
		m := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		if err := w.build(m); err != nil {
			return err
		}
	}
	w.at = nil
	return nil
}

func (w *walk) build(m *made) error {
	w.at, w.depth = m, 0
	k := w.kinds[m.kind]
	m.stream = k.stream
	v, ok := w.within(m.from, m.kind)
	m.v = v
	if m.drop = !ok; m.drop {
		m.data = nil
	}
	if w.bytes += int64(len(m.data)); w.bytes > w.MaxOut*4 {
		return rebuild.Refuse("limit.output", w.place(), fmt.Sprintf("limit %d bytes", w.MaxOut*4))
	}
	return nil
}

// settle takes out references to what was left out.
func (w *walk) settle() {
	for changed := true; changed; {
		changed = false
		for _, m := range w.out {
			if m.drop {
				continue
			}
			v, ok := w.prune(m.v)
			if !ok {
				m.drop, changed = true, true
				continue
			}
			m.v = v
			for _, n := range w.kinds[m.kind].need {
				if d := m.dict(); d == nil || d[n] == nil {
					m.drop, changed = true, true
				}
			}
		}
	}
}

func (w *walk) prune(v value) (value, bool) {
	switch v := v.(type) {
	case ref:
		return v, v > 0 && int(v) <= len(w.out) && !w.out[v-1].drop
	case dict:
		for k, e := range v {
			p, ok := w.prune(e)
			if !ok {
				delete(v, k)
				continue
			}
			v[k] = p
		}
	case list:
		return slices.DeleteFunc(v, func(e value) bool { _, ok := w.prune(e); return !ok }), true
	case array:
		for _, e := range v {
			if _, ok := w.prune(e); !ok {
				return nil, false
			}
		}
	}
	return v, true
}

// numbered is the graph from the root on, with numbers in the order in which it is read. An object in it that nobody can vouch for is
// answered, too.
func (w *walk) numbered(root ref) ([]*object, *made) {
	var broken *made
	news := make([]ref, len(w.out)+1)
	var order []*object
	var visit func(v value) value
	visit = func(v value) value {
		switch v := v.(type) {
		case ref:
			if news[v] == 0 {
				order = append(order, &w.out[v-1].object)
				if w.out[v-1].broken != nil {
					broken = w.out[v-1]
				}
				news[v] = ref(len(order))
			}
			return news[v]
		case dict:
			for _, k := range v.keys() {
				v[k] = visit(v[k])
			}
		case array:
			for i, e := range v {
				v[i] = visit(e)
			}
		case list:
			for i, e := range v {
				v[i] = visit(e)
			}
		}
		return v
	}
	visit(root)
	for i := 0; i < len(order); i++ {
		order[i].v = visit(order[i].v)
	}
	return order, broken
}

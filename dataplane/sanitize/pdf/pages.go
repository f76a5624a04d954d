package pdf

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Bounds of a page tree.
const (
	maxPages     = 50_000
	maxPageDepth = 200
)

// leaf is a page of the old document with what it inherits.
type leaf struct {
	r         ref
	d         dict
	inherited dict
}

// leaves walks the page tree (7.7.3) in its order, without going into a node twice.
func (w *walk) leaves(root value) ([]leaf, error) {
	type node struct {
		v         value
		inherited dict
		depth     int
	}
	var out []leaf
	seen := map[ref]bool{}
	todo := []node{{v: root, inherited: dict{}}}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		r, o := w.last(n.v)
		if o == nil || o.stream || seen[r] {
			continue
		}
		seen[r] = true
		d := o.dict()
		if d == nil {
			continue
		}
		have := maps.Clone(n.inherited)
		for _, k := range []name{"Resources", "MediaBox", "CropBox", "Rotate"} {
			if d[k] != nil {
				have[k] = d[k]
			}
		}
		kids, _ := w.get(d["Kids"])
		if a, ok := kids.(array); ok {
			if n.depth++; n.depth > maxPageDepth {
				return nil, rebuild.Refuse("limit.nesting", "", "page tree")
			}
			for _, k := range slices.Backward(a) {
				todo = append(todo, node{k, have, n.depth})
			}
			continue
		}
		if out = append(out, leaf{r, d, have}); len(out) > maxPages {
			return nil, rebuild.Refuse("limit.members", "", fmt.Sprintf("limit %d pages", maxPages))
		}
	}
	return out, nil
}

var pageKeys = map[name]rule{
	"Type": trimmed, "Parent": trimmed, "Resources": reach("Resources"), "MediaBox": aRect, "CropBox": aRect, "BleedBox": aRect, "TrimBox": aRect, "ArtBox": aRect, "Rotate": anInt, "UserUnit": aNumber,
	"Group": reach("Group"), "Tabs": aName, "StructParents": trimmed, "Contents": trimmed, "Annots": some(reach("Annotation")), "LastModified": trimmed, "Thumb": trimmed, "B": trimmed, "Dur": trimmed, "Trans": trimmed,
	"BoxColorInfo": trimmed, "ID": trimmed, "PZ": trimmed, "SeparationInfo": trimmed, "PresSteps": trimmed, "TemplateInstantiated": trimmed, "VP": trimmed, "DPart": trimmed, "OutputIntents": trimmed,
}

// page rebuilds one page: its dictionary, then its content, which is one stream.
func (w *walk) page(m *made, l leaf) error {
	w.at, w.depth = m, 0
	d := maps.Clone(l.d)
	maps.Copy(d, l.inherited)
	v, ok := w.shape(&object{v: d}, kind{typ: "Page", keys: pageKeys})
	if !ok {
		return rebuild.Refuse("pdf.broken", w.place(), "page")
	}
	out := v.(dict)
	if out["MediaBox"] == nil {
		out["MediaBox"] = array{number("0"), number("0"), number("612"), number("792")}
	}
	m.v = out
	data, ok := w.contents(d["Contents"])
	if !ok {
		w.broke(errGrammar)
		return nil
	}
	resources, _ := first2(w.get(d["Resources"])).(dict)
	b := w.rewrite(data, resources)
	if fields := w.fields(d, out); len(fields) > 0 {
		b = append([]byte("q\n"), b...)
		b = w.rewrite(append(append(b, "Q\n"...), fields...), nil)
	}
	if len(b) == 0 {
		return nil
	}
	c := w.add("Contents")
	c.v, c.stream, c.data = dict{}, true, b
	out["Contents"] = ref(len(w.out))
	w.bytes += int64(len(b))
	return nil
}

// contents joins the streams of a page: they are one, split anywhere between tokens (7.7.3.3).
func (w *walk) contents(v value) ([]byte, bool) {
	got, o := w.get(v)
	if o != nil && o.stream {
		return w.decoded(o)
	}
	a, ok := got.(array)
	if !ok {
		return nil, got == nil
	}
	var all []byte
	for _, e := range a {
		_, o := w.get(e)
		if o == nil || !o.stream {
			continue
		}
		b, ok := w.decoded(o)
		if !ok || len(all)+len(b) > maxContent {
			return nil, false
		}
		all = append(append(all, b...), '\n')
	}
	return all, true
}

// notable are keys that no kind has: what they mean to a reader of the report.
var notable = map[name]string{
	"AA": "pdf.action", "OpenAction": "pdf.action", "JS": "pdf.javascript", "JavaScript": "pdf.javascript", "Metadata": "pdf.metadata", "Info": "pdf.metadata", "PieceInfo": "pdf.private", "AF": "pdf.attachment",
	"EmbeddedFiles": "pdf.attachment", "Collection": "pdf.attachment", "XFA": "pdf.xfa", "Perms": "pdf.signature", "Ref": "pdf.remote", "F": "pdf.remote", "FFilter": "pdf.remote", "OPI": "pdf.remote", "Threads": "pdf.unknown",
}

// silent are keys of every stream, or such that say nothing.
var silent = words("JT Length Filter DecodeParms DL Type Version Extensions Name LastModified FormType SpiderInfo Legal Length1 Length2 Length3 StructParent StructParents URI Requirements DSS DPartRoot PTEX.Fullbanner PTEX.PageNumber PTEX.FileName PTEX.InfoDict")

// unknown is called for each key that is left out without a rule.
func (w *walk) unknown(key name, k kind) {
	switch code := notable[key]; {
	case code != "":
		w.removed(code, "")
	case k.quiet || silent[string(key)]:
	default:
		w.Found.First("pdf.unknown", w.place(), verdict.Removed, string(key))
	}
}

// tree reads a name or number tree (7.9.6, 7.9.7) into pairs, in the order of its leaves.
func (w *walk) tree(root value, key name, each func(k, v value)) {
	seen := map[ref]bool{}
	todo := []value{root}
	for n := 0; len(todo) > 0 && n < maxObjects; n++ {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if r, _ := w.last(v); r != 0 {
			if seen[r] {
				continue
			}
			seen[r] = true
		}
		got, _ := w.get(v)
		d, ok := got.(dict)
		if !ok {
			continue
		}
		if kids, ok := first2(w.get(d["Kids"])).(array); ok {
			for _, k := range slices.Backward(kids) {
				todo = append(todo, k)
			}
		}
		if pairs, ok := first2(w.get(d[key])).(array); ok {
			for i := 0; i+1 < len(pairs); i += 2 {
				k, _ := w.get(pairs[i])
				each(k, pairs[i+1])
			}
		}
	}
}

// findDestinations reads what places of the document are called, from the tree of strings and the dictionary of names.
func (w *walk) findDestinations(catalog dict) {
	w.dests = map[string]value{}
	names, _ := first2(w.get(catalog["Names"])).(dict)
	for _, k := range names.keys() {
		switch k {
		case "Dests", "Pages", "Templates", "IDS", "URLS", "AP":
		default:
			if k == "EmbeddedFiles" && w.Policy.Attachments == "rebuild" {
				continue
			}
			code := notable[k]
			if code == "" {
				code = "pdf.unknown"
			}
			w.removed(code, "")
		}
	}
	w.tree(names["Dests"], "Names", func(k, v value) {
		if t, ok := k.(text); ok {
			w.dests[string(t)] = v
		}
	})
	if old, ok := first2(w.get(catalog["Dests"])).(dict); ok {
		for k, v := range old {
			w.dests["/"+string(k)] = v
		}
	}
	for _, k := range slices.Sorted(maps.Keys(w.dests)) {
		v, ok := destination(w, w.dests[k])
		switch v.(type) {
		case array:
			w.dests[k] = v
		default:
			ok = false
		}
		if !ok {
			delete(w.dests, k)
		}
	}
}

// named tells whether the document has a place of the name.
func (w *walk) named(n string) bool { return w.dests[n] != nil }

// catalog makes the root.
func (w *walk) catalog(old dict) (ref, error) {
	m := w.add("Catalog")
	root := ref(len(w.out))
	nodes := w.add("Pages")
	node := ref(len(w.out))
	leaves, err := w.leaves(old["Pages"])
	if err != nil {
		return 0, err
	}
	if len(leaves) == 0 {
		return 0, rebuild.Refuse("pdf.broken", "", "no pages")
	}
	kids := array{}
	for i, l := range leaves {
		p := w.add("Page")
		p.page, p.self = i+1, ref(len(w.out))
		w.pages, w.pageOf[l.r] = append(w.pages, p), p.self
		kids = append(kids, p.self)
	}
	nodes.v = dict{"Type": name("Pages"), "Kids": kids, "Count": whole(len(kids))}
	w.outlines, _ = w.last(old["Outlines"])
	w.findDestinations(old)
	w.findLayers(old)
	v, ok := w.shape(&object{v: old}, kind{typ: "Catalog", keys: catalogKeys})
	if !ok {
		return 0, rebuild.Refuse("pdf.broken", "", "catalog")
	}
	d := v.(dict)
	d["Pages"] = node
	m.v = d
	if err := w.run(); err != nil {
		return 0, err
	}
	for i, l := range leaves {
		if err := w.page(w.pages[i], l); err != nil {
			return 0, err
		}
		w.pages[i].v.(dict)["Parent"] = node
		if err := w.run(); err != nil {
			return 0, err
		}
		if err := w.tell(w.pages[i]); err != nil {
			return 0, err
		}
	}
	var byString array
	places := dict{}
	for _, k := range slices.Sorted(maps.Keys(w.dests)) {
		if n, ok := strings.CutPrefix(k, "/"); ok {
			places[name(n)] = w.dests[k]
		} else {
			byString = append(byString, text(k), w.dests[k])
		}
	}
	if len(places) > 0 {
		d["Dests"] = places
	}
	found := dict{}
	if len(byString) > 0 {
		found["Dests"] = dict{"Names": byString}
	}
	if w.Policy.Attachments == "rebuild" {
		names, _ := first2(w.get(old["Names"])).(dict)
		files, err := w.attachments(names["EmbeddedFiles"])
		if err != nil {
			return 0, err
		}
		if len(files) > 0 {
			found["EmbeddedFiles"] = dict{"Names": files}
		}
	}
	if len(found) > 0 {
		d["Names"] = found
	}
	return root, nil
}

var catalogKeys = map[name]rule{
	"Type": trimmed, "Version": trimmed, "Extensions": trimmed, "Pages": trimmed, "Names": trimmed, "Dests": trimmed, "PageLabels": pageLabels, "PageMode": oneOf("UseNone UseOutlines UseOC"), "PageLayout": aName,
	"ViewerPreferences": reach("Preferences"), "Outlines": reach("Outlines"), "Lang": aText, "OCProperties": reach("LayerProperties"), "StructTreeRoot": gone("pdf.structure"), "MarkInfo": trimmed,
	"OutputIntents": trimmed, "AcroForm": acroForm, "URI": trimmed,
}

// pageLabels are how pages are numbered (12.4.2).
func pageLabels(w *walk, v value) (value, bool) {
	pairs := array{}
	w.tree(v, "Nums", func(k, v value) {
		n, ok := integer(k)
		label, ok2 := reach("PageLabel")(w, v)
		if ok && ok2 && n >= 0 {
			pairs = append(pairs, whole(n), label)
		}
	})
	return dict{"Nums": pairs}, len(pairs) > 0
}

// acroForm is left out: fields are drawn into their pages.
func acroForm(w *walk, v value) (value, bool) {
	v, _ = w.get(v)
	d, _ := v.(dict)
	w.stale, _ = first2(w.get(d["NeedAppearances"])).(bool)
	if d["XFA"] != nil {
		w.removed("pdf.xfa", "")
	}
	return nil, false
}

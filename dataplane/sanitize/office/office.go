// Package office rebuilds Word, Excel and PowerPoint documents (OOXML, ECMA-376).
//
// Problem: such a document is a package of parts, and what acts in it hides in parts, in relationships, in elements, in attributes and
// in the text of fields and formulas; programs add new kinds every year. Mechanism: from the main part the relationships that
// rules.go allows are followed; each part that is reached is written again token by token, as far as its namespaces and elements are
// on the lists; each picture is rebuilt by its own family. Life cycle: one call of Rebuild. Invariant: a part that no allowed
// relationship reaches, and a namespace that is not named, do not exist in the result; the result rebuilt again is the same.
package office

import (
	"bytes"
	"path"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/compound"
	"github.com/sekisho/sekisho/dataplane/sanitize/container"
	"github.com/sekisho/sekisho/dataplane/sanitize/crypt"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Rebuild rebuilds a Word, Excel or PowerPoint document: from the main part it follows the relationships that rules.go allows,
// filters each part that it reaches token by token, rebuilds each picture, and writes a new package of those. A part that no
// allowed relationship reaches does not exist for it.
func Rebuild(j *rebuild.Job) (rebuild.Result, error) {
	if bytes.HasPrefix(j.In, []byte(compound.Magic)) {
		plain, err := crypt.Open(j.Ctx, j.In, j.Keys)
		if err != nil {
			return rebuild.Result{}, err
		}
		if err := j.Budget.Spend(int64(len(plain))); err != nil {
			return rebuild.Result{}, err
		}
		if err := j.Opened(plain); err != nil {
			return rebuild.Result{}, err
		}
		j.Found.Add("legacy.opened", "", verdict.Changed, "")
		j.In = plain
	}
	if !bytes.HasPrefix(j.In, []byte("PK\x03\x04")) {
		return rebuild.Result{}, brokenPart("ZIP does not begin with a member")
	}
	z, err := container.Open(j.Ctx, j.In)
	if err != nil {
		return rebuild.Result{}, err
	}
	a := &archive{Archive: z}
	if err := a.readTypes(); err != nil {
		return rebuild.Result{}, err
	}
	o := &office{Job: j, archive: a, parts: map[string]*part{}, outNames: map[string]bool{}, before: &rebuild.Excerpt{}, after: &rebuild.Excerpt{}}
	main, err := o.mainPart()
	if err != nil {
		return rebuild.Result{}, err
	}
	outExt := j.Ext
	if p, macro := Plain[j.Ext]; macro {
		outExt = p
	}
	if family := MainTypes[main.contentType]; family != MainTypes[mainTypes[outExt]] {
		return rebuild.Result{}, rebuild.Refuse("type.mismatch", "", family+" / "+j.Ext)
	}
	main.contentType = mainTypes[outExt]
	if err := o.follow(main); err != nil {
		return rebuild.Result{}, err
	}
	if o.asked {
		return rebuild.Result{}, rebuild.ErrAsked
	}
	o.unreached()
	if err := o.write(main); err != nil {
		return rebuild.Result{}, err
	}
	out := j.Out()
	if err := container.Write(out, typesName, o.out); err != nil {
		return rebuild.Result{}, err
	}
	return rebuild.Result{Body: out.Bytes(), Original: &verdict.Preview{Text: strings.TrimRight(o.before.String(), "\n")}, Result: &verdict.Preview{Text: strings.TrimRight(o.after.String(), "\n")}}, nil
}

// office is one document on its way.
type office struct {
	*rebuild.Job
	*archive
	order    []*part          // in order of discovery
	parts    map[string]*part // by key of the original
	outNames map[string]bool  // keys of the names given out
	out      []container.Part

	books         *workbook // of a spreadsheet
	strings       []string  // shared by its sheets, where somebody hears them
	blank         *part     // placeholder picture, once it is needed
	before, after *rebuild.Excerpt
	asked         bool // a helper, about a picture: what is made in this call is thrown away
	owes          bool // findings, of links out of the package
	noPivots      bool // some pivot cache lives on outside data
}

// part is one that will be in the result.
type part struct {
	name        string // in the result
	key         string // of the original; empty for the placeholder
	contentType string // lower case as read, for the main part as it will be written
	title       string // of a sheet, as its tab says; of a slide, which one it is
	picture     bool
	links       []link
	owed        int // findings of links whose place is not known yet
	byID        map[string]*link
}

// place is what a reader knows the part by.
func (p *part) place() string {
	if p.title != "" {
		return p.title
	}
	return path.Base(p.name)
}

// at is where a finding in the part is: what a reader knows, else the part's name.
func (p *part) at() string {
	if p.title != "" {
		return p.title
	}
	return p.name
}

// mainPart finds the one part that the package is about, and reports what else hangs on the package.
func (o *office) mainPart() (*part, error) {
	rels, err := o.relsOf("")
	if err != nil {
		return nil, err
	}
	var main *part
	for _, r := range rels {
		short := shortType(r.typ)
		if short != "officeDocument" {
			if rule, ok := relations[short]; ok && rule.code != "" {
				o.Found.Add(rule.code, "", verdict.Removed, "")
			} else if !ok {
				o.Found.Add("ooxml.unknown-part", "", verdict.Removed, path.Base(r.typ))
			}
			continue
		}
		key := o.resolve("", r.target)
		if r.external || key == "" || main != nil {
			return nil, brokenPart("main part")
		}
		ct := o.typeOf(key)
		if MainTypes[ct] == "" {
			return nil, rebuild.Refuse("type.mismatch", "", ct)
		}
		main = o.add(key, ct)
	}
	if main == nil {
		return nil, brokenPart("no main part")
	}
	return main, nil
}

// add takes a part into the result under its own name.
func (o *office) add(key, contentType string) *part {
	name := strings.TrimPrefix(strings.ReplaceAll(o.Members[key].Name, `\`, "/"), "/")
	p := &part{name: name, key: key, contentType: contentType}
	o.parts[key] = p
	o.order = append(o.order, p)
	o.outNames[container.Key(name)] = true
	return p
}

// follow decides on every relationship of every part that is reached from main.
func (o *office) follow(main *part) error {
	if err := o.checkPivots(); err != nil {
		return err
	}
	for i := 0; i < len(o.order); i++ {
		p := o.order[i]
		if p.picture {
			continue
		}
		rels, err := o.relsOf(p.key)
		if err != nil {
			return err
		}
		p.links = make([]link, 0, len(rels))
		p.byID = make(map[string]*link, len(rels))
		for _, r := range rels {
			l, code, err := o.decide(p, r)
			if err != nil {
				return err
			}
			switch {
			case code != "" && r.external: // where it is named is told when that place is read
				l.owed = code
				p.owed++
				o.owes = true
			case code != "":
				o.Found.Add(code, p.at(), verdict.Removed, detailOf(r))
			}
			p.links = append(p.links, l)
		}
		for i := range p.links {
			p.byID[p.links[i].id] = &p.links[i]
		}
		if p == main && strings.Contains(main.contentType, "presentationml") {
			if err := o.countSlides(main); err != nil {
				return err
			}
		}
		if p == main && strings.Contains(main.contentType, "spreadsheetml") {
			if err := o.readWorkbook(main); err != nil {
				return err
			}
		}
	}
	return nil
}

func detailOf(r rel) string {
	if r.external {
		return r.target
	}
	return path.Base(r.target)
}

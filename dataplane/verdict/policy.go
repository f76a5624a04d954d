package verdict

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Policy is what a route wants done where there is a choice. The zero value is the safe default of each. The verifier holds results
// to what a result can show of it; of some keys it shows nothing, which is said at them.
type Policy struct {
	// Block are codes of findings that block the file instead of being removed from it; "ooxml.*" names all of a family. What was
	// found was in the original: a result is the same with and without.
	Block        []string `json:"block,omitempty" yaml:"block,omitempty,flow"`
	Links        string   `json:"links,omitempty" yaml:"links,omitempty"`             // web and mail addresses
	Charset      string   `json:"charset,omitempty" yaml:"charset,omitempty"`         // of text
	Formulas     string   `json:"formulas,omitempty" yaml:"formulas,omitempty"`       // of tables as text; "report" is for machine lanes
	Hidden       string   `json:"hidden,omitempty" yaml:"hidden,omitempty"`           // sheets, slides and text that nobody sees
	Comments     string   `json:"comments,omitempty" yaml:"comments,omitempty"`       // of documents
	Attachments  string   `json:"attachments,omitempty" yaml:"attachments,omitempty"` // in PDF
	Members      string   `json:"members,omitempty" yaml:"members,omitempty"`         // refused ones: by default a mail leaves them out and names them, an archive is blocked; what is not there is not seen to be missing
	MailBody     string   `json:"mail_body,omitempty" yaml:"mail-body,omitempty"`     // LGWAN takes mail as text
	Passwords    string   `json:"passwords,omitempty" yaml:"passwords,omitempty"`     // of archives that were encrypted: written open, or again under the same one; that one stayed open because it was open is not seen
	FindMyNumber string   `json:"my_number,omitempty" yaml:"my-number,omitempty"`     // Individual Numbers that are found; the verifier looks for none
	Pixels       bool     `json:"pixels,omitempty" yaml:"pixels,omitempty"`           // JPEG decoded and encoded again, instead of its coefficients
	Noise        bool     `json:"noise,omitempty" yaml:"noise,omitempty"`             // the lowest bit of pictures becomes noise, so that nothing is hidden there; whether it is noise or a message that looks like it is not seen

	Antivirus Antivirus `json:"antivirus,omitzero" yaml:"antivirus,omitempty"`
}

// Antivirus is what a route wants of the antivirus program. By default it must have looked, with signatures of the last 30 days.
type Antivirus struct {
	Days int `json:"oldest_days,omitempty" yaml:"oldest-days,omitempty"` // after which signatures block, 1 to MaxDays; 0 is 30
	// Without is the security officer's recorded decision (who, when, under which number) to do without on this route.
	Without string `json:"without,omitempty" yaml:"without,omitempty"`
}

// MaxDays bounds the age of signatures, and MaxDecision how much a decision says, in bytes.
const (
	MaxDays     = 90
	MaxDecision = 500
)

// Check tells what is wrong.
func (a Antivirus) Check() error {
	switch {
	case a.Days < 0 || a.Days > MaxDays:
		return fmt.Errorf("antivirus: oldest-days: %d: want 1 to %d", a.Days, MaxDays)
	case a.Without != "" && strings.TrimSpace(a.Without) == "", len(a.Without) > MaxDecision:
		return fmt.Errorf("antivirus: without: want the security officer's decision (who, when, under which number), at most %d bytes", MaxDecision)
	}
	return nil
}

// Choices are the words that a key of a policy takes, the default first.
var Choices = map[string][]string{
	"links": {"keep", "remove"}, "charset": {"keep", "utf-8"}, "formulas": {"neutralize", "report"}, "hidden": {"report", "remove"}, "comments": {"keep", "remove"},
	"attachments": {"remove", "rebuild"}, "members": {"default", "remove", "block"}, "mail-body": {"text", "html"}, "passwords": {"open", "again"},
	"my-number": {"report", "block"},
}

// Choice is one key of a policy, and what it says.
type Choice struct {
	Key   string // as in a configuration
	Value *string
}

// Choices are all keys with words.
func (p *Policy) Choices() []Choice {
	return []Choice{{"links", &p.Links}, {"charset", &p.Charset}, {"formulas", &p.Formulas}, {"hidden", &p.Hidden}, {"comments", &p.Comments}, {"attachments", &p.Attachments}, {"members", &p.Members}, {"mail-body", &p.MailBody}, {"passwords", &p.Passwords}, {"my-number", &p.FindMyNumber}}
}

// MaxBlocked bounds the codes of a policy.
const MaxBlocked = 200

var codeShape = regexp.MustCompile(`^[a-z0-9-]+\.([a-z0-9-]+|\*)$`)

// BlockError tells why a code cannot be blocked, or is nil.
func BlockError(code string) error {
	if !codeShape.MatchString(code) {
		return fmt.Errorf("%.40q is no code of a finding: want one as reports name it, like ooxml.vba, or ooxml.*", code)
	}
	return nil
}

// Check tells the first thing that is wrong.
func (p *Policy) Check() error {
	for _, c := range p.Choices() {
		if *c.Value != "" && !slices.Contains(Choices[c.Key], *c.Value) {
			return fmt.Errorf("%s: %.40q: want %s", c.Key, *c.Value, strings.Join(Choices[c.Key], " or "))
		}
	}
	if err := p.Antivirus.Check(); err != nil {
		return err
	}
	if len(p.Block) > MaxBlocked {
		return fmt.Errorf("block: %d codes, at most %d", len(p.Block), MaxBlocked)
	}
	for _, code := range p.Block {
		if err := BlockError(code); err != nil {
			return fmt.Errorf("block: %w", err)
		}
	}
	return nil
}

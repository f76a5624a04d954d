package verdict

// Policy is what a route wants done where there is a choice. The zero value is the safe default of each.
type Policy struct {
	Block        []string `json:"block,omitempty"`       // codes of findings that block the file instead of being removed from it; "pdf.*" names all of a family
	Links        string   `json:"links,omitempty"`       // "keep" web and mail addresses (default), "remove"
	Charset      string   `json:"charset,omitempty"`     // of text: "keep" (default), "utf-8"
	Formulas     string   `json:"formulas,omitempty"`    // of tables as text: "neutralize" (default), "report" (for machine lanes)
	Hidden       string   `json:"hidden,omitempty"`      // sheets, slides, text that nobody sees: "report" (default), "remove"
	Comments     string   `json:"comments,omitempty"`    // "keep" (default), "remove"
	Forms        string   `json:"forms,omitempty"`       // of PDF: "flatten" (default), "keep" values without actions
	Attachments  string   `json:"attachments,omitempty"` // in PDF: "remove" (default), "rebuild"
	Members      string   `json:"members,omitempty"`     // a member of a mail or archive that is refused: "default" (mail: left out and named; archive: blocks), "remove", "block"
	MailBody     string   `json:"mail_body,omitempty"`   // "text" (default: LGWAN takes mail as text), "html"
	Passwords    string   `json:"passwords,omitempty"`   // an archive that was encrypted is written "open" (default) or "again" under the same password
	Pixels       bool     `json:"pixels,omitempty"`      // JPEG decoded to pixels and encoded again, instead of its coefficients
	Noise        bool     `json:"noise,omitempty"`       // the lowest bit of pictures is noise: nothing is hidden there
	FindMyNumber string   `json:"my_number,omitempty"`   // numbers found: "report" (default), "block"
}

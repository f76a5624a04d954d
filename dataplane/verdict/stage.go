package verdict

// Stage is where a file stands that is being worked on: what a person who waits is told.
type Stage struct {
	Name  string `json:"name"`
	Place int    `json:"place,omitempty"` // of Waiting: turns until this one, 1 is next
	Done  int    `json:"done,omitempty"`  // of Helping: parts that are done
	Of    int    `json:"of,omitempty"`    // of Helping: parts that were asked for
}

// Names of stages, in their order. Helping and Reading may alternate; Starting comes where it must.
const (
	Waiting   = "waiting"
	Starting  = "starting"  // the antivirus program is being started, and waited for
	Scanning  = "scanning"  // for known malware
	Reading   = "reading"   // taken apart and rebuilt
	Helping   = "helping"   // by programs for parts that the rebuilder does not read itself
	Verifying = "verifying" // by the second program
)

// Work is what the broker is at, for control: how many files at once, and where each stands, by transfer.
type Work struct {
	Places int              `json:"places"`
	Files  map[string]Stage `json:"files"`
}

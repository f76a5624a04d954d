package mail

import "github.com/sekisho/sekisho/dataplane/sanitize/rebuild"

func fromOutlook(j *rebuild.Job) ([]byte, error) {
	return nil, rebuild.Refuse("mail.broken", "", "msg")
}

package mail

import (
	"bytes"
	"path"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// isSignature tells a signature that lies beside what it signs (RFC 8551, 3.5.3; RFC 3156, 5), also one that calls itself mere data.
func isSignature(kind, name string) bool {
	switch kind {
	case "application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature":
		return true
	}
	return strings.EqualFold(path.Ext(name), ".p7s")
}

// isSecret tells a part that is read with a key, or holds the text and its signature in one.
func isSecret(kind, name string) bool {
	switch kind {
	case "application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted":
		return true
	}
	return strings.EqualFold(path.Ext(name), ".p7m")
}

// signedData is the type of content that says so (RFC 5652, 5.1): 1.2.840.113549.1.7.2, which stands at the beginning.
var signedData = []byte("\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02")

// secret refuses such a part by what it is.
func secret(kind, smime string, content []byte) error {
	switch {
	case kind == "application/pgp-encrypted":
		return rebuild.Refuse("mail.encrypted", "", "PGP")
	case strings.HasPrefix(strings.ToLower(smime), "signed"), smime == "" && bytes.Contains(content[:min(len(content), 32)], signedData):
		return rebuild.Refuse("mail.sealed", "", "S/MIME")
	}
	return rebuild.Refuse("mail.encrypted", "", "S/MIME")
}

// Lines of OpenPGP in text (RFC 9580, 6.2 and 7).
const (
	pgpSecret    = "-----BEGIN PGP MESSAGE-----"
	pgpSigned    = "-----BEGIN PGP SIGNED MESSAGE-----"
	pgpSignature = "-----BEGIN PGP SIGNATURE-----"
	pgpEnd       = "-----END PGP SIGNATURE-----"
)

// bare is text without the signatures that stand in it; text that is encrypted is refused. What is quoted of another mail is text.
func (r *reader) bare(s string) (string, error) {
	if !strings.Contains(s, "-----BEGIN PGP ") {
		return s, nil
	}
	var out []string
	signed, head, signature := false, false, false
	for line := range strings.SplitSeq(s, "\n") {
		mark := strings.TrimRight(line, " \t\r")
		switch {
		case mark == pgpSecret:
			return "", rebuild.Refuse("mail.encrypted", "", "PGP")
		case mark == pgpSigned && !signed:
			signed, head = true, true
			r.job.Found.Add("mail.signature", "", verdict.Removed, "PGP")
		case head: // Hash: and the empty line behind it
			head = mark != ""
		case signed && mark == pgpSignature:
			signature = true
		case signature:
			if mark == pgpEnd {
				signed, signature = false, false
			}
		case signed:
			out = append(out, strings.TrimPrefix(line, "- "))
		default:
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n"), nil
}

// Package clamtest runs a real clamd on signatures that know nothing but tests, for tests and for the town that people try out.
//
// Problem: what a gate makes of a scanner's words is known only with a scanner that speaks, and real signatures are large, signed and
// other people's. Mechanism: a few signatures of our own, an unsigned daily database of whatever age, and clamd in the very place
// (antivirus.Settings.Command) that it has on a gate. Life cycle: Start gives a clamd for one test, and the test's end takes it
// away. Invariant: nothing that these signatures know does anything, and no source or file of ours holds it in one piece.
package clamtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Marker is what the signature Sekisho.Test knows. It does nothing, and is found in whatever holds it.
const Marker = "SEKISHO-TEST-" + "SIGNATURE-7f3a"

// InHTML is what the signature Sekisho.HTML knows, in HTML that clamd has normalized and nowhere else.
const InHTML = "sekisho-normalized-marker-91"

// EICAR is the standard test file, put together here so that no scanner stops at this source.
func EICAR() []byte {
	return []byte(`X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-` + `STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`)
}

// Version is the number of the daily database.
const Version = 27823

// Signatures writes the databases. made is when the daily one says that it was made; zero: there is none.
func Signatures(dir string, made time.Time) error {
	own := fmt.Sprintf("Sekisho.Test:0:*:%x\nSekisho.HTML:3:*:%x\nEicar.Test:0:0:%x\n", Marker, InHTML, EICAR())
	if err := os.WriteFile(filepath.Join(dir, "own.ndb"), []byte(own), 0o644); err != nil {
		return fmt.Errorf("write test signatures: %w", err)
	}
	if made.IsZero() {
		return nil
	}
	b, err := daily(made)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "daily.cud"), b, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write test signatures: %w", err)
	}
	return nil
}

// daily is an unsigned database of the name and form that the daily ones have.
func daily(made time.Time) ([]byte, error) {
	head := func(sum, signature string) string {
		return fmt.Sprintf("ClamAV-VDB:%s:%d:1:90:%s:%s:sekisho:%d", made.Format("02 Jan 2006 15-04 -0700"), Version, sum, signature, made.Unix())
	}
	own := []byte("Sekisho.Daily:0:*:" + hex.EncodeToString([]byte("sekisho-daily-signature-55")) + "\n")
	info := fmt.Sprintf("%s\ndaily.ndb:%d:%x\n", head("X", "X"), len(own), sha256.Sum256(own))
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	w := tar.NewWriter(z)
	for _, f := range []struct {
		name string
		body []byte
	}{{"COPYING", []byte("x")}, {"daily.info", []byte(info)}, {"daily.ndb", own}} {
		err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.body)), Format: tar.FormatUSTAR})
		if err == nil {
			_, err = w.Write(f.body)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		return nil, err
	}
	return append(fmt.Appendf(nil, "%-512s", head(fmt.Sprintf("%x", md5.Sum(body.Bytes())), "x")), body.Bytes()...), nil
}

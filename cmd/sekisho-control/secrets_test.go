package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf16"
)

// nowhere looks for secrets, as they are and as programs write them, in all that the gate's daemons keep and log. What they do keep is
// found, so that it is known to look.
func (g *gate) nowhere(kept string, secrets ...string) {
	g.t.Helper()
	found := map[string]bool{} // by directory
	dirs := []string{g.i.Etc(), g.i.State(), g.i.Run(), g.logs}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && !e.Type().IsRegular() {
				return nil
			}
			var b []byte
			if err == nil {
				b, err = os.ReadFile(path)
			}
			if errors.Is(err, fs.ErrNotExist) { // the daemons are at work
				return nil
			}
			if bytes.Contains(b, []byte(kept)) || strings.Contains(path, kept) {
				found[dir] = true
			}
			for _, s := range secrets {
				for form, v := range written(s) {
					if bytes.Contains(b, v) || strings.Contains(path, string(v)) {
						g.t.Errorf("%s holds %q, %s", path, s, form)
					}
				}
			}
			return err
		})
		if err != nil {
			g.t.Error(err)
		}
	}
	for _, dir := range []string{g.i.State(), g.logs} {
		if !found[dir] {
			g.t.Errorf("%s does not hold %s: is it looked at?", dir, kept)
		}
	}
}

// written is a secret in the forms in which it could lie in a file.
func written(s string) map[string][]byte {
	var wide []byte
	for _, u := range utf16.Encode([]rune(s)) {
		wide = binary.LittleEndian.AppendUint16(wide, u)
	}
	forms := map[string][]byte{"as it is": []byte(s), "in UTF-16": wide, "in hex": []byte(hex.EncodeToString([]byte(s)))}
	for shift := range 3 { // the whole groups of three bytes, wherever they begin
		whole := s[shift : shift+(len(s)-shift)/3*3]
		forms["in base64 from "+strconv.Itoa(shift)] = []byte(base64.StdEncoding.EncodeToString([]byte(whole)))
	}
	return forms
}

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
)

const (
	caYears     = 10
	certDays    = 397 // what browsers accept
	renewBefore = 30 * 24 * time.Hour
)

// auditKeys makes the pair that seals the log, once. A key without its public half, or the other way round, is an error:
// making a new pair would make the old log look forged.
func auditKeys(i place.Instance) error {
	_, errKey := os.Lstat(i.AuditSigner())
	_, errPub := os.Lstat(i.AuditKey())
	switch {
	case errKey == nil && errPub == nil:
		return nil
	case errKey == nil || !errors.Is(errKey, fs.ErrNotExist):
		return fmt.Errorf("audit log: %s is there, %s is not: restore it from the log's own key.pub after checking it", i.AuditSigner(), i.AuditKey())
	}
	if _, err := os.Lstat(i.AuditLog()); err == nil {
		return fmt.Errorf("audit log: %s is gone, but there is a log: restore the key, or move %s away as evidence", i.AuditSigner(), i.AuditLog())
	}
	signer, verifier, err := audit.GenerateKey("sekisho." + string(i) + "/audit")
	if err != nil {
		return err
	}
	if err := replace(i.AuditKey(), []byte(verifier+"\n"), 0o644); err != nil {
		return err
	}
	return lay(i.AuditSigner(), []byte(signer+"\n"), place.ControlUser)
}

// certificates makes the local CA, once, and for each portal a key, once, and a certificate, anew when it is missing, about to
// expire, or the portal's name or address changed. It answers which portals have a new one.
func certificates(i place.Instance, cfg *config.Config, now time.Time) (renewed []anchors.Zone, err error) {
	ca, key, err := authority(i, cfg, now)
	if err != nil {
		return nil, err
	}
	for _, p := range cfg.Portals {
		anew, err := certificate(i, p, ca, key, now)
		if err != nil {
			return renewed, fmt.Errorf("certificate of the portal in %s: %w", p.Zone, err)
		}
		if anew {
			renewed = append(renewed, p.Zone)
		}
	}
	return renewed, nil
}

// runCertificates renews the portals' certificates and touches nothing else.
func runCertificates(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	const usage = "usage: sekisho certificates renew --name N [--config FILE]   without a file: of the configuration in force"
	if len(args) == 0 || args[0] != "renew" {
		fmt.Fprintln(stderr, usage)
		return exitUsage
	}
	flags, name := instanceFlags("certificates", stderr)
	file := flags.String("config", "head", "configuration `file` that names the portals")
	if flags.Parse(args[1:]) != nil || *name == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, usage)
		return exitUsage
	}
	if !isRoot(stderr, "certificates") {
		return exitFailed
	}
	i := place.Instance(*name)
	fail := func(err error) int {
		fmt.Fprintln(stderr, "sekisho certificates:", err)
		return exitFailed
	}
	if _, err := os.Lstat(i.CA()); err != nil {
		return fail(fmt.Errorf("%w; `sekisho init` makes a gate and its CA", err))
	}
	text, err := textOf(ctx, i, *file)
	if err != nil {
		return fail(err)
	}
	cfg, faults := config.Parse(text)
	if err := faults.Err(); err != nil {
		return fail(err)
	}
	renewed, err := certificates(i, cfg, time.Now())
	for _, z := range renewed {
		fmt.Fprintf(stdout, "portal of %s: new certificate; restart its sekisho-portal\n", z)
	}
	if err != nil {
		return fail(err)
	}
	for _, p := range cfg.Portals {
		c, err := readCert(i.PortalCert(p.Zone))
		if err != nil {
			return fail(err)
		}
		fmt.Fprintf(stdout, "portal of %s: %s, until %s\n", p.Zone, p.Name, c.NotAfter.Local().Format(time.DateOnly))
	}
	return exitOK
}

func authority(i place.Instance, cfg *config.Config, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	keyFile := filepath.Join(i.Etc(), "ca.key")
	key, err := readKey(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = makeKey(keyFile, "root"); err != nil {
			return nil, nil, err
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if ca, err := readCert(i.CA()); err == nil && key.PublicKey.Equal(ca.PublicKey) {
		return ca, key, nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	town := cfg.Town.EN
	if town == "" {
		town = cfg.Town.JA
	}
	tmpl := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "Sekisho " + town + " (" + string(i) + ")"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(caYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := sign(tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, nil, fmt.Errorf("local CA: %w", err)
	}
	if err := replace(i.CA(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return nil, nil, err
	}
	ca, err := x509.ParseCertificate(der)
	return ca, key, err
}

func certificate(i place.Instance, p config.Portal, ca *x509.Certificate, caKey *ecdsa.PrivateKey, now time.Time) (anew bool, err error) {
	owner := place.PortalUser(p.Zone)
	// The directory belongs to the portal, so its files are read and written with the portal's own rights.
	key, err := readKey(i.PortalKey(p.Zone))
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = makeKey(i.PortalKey(p.Zone), owner); err != nil {
			return false, err
		}
	}
	if err != nil {
		return false, err
	}
	ip := net.IP(p.Address.AsSlice())
	if old, err := readCert(i.PortalCert(p.Zone)); err == nil && key.PublicKey.Equal(old.PublicKey) && old.CheckSignatureFrom(ca) == nil &&
		old.VerifyHostname(p.Name) == nil && old.VerifyHostname(ip.String()) == nil && old.NotAfter.Sub(now) > renewBefore {
		return false, nil
	}
	der, err := sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: p.Name},
		DNSNames:    []string{p.Name},
		IPAddresses: []net.IP{ip},
		NotBefore:   now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, certDays),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca, &key.PublicKey, caKey)
	if err != nil {
		return false, err
	}
	if err := os.Remove(i.PortalCert(p.Zone)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, lay(i.PortalCert(p.Zone), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), owner)
}

func sign(tmpl, parent *x509.Certificate, pub *ecdsa.PublicKey, key *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	tmpl.SerialNumber = serial
	return x509.CreateCertificate(rand.Reader, tmpl, parent, pub, key)
}

func makeKey(path, owner string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, lay(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), owner)
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	der, err := readPEM(path, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	any, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := any.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: a key of another kind than ECDSA", path)
	}
	return key, nil
}

func readCert(path string) (*x509.Certificate, error) {
	der, err := readPEM(path, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func readPEM(path, kind string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s: want PEM with a %s", path, strings.ToLower(kind))
	}
	return block.Bytes, nil
}

// lay writes a new file, mode 0600, for its owner. It never follows or replaces what is there: the directory may belong to a
// daemon that was taken over.
func lay(path string, b []byte, owner string) error {
	uid, gid, err := idsOf(owner)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chown(uid, gid), f.Sync(), f.Close())
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(path))
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func idsOf(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, fmt.Errorf("%w; hack/bootstrap adds the gate's users", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return uid, gid, errors.Join(err1, err2)
}

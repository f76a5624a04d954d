package town

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"time"
)

// Serve is what an application server of the town does: it answers GET with its name and the caller's address, over HTTP
// and HTTPS on all addresses of its namespace, until ctx ends. Empty ports are not served.
func Serve(ctx context.Context, name, httpPort, httpsPort string) error {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s answers %s\n", name, r.RemoteAddr)
	})
	failed := make(chan error, 2)
	var servers []*http.Server
	serve := func(port string, config *tls.Config) error {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":"+port)
		if err != nil {
			return fmt.Errorf("%s serves port %s: %w", name, port, err)
		}
		s := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, TLSConfig: config}
		servers = append(servers, s)
		go func() {
			if config != nil {
				failed <- s.ServeTLS(l, "", "")
			} else {
				failed <- s.Serve(l)
			}
		}()
		return nil
	}
	if httpPort != "" {
		if err := serve(httpPort, nil); err != nil {
			return err
		}
	}
	if httpsPort != "" {
		cert, err := selfSigned(name)
		if err != nil {
			return err
		}
		if err := serve(httpsPort, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}); err != nil {
			return err
		}
	}
	select {
	case <-ctx.Done():
		var errs []error
		for _, s := range servers {
			errs = append(errs, s.Close())
		}
		return errors.Join(errs...)
	case err := <-failed:
		return fmt.Errorf("%s: %w", name, err)
	}
}

func selfSigned(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(30 * 24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate of %s: %w", name, err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

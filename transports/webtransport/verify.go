package webtransport

import (
	"bytes"
	stdtls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

var (
	// ErrNoHash: the address names no certificate.
	ErrNoHash = errors.New("the address has no /certhash: without one, nothing says which certificate is right")
	// ErrCertificate: the server's certificate is not one that the address names, or is not valid.
	ErrCertificate = errors.New("wrong certificate")
	// ErrHashes: the server does not stand by the certificates that the address names.
	ErrHashes = errors.New("the remote does not confirm the certificate that the address names: somebody may be in between")
)

// checkCertificate holds a server to the rules of the browsers for certificates that are known by their
// hash: the first in the chain is the one, valid now and for no more than 14 days, and not of RSA.
func checkCertificate(state stdtls.ConnectionState, hashes [][]byte, now time.Time) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrCertificate, fmt.Sprintf(format, args...))
	}
	if len(state.PeerCertificates) == 0 {
		return wrong("there is none")
	}
	leaf := state.PeerCertificates[0]
	switch {
	case !contains(hashes, hashOf(leaf.Raw)):
		return wrong("it has another hash than those of the address")
	case leaf.PublicKeyAlgorithm == x509.RSA:
		return wrong("its key is of RSA")
	case leaf.NotAfter.Sub(leaf.NotBefore) > maxValidity:
		return wrong("it is valid for more than 14 days")
	case now.Before(leaf.NotBefore):
		return wrong("it is valid from %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	case now.After(leaf.NotAfter):
		return wrong("it has expired on %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkHashes: "it MUST verify that all certificate hashes are contained in the server's list"
// (webtransport/README.md, "Security Handshake").
func checkHashes(dialled, told [][]byte) error {
	for _, h := range dialled {
		if !contains(told, h) {
			return ErrHashes
		}
	}
	return nil
}

func contains(hashes [][]byte, h []byte) bool {
	return slices.ContainsFunc(hashes, func(o []byte) bool { return bytes.Equal(o, h) })
}

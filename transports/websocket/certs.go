package websocket

import (
	"crypto/tls"
	"os"
	"sync"
	"time"
)

// certCheck is how often the files are looked at, at most: a handshake costs a remote little.
const certCheck = time.Second

// certs is a certificate in two files that are replaced from time to time.
type certs struct {
	certFile, keyFile string

	mu     sync.Mutex
	looked time.Time
	seen   [2]stamp
	cert   *tls.Certificate
}

// stamp tells one version of a file from the next.
type stamp struct {
	at   time.Time
	size int64
}

// get is for tls.Config. While the files cannot be read, the last certificate goes on: they may be
// in the middle of being replaced.
func (c *certs) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); c.cert == nil || now.Sub(c.looked) >= certCheck {
		c.looked = now
		if err := c.look(); err != nil && c.cert == nil {
			return nil, err
		}
	}
	return c.cert, nil
}

// look is called with mu held.
func (c *certs) look() error {
	var now [2]stamp
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		now[i] = stamp{info.ModTime(), info.Size()}
	}
	if c.cert != nil && now == c.seen {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.cert, c.seen = &cert, now
	return nil
}

// serverTLS is the configuration for listening, nil if there is no certificate.
func (c Config) serverTLS() *tls.Config {
	var out *tls.Config
	switch {
	case c.CertFile != "":
		out = &tls.Config{MinVersion: tls.VersionTLS12}
		if c.TLS != nil {
			out = c.TLS.Clone()
		}
		out.Certificates, out.GetConfigForClient = nil, nil
		out.GetCertificate = (&certs{certFile: c.CertFile, keyFile: c.KeyFile}).get
	case c.TLS != nil:
		out = c.TLS.Clone()
	default:
		return nil
	}
	out.NextProtos = []string{"http/1.1"} // WebSocket over HTTP/2 is another protocol
	return out
}

// clientTLS is the configuration for one dial.
func (c Config) clientTLS(name string) *tls.Config {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.ClientTLS != nil {
		out = c.ClientTLS.Clone()
	}
	out.ServerName = name
	out.NextProtos = []string{"http/1.1"}
	return out
}

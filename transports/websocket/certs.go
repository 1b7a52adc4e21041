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
	notRenewed        func(error)

	mu     sync.Mutex
	looked time.Time
	seen   [2]stamp // of the files that cert is from
	cert   *tls.Certificate
	failed bool // to renew it; somebody was told
}

// stamp tells one version of a file from the next.
type stamp struct {
	at   time.Time
	size int64
}

// get is for tls.Config. While there is no certificate in the files, the last one goes on: they may
// be in the middle of being replaced.
func (c *certs) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= certCheck {
		c.looked = now
		err := c.look()
		if err != nil && !c.failed {
			c.notRenewed(err)
		}
		c.failed = err != nil
	}
	return c.cert, nil
}

// look is called with mu held, or before anybody else has c.
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

// serverTLS is the configuration of one listener. There is a certificate in it, or a way to get one;
// notRenewed hears of it when files that have changed have none.
func (c Config) serverTLS(notRenewed func(error)) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		out = c.TLS.Clone()
	}
	switch {
	case c.CertFile != "":
		files := &certs{certFile: c.CertFile, keyFile: c.KeyFile, notRenewed: notRenewed}
		if err := files.look(); err != nil {
			return nil, err
		}
		out.Certificates, out.GetConfigForClient, out.GetCertificate = nil, nil, files.get
	case len(out.Certificates) == 0 && out.GetCertificate == nil && out.GetConfigForClient == nil:
		return nil, ErrNoCertificate
	}
	out.NextProtos = []string{"http/1.1"} // WebSocket over HTTP/2 is another protocol
	return out, nil
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

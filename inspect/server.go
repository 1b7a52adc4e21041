package inspect

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// What a client may take of the server. They stop one that connects and says nothing, says it
// slowly, or never reads the answer.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 60 * time.Second
	maxHeader     = 8 << 10
)

// NewServer is an http.Server with limits for a handler of New. errs takes what net/http has to
// say, and may be nil for nowhere.
func NewServer(h http.Handler, errs *log.Logger) *http.Server {
	if errs == nil {
		errs = log.New(discard{}, "", 0)
	}
	return &http.Server{
		Handler: h, ErrorLog: errs, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// ErrOpen refuses to show a node to whole networks without a token.
var ErrOpen = errors.New("only a loopback address may be served without a token")

// CheckAddr tells whether the pages may be served at a HOST:PORT with that token: names other
// than localhost may mean any address, and no host at all means every address.
func CheckAddr(hostport, token string) error {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT", hostport)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q has no port from 0 to 65535", hostport)
	}
	if ip, err := netip.ParseAddr(host); IsLocalName(host) || err == nil && ip.Unmap().IsLoopback() {
		return nil
	}
	if token == "" {
		return fmt.Errorf("%q: %w", hostport, ErrOpen)
	}
	return nil
}

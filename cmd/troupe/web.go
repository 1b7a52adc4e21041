package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"go.uber.org/zap"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/inspect"
	"github.com/troupe-p2p/troupe/stream"
)

// web is the server of the inspection pages.
type web struct {
	url string
	srv *http.Server
}

func serveWeb(rt *actors.Runtime, sys *troupe.System, p *upPlan, logger *zap.Logger) (*web, error) {
	ln, err := net.Listen(family(p.inspect), p.inspect)
	if err != nil {
		return nil, fmt.Errorf("local: --inspect: %w", err)
	}
	src := patient{sys}
	cfg := inspect.Config{Token: p.inspectToken, Limits: src.limits}
	if host, _, err := net.SplitHostPort(p.inspect); err == nil {
		cfg.Host = host
	}
	w := &web{
		url: "http://" + reachable(ln.Addr()),
		srv: inspect.NewServer(inspect.New(src, cfg), zap.NewStdLog(logger.Named("inspect"))),
	}
	rt.Pump("inspect", func() {
		if err := w.srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("the inspection pages are gone", zap.Error(err))
		}
	}, func(e *actors.PanicError) { logger.Error("the inspection pages are gone", zap.Error(e)) })
	return w, nil
}

// family keeps to what was asked for: "tcp" would take 0.0.0.0 for all of IPv6 as well.
func family(hostport string) string {
	ap, err := netip.ParseAddrPort(hostport)
	switch {
	case err != nil:
		return "tcp"
	case ap.Addr().Is4():
		return "tcp4"
	}
	return "tcp6"
}

func (w *web) close() { _ = w.srv.Close() }

// reachable is a listener's address as somebody on this machine can dial it.
func reachable(a net.Addr) string {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil || !ap.Addr().IsUnspecified() {
		return a.String()
	}
	host := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if ap.Addr().Is6() {
		host = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(host, ap.Port()).String()
}

// answerTimeout is how long a page waits for an actor that may be stuck: the page is there to
// show just that.
const answerTimeout = 2 * time.Second

// patient is a node whose answers are waited for, but not for ever.
type patient struct{ *troupe.System }

// Conns implements inspect.Source.
func (p patient) Conns(ctx context.Context) ([]*stream.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return p.System.Conns(ctx)
}

// limits names the limits as --limits does.
func (p patient) limits() []inspect.Limit {
	var out []inspect.Limit
	for _, u := range p.Usage() {
		out = append(out, inspect.Limit{Name: flagName(u.Limit), Used: u.Used, Cap: u.Cap})
	}
	return out
}

// flagName makes "half-open" of "HalfOpen".
func flagName(field string) string {
	var b strings.Builder
	for i, r := range field {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

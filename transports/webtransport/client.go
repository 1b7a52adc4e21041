package webtransport

import (
	"context"
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"

	ma "github.com/multiformats/go-multiaddr"
	"github.com/quic-go/quic-go/http3"
)

func (t *Transport) dial(ctx context.Context, a ma.Multiaddr, expect identity.ID) (*quicstack.Conn, error) {
	local := func(err error) error { return fail(fault.Local, "dial", a, err) }
	network, dst, hashes, err := parse(a)
	switch {
	case err != nil:
		return nil, local(err)
	case t.err != nil:
		return nil, local(t.err)
	case len(hashes) == 0:
		return nil, local(ErrNoHash)
	case ctx.Err() != nil:
		return nil, local(fault.Canceled(ctx))
	}
	var found error
	k, err := t.stack.Dial(ctx, quicstack.Dialling{
		Transport: name, Network: network, To: dst, Addr: end(a), Multiaddr: fromNet,
		TLS: t.clientTLS(hashes, &found), Config: t.dialled,
	})
	if err != nil {
		return nil, quicstack.DialError(ctx, name, a, found, err)
	}
	within, cancel := context.WithTimeout(ctx, t.tuning.HandshakeTimeout)
	defer cancel()
	// owned: by nobody, as it only closes.
	stop := context.AfterFunc(within, func() { k.Drop(0, "") })
	s, who, err := t.connect(within, k, dst.String(), hashes, expect)
	if !stop() && ctx.Err() == nil {
		err = fmt.Errorf("no answer: %w", os.ErrDeadlineExceeded)
	} else if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		k.Drop(0, "")
		return nil, quicstack.DialError(ctx, name, a, nil, err)
	}
	return t.conduit(k, s, who), nil
}

// clientTLS knows a server by the hash of its certificate; who that is, Noise finds out.
func (t *Transport) clientTLS(hashes [][]byte, found *error) *stdtls.Config {
	return &stdtls.Config{
		MinVersion: stdtls.VersionTLS13, NextProtos: []string{http3.NextProtoH3}, KeyLogWriter: t.cfg.KeyLog,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection does it, by the hash
		VerifyConnection: func(state stdtls.ConnectionState) error {
			*found = checkCertificate(state, hashes, t.cfg.now())
			return *found
		},
	}
}

// connect opens a session, and has the server say who it is. "The client SHOULD start the handshake right
// after sending the CONNECT request, without waiting for the server's response" (webtransport/README.md,
// "Security Handshake").
func (t *Transport) connect(ctx context.Context, k *quicstack.Link, authority string, hashes [][]byte, expect identity.ID) (
	*session, *noise.Result, error,
) {
	h, err := t.initiator(expect)
	if err != nil {
		return nil, nil, err
	}
	tr := &http3.Transport{
		EnableDatagrams: true, AdditionalSettings: settings, MaxResponseHeaderBytes: maxHeader, DisableCompression: true,
	}
	hc := tr.NewRawClientConn(k.QUIC)
	t.control(k, hc.HandleUnidirectionalStream)
	if err := understands(ctx, hc); err != nil {
		return nil, nil, err
	}
	rs, err := hc.OpenRequestStream(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := rs.SendRequestHeader(request(authority)); err != nil {
		return nil, nil, err
	}
	s := t.session(k.QUIC, rs, rs.StreamID())
	qs, err := k.QUIC.OpenStreamSync(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer leave(qs)
	if _, err := qs.Write(h.AppendOutput(s.Head())); err != nil {
		return nil, nil, err
	}
	rsp, err := rs.ReadResponse()
	if err != nil {
		return nil, nil, err
	}
	if rsp.StatusCode < 200 || rsp.StatusCode > 299 {
		return nil, nil, fmt.Errorf("%w: %d %s", ErrRefused, rsp.StatusCode, http.StatusText(rsp.StatusCode))
	}
	s.born = time.Now()
	who, err := secure(qs, h, func(r *noise.Result) error { return checkHashes(hashes, r.CertHashes) })
	return s, who, err
}

var errNoSessions = errors.New("the server speaks HTTP/3, but not WebTransport")

// understands waits for the server's settings: before them, nobody may ask for a session.
func understands(ctx context.Context, hc *http3.RawClientConn) error {
	select { // order-free: whoever has settings does not look further
	case <-hc.ReceivedSettings():
	case <-ctx.Done():
		return ctx.Err()
	case <-hc.Context().Done():
		return context.Cause(hc.Context())
	}
	got := hc.Settings()
	if !got.EnableExtendedConnect || got.Other[settingEnabled] == 0 && got.Other[settingDraft06] == 0 {
		return errNoSessions
	}
	return nil
}

func request(authority string) *http.Request {
	return &http.Request{
		Method: http.MethodConnect, Proto: token, Host: authority, Header: http.Header{},
		URL: &url.URL{Scheme: "https", Host: authority, Path: endpoint, RawQuery: "type=" + handshake},
	}
}

package webtransport

import (
	"context"
	stdtls "crypto/tls"
	"net/http"
	"time"

	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"

	quicgo "github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
)

// settings are what both sides tell of WebTransport. Flow control within a session is off: there is one
// session for a connection, and QUIC's own is enough for that.
var settings = map[uint64]uint64{settingDraft06: 1, settingEnabled: 1, settingMaxSessions: 1}

// handshakes is the TLS configuration for one client. The note is the certificates of that moment, which
// Noise confirms.
func (t *Transport) handshakes() (*stdtls.Config, any, error) {
	c, err := t.certs.at(t.cfg.now())
	if err != nil {
		return nil, nil, err
	}
	return &stdtls.Config{
		MinVersion: stdtls.VersionTLS13, NextProtos: []string{http3.NextProtoH3}, Certificates: []stdtls.Certificate{*c.is.tls},
		SessionTicketsDisabled: true, KeyLogWriter: t.cfg.KeyLog,
	}, c, nil
}

// greet makes a conduit of a client's connection. What takes too long, or longer than the listener lives,
// ends with the connection.
func (t *Transport) greet(ctx context.Context, k *quicstack.Link) *quicstack.Conn {
	ctx, cancel := context.WithTimeout(ctx, t.tuning.HandshakeTimeout)
	defer cancel()
	// owned: by nobody, as it only closes.
	stop := context.AfterFunc(ctx, func() { k.Drop(0, "") })
	s, who, err := t.serve(ctx, k)
	if !stop() || err != nil {
		k.Drop(0, "")
		return nil
	}
	return t.conduit(k, s, who)
}

func (t *Transport) serve(ctx context.Context, k *quicstack.Link) (*session, *noise.Result, error) {
	d := &door{}
	server := &http3.Server{Handler: d, MaxHeaderBytes: maxHeader, EnableDatagrams: true, AdditionalSettings: settings}
	hc, err := server.NewRawServerConn(k.QUIC)
	if err != nil {
		return nil, nil, err
	}
	t.control(k, hc.HandleUnidirectionalStream)
	for range maxRequests {
		qs, h, err := next(ctx, k.QUIC)
		if err != nil {
			return nil, nil, err
		}
		if !h.request { // of a session that is not there
			drop(qs, errRejectedStream)
			continue
		}
		hc.HandleRequestStream(qs)
		if d.str != nil {
			s := t.session(k.QUIC, d.str, qs.StreamID())
			who, err := t.respond(ctx, k, s, k.Note.(chain))
			return s, who, err
		}
	}
	return nil, nil, ErrRefused
}

// respond runs Noise on the first stream that the client opens in the session.
func (t *Transport) respond(ctx context.Context, k *quicstack.Link, s *session, c chain) (*noise.Result, error) {
	h, err := t.responder(c)
	if err != nil {
		return nil, err
	}
	for range maxRequests {
		qs, head, err := next(ctx, s.qc)
		switch {
		case err != nil:
			return nil, err
		case head.request:
			drop(qs, quicgo.StreamErrorCode(http3.ErrCodeRequestRejected))
			continue
		case head.session != s.id:
			drop(qs, errRejectedStream)
			continue
		}
		who, err := secure(qs, h, nil)
		_ = qs.Close()
		k.Pump("goodbye", func() {
			// To stop a client before it has closed its end fails the dial of js-libp2p in a browser.
			_ = qs.SetReadDeadline(time.Now().Add(s.wait))
			_, _ = qs.Read(make([]byte, 1)) // nothing belongs here
			leave(qs)
		})
		return who, err
	}
	return nil, ErrRefused
}

// leave is done with the stream of a handshake. Some never close their end of it, and so its place would
// be taken for good.
func leave(qs *quicgo.Stream) {
	_ = qs.Close()
	qs.CancelRead(quicgo.StreamErrorCode(toWire(0)))
}

// next is the next stream of a client, with its head.
func next(ctx context.Context, qc *quicgo.Conn) (*quicgo.Stream, head, error) {
	qs, err := qc.AcceptStream(ctx)
	if err != nil {
		return nil, head{}, err
	}
	h, err := readHead(qs)
	return qs, h, err
}

// control reads the streams of HTTP/3 itself. That of its settings lasts as long as the connection, and
// what a remote opens behind it stays where it is, in the QUIC stack's bounds. One that has many others
// before it means no good.
func (t *Transport) control(k *quicstack.Link, handle func(*quicgo.ReceiveStream)) {
	k.Pump("control", func() {
		for range maxUniStreams {
			str, err := k.QUIC.AcceptUniStream(context.Background())
			if err != nil {
				return
			}
			kind, err := quicvarint.Peek(str)
			if err == nil && kind == typeUniStream { // libp2p has none
				str.CancelRead(errRejectedStream)
				continue
			}
			handle(str)
		}
		_ = k.QUIC.CloseWithError(quicgo.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "")
	})
}

// door lets those in who ask for libp2p.
type door struct{ str *http3.Stream }

// ServeHTTP implements http.Handler.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodConnect || r.URL.Path != endpoint:
		w.WriteHeader(http.StatusNotFound)
	case r.Proto != token && r.Proto != newToken, r.URL.Query().Get("type") != handshake:
		w.WriteHeader(http.StatusBadRequest)
	default:
		w.WriteHeader(http.StatusOK)
		d.str = w.(http3.HTTPStreamer).HTTPStream()
	}
}

package troupe_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/protocols/demo"
	"github.com/troupe-p2p/troupe/protocols/echo"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// faults has one row, at least, for every exported error: TestEveryErrorIsProvoked sees to that.
func faults() map[string][]fault {
	const (
		local, remote, limit = troupe.OriginLocal, troupe.OriginRemote, troupe.OriginLimit

		atNode, atDial, atConn    = troupe.LayerNode, troupe.LayerDial, troupe.LayerConnection
		inStream, inProto, inConf = troupe.LayerStream, troupe.LayerProtocol, troupe.LayerConfig
	)
	return map[string][]fault{
		"ErrClosed": {
			{troupe.ErrClosed, local, atNode, "closed", false, []string{"open"}, closedOpen},
		},
		"ErrConfig": {
			{troupe.ErrConfig, local, inConf, "bad_config", false, []string{"Config.Listen", "nonsense"}, func(t *testing.T) error {
				return badConfig(t, func(c *troupe.Config) { c.Listen = []string{"nonsense"} })
			}},
			{troupe.ErrConfig, local, inConf, "bad_config", false, []string{"Config.Announce", "/ip4/x"}, func(t *testing.T) error {
				return badConfig(t, func(c *troupe.Config) { c.Announce = []string{"/ip4/x"} })
			}},
			{troupe.ErrConfig, local, inConf, "bad_config", false, []string{"Config.NoAnnounce"}, func(t *testing.T) error {
				return badConfig(t, func(c *troupe.Config) { c.NoAnnounce = []string{"x"} })
			}},
			{troupe.ErrConfig, local, inConf, "bad_config", false, []string{"Config.Security", "/rot13"}, func(t *testing.T) error {
				return badConfig(t, func(c *troupe.Config) { c.Security = []troupe.Security{"/rot13"} })
			}},
			{troupe.ErrConfig, local, inConf, "bad_config", false, []string{"Config.Transports", "no wires"}, func(t *testing.T) error {
				return badConfig(t, func(c *troupe.Config) {
					c.Transports = []troupe.Transport{func(*actors.Runtime) (conduit.Transport, error) { return nil, errors.New("no wires") }}
				})
			}},
			{troupe.ErrConfig, local, inConf, "bad_config", false, []string{"no protocol"}, func(t *testing.T) error {
				_, err := newRealm(t).node().Open(bounded(t), stranger())
				return err
			}},
			{troupe.ErrConfig, local, inConf, "bad_config", false, []string{"no peer"}, func(t *testing.T) error {
				_, err := newRealm(t).node().Open(bounded(t), "", echo.Protocol)
				return err
			}},
			{troupe.ErrConfig, local, inConf, "bad_config", false, []string{"newline"}, func(t *testing.T) error {
				a, b := couple(t)
				_, err := a.Open(bounded(t), b.ID(), "a\nb")
				return err
			}},
			{troupe.ErrConfig, local, inConf, "bad_config", false, []string{"no peer", "2 addresses"}, func(t *testing.T) error {
				n := newRealm(t).node()
				_, err := n.Dial(bounded(t), "", n.ListenAddrs()[0], n.ListenAddrs()[0])
				return err
			}},
			{troupe.ErrConfig, local, inConf, "bad_config", false, []string{"bob's house"}, func(t *testing.T) error {
				_, err := newRealm(t).node().DialAddr(bounded(t), "bob's house")
				return err
			}},
			{troupe.ErrConfig, local, inConf, "bad_config", false, []string{"handle", "both Actor and Run"}, func(t *testing.T) error {
				h := echo.Handler()
				h.Run = func(context.Context, *troupe.Stream) {}
				return newRealm(t).node().Handle(echo.Protocol, h)
			}},
			{troupe.ErrConfig, local, inConf, "bad_config", false, []string{"handle", "name"}, func(t *testing.T) error {
				return newRealm(t).node().Handle("", echo.Handler())
			}},
		},
		"ErrDeadline": {
			{troupe.ErrDeadline, local, atNode, "deadline", true, []string{"open"}, func(t *testing.T) error {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				defer cancel()
				_, err := newNode(t).OpenWith(ctx, stranger(), troupe.OpenOptions{Addrs: []ma.Multiaddr{silent(t)}}, echo.Protocol)
				return err
			}},
			{troupe.ErrDeadline, local, atNode, "deadline", true, []string{"dial", "the user is gone"}, func(t *testing.T) error {
				ctx, cancel := context.WithCancelCause(t.Context())
				cancel(errors.New("the user is gone"))
				_, err := newNode(t).Dial(ctx, stranger(), silent(t))
				return err
			}},
			{troupe.ErrDeadline, local, atNode, "deadline", true, []string{"read", "timeout"}, func(t *testing.T) error {
				a, b := couple(t)
				register(t, b, echo.Protocol, echo.Handler())
				s := open(t, a, b.ID(), echo.Protocol)
				_ = s.SetReadDeadline(time.Now())
				_, err := s.Read(make([]byte, 1))
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("not os.ErrDeadlineExceeded, as net.Conn wants it")
				}
				return err
			}},
			{troupe.ErrDeadline, local, atNode, "deadline", true, []string{"subscribe"}, func(t *testing.T) error {
				ctx, cancel := context.WithCancel(t.Context())
				sub := newRealm(t).node().Subscribe(ctx, 1)
				cancel()
				for { // what came before is still handed out
					if _, _, err := sub.Next(context.Background()); err != nil {
						return err
					}
				}
			}},
		},
		"ErrRestarting": {
			{troupe.ErrRestarting, local, atNode, "actor_failed", true, []string{"open"}, func(t *testing.T) error {
				n := newNode(t)
				return pendingOpen(t, n, func() { n.Runtime().Kill(pathOf(t, n, "peer"), "a test") })
			}},
		},
		"ErrStragglers": {
			{troupe.ErrStragglers, local, atNode, "stragglers", false, []string{"close", "handler"}, stragglers},
		},
		"ErrListen": {
			{troupe.ErrListen, local, atNode, "listen_failed", true, []string{"listen", "in use"}, func(t *testing.T) error {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = l.Close() }()
				_, err = newNode(t).Listen(bounded(t), tcpAddr(t, l.Addr()))
				return err
			}},
			{troupe.ErrListen, local, atNode, "listen_failed", true, []string{"listen", "no transport", "/memory/7"}, func(t *testing.T) error {
				_, err := newNode(t).Listen(bounded(t), multiaddr(t, "/memory/7"))
				return err
			}},
		},
		"ErrNoAddresses": {
			{troupe.ErrNoAddresses, local, atDial, "no_addresses", false, []string{"open"}, func(t *testing.T) error {
				_, err := newNode(t).Open(bounded(t), stranger(), echo.Protocol)
				return err
			}},
		},
		"ErrDialFailed": {
			{troupe.ErrDialFailed, remote, atDial, "dial_failed", true, []string{"dial", "refused", "/tcp/"}, func(t *testing.T) error {
				_, err := newNode(t).Dial(bounded(t), stranger(), closed(t))
				return err
			}},
			{troupe.ErrDialFailed, remote, atDial, "dial_failed", true, []string{"dial", "refused", "/tcp/"}, func(t *testing.T) error {
				_, err := newNode(t).Dial(bounded(t), "", closed(t))
				return err
			}},
			{troupe.ErrDialFailed, remote, atDial, "dial_failed", true, []string{"not done within the deadline"}, func(t *testing.T) error {
				_, err := newNode(t, func(c *troupe.Config) { c.UpgradeTimeout = 20 * time.Millisecond }).Dial(bounded(t), "", silent(t))
				return err
			}},
			{troupe.ErrDialFailed, remote, atDial, "dial_failed", true, []string{"no connection to /ip4", "within 20ms"}, func(t *testing.T) error {
				_, err := newNode(t, func(c *troupe.Config) { c.DialTimeout = 20 * time.Millisecond }).Dial(bounded(t), stranger(), silent(t))
				return err
			}},
			{troupe.ErrDialFailed, local, atDial, "dial_failed", true, []string{"no transport of this node", "/memory/7"}, func(t *testing.T) error {
				_, err := newNode(t).Dial(bounded(t), stranger(), multiaddr(t, "/memory/7"))
				return err
			}},
			{troupe.ErrDialFailed, local, atDial, "dial_failed", true, []string{"no transport of this node", "/memory/7"}, func(t *testing.T) error {
				_, err := newNode(t).Dial(bounded(t), "", multiaddr(t, "/memory/7"))
				return err
			}},
		},
		"ErrIdentityMismatch": {
			{troupe.ErrIdentityMismatch, remote, atDial, "identity_mismatch", false, []string{"expected peer"}, func(t *testing.T) error {
				w := newRealm(t)
				_, err := w.node().Dial(bounded(t), stranger(), w.node().ListenAddrs()...)
				return err
			}},
			{troupe.ErrIdentityMismatch, remote, atDial, "identity_mismatch", false, []string{"expected peer"}, func(t *testing.T) error {
				_, err := newNode(t, secured(troupe.TLS)).Dial(bounded(t), stranger(), newNode(t, secured(troupe.TLS)).ListenAddrs()...)
				return err
			}},
		},
		"ErrSelf": {
			{troupe.ErrSelf, local, atDial, "self", false, []string{"this node itself"}, func(t *testing.T) error {
				n := newRealm(t).node()
				_, err := n.DialAddr(bounded(t), addr(n))
				return err
			}},
			{troupe.ErrSelf, local, atDial, "self", false, []string{"this node itself"}, func(t *testing.T) error {
				n := newRealm(t).node()
				_, err := n.Dial(bounded(t), "", n.ListenAddrs()[0]) // only who answers tells
				return err
			}},
			{troupe.ErrSelf, local, atDial, "self", false, []string{"this node itself"}, func(t *testing.T) error {
				n := newRealm(t).node()
				_, err := n.Open(bounded(t), n.ID(), echo.Protocol)
				return err
			}},
		},
		"ErrNotConnected": {
			{troupe.ErrNotConnected, local, atConn, "not_connected", true, []string{"no connection"}, func(t *testing.T) error {
				w := newRealm(t)
				a, b := w.node(), w.node()
				_, err := a.OpenWith(bounded(t), b.ID(), troupe.OpenOptions{NoDial: true, Addrs: b.ListenAddrs()}, echo.Protocol)
				return err
			}},
		},
		"ErrConnectionClosed": {
			{troupe.ErrConnectionClosed, remote, atConn, "connection_closed", true, []string{"connection ended"}, func(t *testing.T) error {
				a, b := couple(t)
				return heldRead(t, a, b, func() { b.Disconnect(a.ID()) })
			}},
			{troupe.ErrConnectionClosed, local, atConn, "connection_closed", true, []string{"by the application"}, func(t *testing.T) error {
				a, b := couple(t)
				return heldRead(t, a, b, func() { a.Disconnect(b.ID()) })
			}},
			{troupe.ErrConnectionClosed, local, atConn, "connection_closed", true, []string{"open", "the actor has ended"}, func(t *testing.T) error {
				n := newNode(t)
				return pendingOpen(t, n, func() { n.Runtime().Kill(pathOf(t, n, "peers"), "a test") })
			}},
			{troupe.ErrConnectionClosed, local, atConn, "connection_closed", true, []string{"open", "hung up on"}, func(t *testing.T) error {
				n, who := newNode(t), stranger()
				return pendingOpenTo(t, n, who, func() { n.Disconnect(who) })
			}},
		},
		"ErrProtocolNotSupported": {
			{troupe.ErrProtocolNotSupported, remote, inProto, "protocol_not_supported", false, []string{"open", "/chess"}, func(t *testing.T) error {
				a, b := couple(t)
				_, err := a.OpenWith(bounded(t), b.ID(), troupe.OpenOptions{Confirm: true}, "/chess")
				return err
			}},
			{troupe.ErrProtocolNotSupported, remote, inProto, "protocol_not_supported", false, []string{"/chess"}, func(t *testing.T) error {
				a, b := couple(t)
				_, err := open(t, a, b.ID(), "/chess").Read(make([]byte, 1))
				return err
			}},
			{troupe.ErrProtocolNotSupported, remote, inProto, "protocol_not_supported", false, []string{"/chess"}, func(t *testing.T) error {
				a, b := couple(t)
				s := open(t, a, b.ID(), "/chess")
				_, _ = s.Write([]byte("e4"))
				return s.Close() // never reports success for data that nobody took
			}},
			{troupe.ErrProtocolNotSupported, remote, inProto, "protocol_not_supported", false, []string{"/chess"}, func(t *testing.T) error {
				a, b := couple(t)
				s := open(t, a, b.ID(), "/chess")
				_, _ = s.Write([]byte("e4"))
				<-s.Context().Done()
				_, err := s.Write([]byte("e5"))
				return err
			}},
		},
		"ErrNegotiation": {
			{troupe.ErrNegotiation, remote, inProto, "negotiation_failed", true, []string{"not multistream"}, func(t *testing.T) error {
				return fakeAnswers(t, func(_ conduit.Muxed, s conduit.MuxedStream) {
					_, _ = s.TryWrite([]byte(strings.Repeat("x", 200)))
				})
			}},
			{troupe.ErrNegotiation, remote, inProto, "negotiation_failed", true, []string{"closed before"}, func(t *testing.T) error {
				return fakeAnswers(t, func(_ conduit.Muxed, s conduit.MuxedStream) { _ = s.CloseWrite() })
			}},
			{troupe.ErrNegotiation, remote, inProto, "negotiation_failed", true, []string{"in time"}, func(t *testing.T) error {
				return fakeAnswers(t, func(conduit.Muxed, conduit.MuxedStream) {}, func(c *troupe.Config) {
					c.NegotiateTimeout = 20 * time.Millisecond
				})
			}},
		},
		"ErrReset": {
			{troupe.ErrReset, remote, inStream, "stream_reset", true, []string{"[code 0x54520001]", "panicked"}, func(t *testing.T) error {
				a, b := couple(t)
				register(t, b, demo.CrashProtocol, demo.Crash())
				s := open(t, a, b.ID(), demo.CrashProtocol)
				_, _ = s.Write([]byte("x"))
				_, err := s.Read(make([]byte, 1))
				return err
			}},
			{troupe.ErrReset, remote, inStream, "stream_reset", true, []string{"[code 0x77]"}, func(t *testing.T) error {
				a, b := couple(t)
				register(t, b, echo.Protocol, troupe.StreamHandler(func(_ context.Context, s *troupe.Stream) {
					_, _ = s.Read(make([]byte, 1))
					_ = s.Reset(0x77)
				}))
				s := open(t, a, b.ID(), echo.Protocol)
				_, _ = s.Write([]byte("x"))
				<-s.Context().Done()
				_, err := s.Write([]byte("x"))
				return err
			}},
			{troupe.ErrReset, remote, inStream, "stream_reset", true, []string{"[code 0x1002]", "at a limit"}, func(t *testing.T) error {
				return fakeAnswers(t, func(_ conduit.Muxed, s conduit.MuxedStream) { _ = s.Reset(0x1002) })
			}},
		},
		"ErrStreamClosed": {
			{troupe.ErrStreamClosed, local, inStream, "stream_closed", false, []string{"write"}, func(t *testing.T) error {
				a, b := couple(t)
				register(t, b, echo.Protocol, echo.Handler())
				s := open(t, a, b.ID(), echo.Protocol)
				_ = s.CloseWrite()
				_, err := s.Write([]byte("x"))
				return err
			}},
			{troupe.ErrStreamClosed, local, inStream, "stream_closed", false, []string{"read"}, func(t *testing.T) error {
				a, b := couple(t)
				register(t, b, echo.Protocol, echo.Handler())
				s := open(t, a, b.ID(), echo.Protocol)
				_ = s.CloseRead()
				_, err := s.Read(make([]byte, 1))
				return err
			}},
		},
		"ErrLimit": {
			{troupe.ErrLimit, limit, atNode, "limit", true, []string{"dial", "connections", "Limits.Conns"}, func(t *testing.T) error {
				w := newRealm(t)
				n := w.node(func(c *troupe.Config) { c.Limits.Conns = -1 })
				b := w.node()
				_, err := n.Dial(bounded(t), b.ID(), b.ListenAddrs()...)
				return err
			}},
			{troupe.ErrLimit, limit, atNode, "limit", true, []string{"dial", "connections", "Limits.Conns"}, func(t *testing.T) error {
				w := newRealm(t)
				n := w.node(func(c *troupe.Config) { c.Limits.Conns = -1 })
				_, err := n.Dial(bounded(t), "", w.node().ListenAddrs()[0])
				return err
			}},
			{troupe.ErrLimit, limit, atNode, "limit", true, []string{"open", "1024 opens wait"}, func(t *testing.T) error {
				return manyOpens(t)
			}},
		},
		"ErrGated": {
			{troupe.ErrGated, local, atConn, "gated", false, []string{"dial", "Gater.Dial", "not today"}, func(t *testing.T) error {
				w := newRealm(t)
				n := w.node(gater("Dial", afterwards(0, errors.New("not today"))))
				_, err := n.DialAddr(bounded(t), addr(w.node()))
				return err
			}},
			{troupe.ErrGated, local, atConn, "gated", false, []string{"dial", "Gater.Upgraded", "not today"}, func(t *testing.T) error {
				w := newRealm(t)
				n := w.node(gater("Upgraded", afterwards(0, errors.New("not today"))))
				_, err := n.Dial(bounded(t), "", w.node().ListenAddrs()[0])
				return err
			}},
		},
		"ErrOverload": {
			{troupe.ErrOverload, limit, atNode, "overload", true, []string{"open", "mailbox"}, overload},
		},
		"ErrMessageTooLarge": {
			{troupe.ErrMessageTooLarge, limit, inProto, "message_too_large", false, []string{"request", "11 bytes", "limit is 10"}, func(t *testing.T) error {
				a, b := couple(t)
				_, err := ask(t, a, b, "123456789", troupe.RequestOptions{MaxSize: 10})
				return err
			}},
		},
		"ErrBadMessage": {
			{troupe.ErrBadMessage, remote, inProto, "bad_message", false, []string{"request", "status 9"}, func(t *testing.T) error {
				a, b := couple(t)
				byHand(t, b, []byte{9, 0})
				_, err := ask(t, a, b, "well?", troupe.RequestOptions{})
				return err
			}},
			{troupe.ErrBadMessage, remote, inProto, "bad_message", false, []string{"ping", "differs"}, func(t *testing.T) error {
				a, b := couple(t)
				register(t, b, troupe.PingProtocol, troupe.StreamHandler(func(_ context.Context, s *troupe.Stream) {
					_, _ = s.Write(make([]byte, 32))
					_, _ = s.Read(make([]byte, 1))
				}))
				_, err := a.Ping(bounded(t), open(t, a, b.ID(), troupe.PingProtocol))
				return err
			}},
		},
		"ErrRefused": {
			{troupe.ErrRefused, remote, inProto, "refused", false, []string{"request", "not today"}, func(t *testing.T) error {
				a, b := couple(t)
				answers(t, b, troupe.RequestOptions{}, func(context.Context, string) (string, error) { return "", errors.New("not today") })
				_, err := ask(t, a, b, "well?", troupe.RequestOptions{})
				return err
			}},
		},
		"ErrInternal": {
			{troupe.ErrInternal, local, atNode, "internal", false, []string{"the stream's actor has ended"}, func(t *testing.T) error {
				a, b := couple(t)
				return heldRead(t, a, b, func() { a.Runtime().Kill(streamPath(t, a, echo.Protocol), "a test") })
			}},
		},
	}
}

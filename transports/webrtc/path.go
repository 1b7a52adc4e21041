package webrtc

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/transport/v5/packetio"
)

// path is the way of one connection's DTLS packets: what came for it waits here, what it sends goes to
// where its remote was last. DTLS takes it for a socket.
type path struct {
	in    *packetio.Buffer // at most pathQueue bytes; what does not fit is lost, as on any way
	send  func(p []byte, to netip.AddrPort) error
	local netip.AddrPort
	close func() // takes it off the socket

	remote atomic.Pointer[netip.AddrPort]
	heard  atomic.Pointer[func()] // told of valid checks and answers
	once   sync.Once

	ufrag string // of the client; the socket's mu guards it
}

var _ net.PacketConn = (*path)(nil)

func newPath(local, remote netip.AddrPort, send func([]byte, netip.AddrPort) error) *path {
	p := &path{in: packetio.NewBuffer(), send: send, local: local, close: func() {}}
	p.in.SetLimitSize(pathQueue)
	p.remote.Store(&remote)
	return p
}

// push takes a datagram that came; it is copied.
func (p *path) push(datagram []byte) { _, _ = p.in.Write(datagram, nil) }

// alive says that a check or an answer came that nobody else can have sent, or only somebody on the way.
func (p *path) alive() {
	if heard := p.heard.Load(); heard != nil {
		(*heard)()
	}
}

func (p *path) addr() netip.AddrPort { return *p.remote.Load() }

// ReadFrom implements net.PacketConn.
func (p *path) ReadFrom(b []byte) (int, net.Addr, error) {
	n, _, err := p.in.Read(b, nil)
	return n, net.UDPAddrFromAddrPort(p.addr()), err
}

// WriteTo implements net.PacketConn. DTLS has one remote, and does not know where that is.
func (p *path) WriteTo(b []byte, _ net.Addr) (int, error) {
	if err := p.send(b, p.addr()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close implements net.PacketConn.
func (p *path) Close() error {
	p.once.Do(func() {
		_ = p.in.Close()
		p.close()
	})
	return nil
}

// LocalAddr implements net.PacketConn.
func (p *path) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(p.local) }

// SetDeadline implements net.PacketConn.
func (p *path) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (p *path) SetReadDeadline(t time.Time) error { return p.in.SetReadDeadline(t) }

// SetWriteDeadline implements net.PacketConn. A datagram never waits.
func (p *path) SetWriteDeadline(time.Time) error { return nil }

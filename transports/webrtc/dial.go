package webrtc

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	ma "github.com/multiformats/go-multiaddr"
	"github.com/pion/stun/v4"
)

// checkAgain is how long the first check waits for its answer; each one more twice as long.
const checkAgain = 100 * time.Millisecond

// caller is the socket of one dial, and of the connection that comes of it.
type caller struct {
	t    *Transport
	pc   *net.UDPConn
	to   netip.AddrPort
	path *path
	who  credentials
	tie  uint64

	answered chan struct{} // closed by the first answer to a check
	once     sync.Once

	mu  sync.Mutex
	id  [stun.TransactionIDSize]byte // of the last check
	err error                        // why nothing is read any more
}

func (t *Transport) dial(ctx context.Context, a ma.Multiaddr, expect identity.ID) (*conn, error) {
	local := func(err error) error { return fail(fault.Local, "dial", a, err) }
	network, dst, err := udpAddr(a)
	if err != nil {
		return nil, local(err)
	}
	want, others := hashes(a)
	switch {
	case len(want) == 0 && others > 0:
		return nil, local(ErrHash)
	case len(want) == 0:
		return nil, local(ErrNoCertHash)
	case t.err != nil:
		return nil, local(t.err)
	case ctx.Err() != nil:
		return nil, local(fault.Canceled(ctx))
	}
	cert, err := freshCertificate()
	if err != nil {
		return nil, local(err)
	}
	k, err := t.call(network, dst)
	if err != nil {
		return nil, fail(origin(err), "dial", a, err)
	}
	limited, cancel := context.WithTimeout(ctx, t.cfg.HandshakeTimeout)
	defer cancel()
	if err := k.reach(limited); err != nil {
		_ = k.path.Close()
		return nil, handshakeError(ctx, "dial", a, k.why(err))
	}
	from, err := fromNet(k.path.local)
	if err != nil {
		_ = k.path.Close()
		return nil, local(err)
	}
	c, err := t.secure(limited, k.path, party{
		ends:   conduit.Endpoints{Local: from, Remote: without(a), Direction: conduit.Outbound, Transport: name},
		cert:   cert,
		want:   want,
		expect: expect,
		probe:  k.check,
	})
	if err != nil {
		return nil, handshakeError(ctx, "dial", a, k.why(err))
	}
	return c, nil
}

// call opens the socket. It is connected, so that the system tells when nobody listens.
func (t *Transport) call(network string, dst *net.UDPAddr) (*caller, error) {
	pc, err := net.DialUDP(network, nil, dst)
	if err != nil {
		return nil, err
	}
	_ = pc.SetReadBuffer(socketBuffer)
	_ = pc.SetWriteBuffer(socketBuffer)
	k := &caller{
		t: t, pc: pc, to: plain(dst.AddrPort()), who: newCredentials(t.cfg.Version),
		answered: make(chan struct{}),
	}
	var tie [8]byte
	_, _ = rand.Read(tie[:])
	k.tie = binary.BigEndian.Uint64(tie[:])
	k.path = newPath(plain(pc.LocalAddr().(*net.UDPAddr).AddrPort()), k.to, func(p []byte, _ netip.AddrPort) error {
		_, err := pc.Write(p)
		return err
	})
	k.path.close = func() { _ = pc.Close() }
	t.rt.Pump("webrtc dialled socket", k.run, func(pe *actors.PanicError) { k.over(pe) })
	return k, nil
}

func (k *caller) run() {
	buf := make([]byte, 64<<10)
	for {
		n, err := k.pc.Read(buf)
		switch {
		case err == nil:
			k.handle(buf[:n])
		case errors.Is(err, net.ErrClosed), k.unanswered(): // nobody is there
			k.over(err)
			return
		case origin(err) != fault.Remote:
			k.over(err)
			return
		}
		// Else an ICMP message about a connection that stands: anybody can send those.
	}
}

func (k *caller) unanswered() bool {
	select {
	case <-k.answered:
		return false
	default:
		return true
	}
}

// over ends what waits for the socket.
func (k *caller) over(err error) {
	k.mu.Lock()
	if k.err == nil {
		k.err = err
	}
	k.mu.Unlock()
	_ = k.path.in.Close()
	k.once.Do(func() { close(k.answered) })
}

// why is what the socket has to say about a failure, if it has.
func (k *caller) why(err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil && !errors.Is(k.err, net.ErrClosed) {
		return k.err
	}
	return err
}

func (k *caller) handle(p []byte) {
	switch {
	case isDTLS(p):
		k.path.push(p)
	case isSTUN(p):
		k.mu.Lock()
		id := k.id
		k.mu.Unlock()
		if k.who.answers(p, id) {
			k.once.Do(func() { close(k.answered) })
			k.path.alive()
			return
		}
		if out, err := k.who.answerPeer(p, k.to); err == nil {
			_, _ = k.pc.Write(out)
			k.path.alive()
		}
	}
}

// check sends one to a remote that has answered, to keep the connection's consent: RFC 7675.
func (k *caller) check() {
	if m := k.newCheck(); m != nil {
		_, _ = k.pc.Write(m)
	}
}

func (k *caller) newCheck() []byte {
	id := stun.NewTransactionID()
	m, err := k.who.checkMessage(id, k.tie)
	if err != nil {
		return nil
	}
	k.mu.Lock()
	k.id = id
	k.mu.Unlock()
	return m
}

// reach checks the remote's address until it answers.
func (k *caller) reach(ctx context.Context) error {
	m := k.newCheck()
	for wait := checkAgain; ; wait *= 2 {
		_, _ = k.pc.Write(m) // what is wrong shows when reading
		timer := time.NewTimer(wait)
		select { // order-free: an answer that comes with the deadline may be missed
		case <-k.answered:
			timer.Stop()
			k.mu.Lock()
			defer k.mu.Unlock()
			return k.err
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

package unix

import (
	"errors"
	"io/fs"
	"sync"
	"syscall"
	"testing"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
)

// couples knows the other end of each connection.
type couples struct {
	mu     sync.Mutex
	last   *sockets.Conn
	others map[*sockets.Conn]*sockets.Conn
}

func (p *couples) add(c *sockets.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		p.last = c
		return
	}
	p.others[p.last], p.others[c] = c, p.last
	p.last = nil
}

// breaks ends a connection so that the other end sees a reset: Linux sends one if what it sent was not
// read. Other systems make every end of a Unix socket look orderly, which is why this is for Linux.
func (p *couples) breaks(t testing.TB, c *sockets.Conn) {
	t.Helper()
	p.mu.Lock()
	other := p.others[c]
	p.mu.Unlock()
	raw, err := other.Socket().(sockets.Socket).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { _, _ = syscall.Write(int(fd), []byte("x")) }) // it may be full
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestTransportKeepsTheContract(t *testing.T) {
	for name, cfg := range map[string]Config{"ready": {}, "portable": {portable: true}} {
		t.Run(name, func(t *testing.T) {
			p := &couples{others: map[*sockets.Conn]*sockets.Conn{}}
			transporttest.Run(t, transporttest.Subject{
				New: func(_ testing.TB, rt *actors.Runtime, _ identity.PrivateKey) conduit.Transport {
					return New(rt, cfg)
				},
				Listen: ma.StringCast("/unix" + t.TempDir()),
				Foreign: []ma.Multiaddr{
					nil, ma.StringCast("/ip4/127.0.0.1/tcp/1"), ma.StringCast("/memory/1"),
					ma.Join(ma.StringCast("/unix/tmp/x"), ma.StringCast("/tcp/1")),
				},
				Refused: func(err error) bool { return errors.Is(err, fs.ErrNotExist) },
				Break:   func(t testing.TB, c conduit.Conduit) { p.breaks(t, c.Raw.(*sockets.Conn)) },
				Tune:    func(_ testing.TB, c conduit.Conduit) { p.add(c.Raw.(*sockets.Conn)) },
				Held:    1 << 20, // Linux's wmem_default with its overhead,
				Writes:  200,     // in which a byte takes hundreds
			})
		})
	}
}

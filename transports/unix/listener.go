package unix

import (
	"net"

	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Listen implements conduit.Transport. Connections may be accepted before it returns. Those that wait
// to be accepted when the listener is closed are reset by the kernel.
func (t *Transport) Listen(a ma.Multiaddr, sink conduit.AcceptSink) (conduit.Listener, error) {
	l, err := t.listen(a, sink)
	if err != nil {
		return nil, err
	}
	l.Start()
	return l, nil
}

func (t *Transport) listen(a ma.Multiaddr, sink conduit.AcceptSink) (*sockets.Listener[*net.UnixConn], error) {
	path, err := t.pathOf(a)
	var f *file
	if err == nil {
		f, err = create(t.rt.Rand(), path, t.cfg.Mode)
	}
	if err != nil {
		return nil, fail(sockets.OriginOfListen(err), "listen on", a, tooLong(path, err))
	}
	addr := a
	if f.path != path {
		if addr, err = manet.FromNetAddr(f.l.Addr()); err != nil {
			_ = f.close()
			return nil, fail(fault.Local, "listen on", a, err)
		}
	}
	l := &sockets.Listener[*net.UnixConn]{
		Runtime: t.rt, Transport: name, At: addr, Sink: sink, Accept: f.l.AcceptUnix, Free: f.close,
	}
	l.Took = func(nc *net.UnixConn) {
		if c, err := t.conduit(nc, addr, conduit.Inbound); err == nil { // or it is gone already
			l.Give(c)
		}
	}
	return l, nil
}

package sockets

import (
	"errors"
	"net"
	"sync"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	ma "github.com/multiformats/go-multiaddr"
)

// Listener is one bound address. Its pump accepts until Close or until accepting fails for good.
type Listener[C net.Conn] struct {
	Runtime   *actors.Runtime
	Transport string // its name
	At        ma.Multiaddr
	Sink      conduit.AcceptSink
	Accept    func() (C, error)
	// Divert may take a connection, in the pump, for somebody else; nil takes none.
	Divert func(C) bool
	// Took gets each connection. What it hands to Give is closed if the sink panics.
	Took func(C)
	Free func() error // ends Accept and frees the address

	mu     sync.Mutex
	stop   chan struct{} // closed by Close
	closed bool
}

// Start begins to accept.
func (l *Listener[C]) Start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.stop = make(chan struct{})
	l.Runtime.Pump(l.pump(), l.run, l.Broke)
}

func (l *Listener[C]) pump() string { return l.Transport + " accept " + l.At.String() }

// Addr implements conduit.Listener.
func (l *Listener[C]) Addr() ma.Multiaddr { return l.At }

// Close implements conduit.Listener. Accepted connections live on.
func (l *Listener[C]) Close() error {
	if !l.shut() {
		return nil
	}
	if err := l.Free(); err != nil && !errors.Is(err, net.ErrClosed) {
		return Fail(l.Transport, fault.Local, "close", l.At, err)
	}
	return nil
}

// Closed says that it does not accept any more.
func (l *Listener[C]) Closed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// shut reports whether the listener was open.
func (l *Listener[C]) shut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.closed = true
	if l.stop != nil {
		close(l.stop)
	}
	return true
}

func (l *Listener[C]) run() {
	err := Accepting[C]{
		Accept: l.Accept, Now: l.Runtime.Now, Stop: l.stop, Took: l.took,
		Degraded: func(err error) { l.Sink.Degraded(Fail(l.Transport, OriginOf(err), "accept on", l.At, err)) },
	}.Run()
	if err != nil {
		l.failed(err)
	}
}

func (l *Listener[C]) took(nc C) {
	if l.Divert == nil || !l.Divert(nc) {
		l.Take(nc)
	}
}

// Take is for who has accepted a connection, with whichever socket, of which Took shall know.
func (l *Listener[C]) Take(nc C) {
	if l.Closed() {
		_ = nc.Close()
		return
	}
	l.Took(nc)
}

// Give hands a connection over. It is for Took.
func (l *Listener[C]) Give(c conduit.Raw) {
	given := false
	defer func() {
		if !given {
			_ = c.Close()
		}
	}()
	l.Sink.Accepted(conduit.Conduit{Raw: c})
	given = true
}

// failed closes the listener and tells why, unless it was closed before.
func (l *Listener[C]) failed(err error) {
	if !l.shut() {
		return
	}
	_ = l.Free()
	l.Sink.Failed(AcceptError(l.Transport, l.At, err))
}

// AcceptError is why a listener failed, for its owner. A panic of his stays what it is.
func AcceptError(transport string, at ma.Multiaddr, err error) error {
	var pe *actors.PanicError
	if errors.As(err, &pe) {
		return err
	}
	return Fail(transport, fault.Local, "accept on", at, err)
}

// Broke closes the listener because its owner has panicked, on the pump or elsewhere.
func (l *Listener[C]) Broke(pe *actors.PanicError) {
	l.Runtime.Pump(l.pump(), func() { l.failed(pe) }, ignore)
}

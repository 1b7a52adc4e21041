package sockets

import (
	"net"
	"time"
)

// Accepting is the loop of a listener.
type Accepting[C net.Conn] struct {
	Accept func() (C, error)
	Now    func() time.Time
	Stop   <-chan struct{} // closed when the listener is
	// Took gets each connection, Degraded the first error of each shortage.
	Took     func(C)
	Degraded func(error)
}

// Run accepts until it is stopped (nil or net.ErrClosed, as it happens) or until accepting fails
// for good.
func (a Accepting[C]) Run() error {
	var p Patience
	for {
		nc, err := a.Accept()
		if err == nil {
			p.Worked()
			a.Took(nc)
			continue
		}
		if !Temporary(err) {
			return err
		}
		if p.Spares(err) {
			continue
		}
		wait, first := p.Failed(a.Now())
		if first {
			a.Degraded(err)
		}
		timer := time.NewTimer(wait)
		select { // order-free: when both are ready, the next accept finds the listener closed
		case <-timer.C:
		case <-a.Stop:
			timer.Stop()
			return nil
		}
	}
}

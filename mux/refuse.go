package mux

import (
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux/yamux"
)

// Refuse tells the remote of a link that does not become a connection why, and closes it. It costs
// one frame and waits for nothing: what the conduit does not take at once is not said.
func Refuse(l *messages.Link, code uint32, reason string) {
	if l.Muxed != nil {
		_ = l.Muxed.Close(code, reason)
	} else {
		away := yamux.Header{Type: yamux.TypeGoAway, Length: code}
		if b, err := l.Secured.Seal.Seal(nil, away.Append(nil)); err == nil {
			_, _ = l.Secured.Raw.TryWrite(b)
		}
	}
	l.Close()
}

// Package mux holds the actors of an established connection.
//
//	connection (Session)   owns the muxer core and the conduit, for life
//	└─ stream              owns one stream's handler
//	   └─ handler          a user's actor; or a task, for a blocking handler
//
// In:  conduit ─Offer(buf)─> Session turn: open in place -> muxer core -> per stream:
// negotiation, or one Data message to the handler, or into the pipe of a blocking reader.
//
// Out: handler ─Stream note─> Session turn: muxer core -> header and borrowed body sealed into
// one output buffer -> one TryWrite; what does not fit is drained by the conduit.
//
// The muxer core is touched only inside a Session turn. All three actors are temporary: what is
// bound to a remote is stopped, not restarted.
package mux

// Package drive is what all peer programs share: the measures, and the loop that runs them.
//
//	stdin line -> Request -> measure on a Node -> Reply -> stdout line
//
// A measure uses nothing of a library but the Node and Stream interfaces, so that each
// implementation is measured by the same code. Handlers for streams that peers open are here in
// the form of goroutines; a program may serve the same protocols in another form.
package drive

import (
	"context"
	"io"
)

// Config says what node to make.
type Config struct {
	Listen   string // multiaddr; none if empty
	Security string // noise, tls, or in place of TCP quic, ws, unix, webtransport or webrtc
	Blocking bool   // where there are several kinds of handlers: goroutines
	Crowd    bool   // one of thousands in this process: what nodes can share is shared
}

// Node is a node of the implementation under test.
type Node interface {
	ID() string
	Addrs() []string
	// Connect makes a connection and returns when identify has told who the peer is.
	Connect(ctx context.Context, addr string) (id string, err error)
	// Disconnect returns when the connection is gone.
	Disconnect(ctx context.Context, id string) error
	Open(ctx context.Context, id, protocol string) (Stream, error)
	// Peers are those connected, in any order.
	Peers() ([]string, error)
	Close()
}

// Stream is a stream of the implementation under test.
type Stream interface {
	io.ReadWriteCloser
	CloseWrite() error
	Abort() // reset
}

// Maker makes a node.
type Maker func(Config) (Node, error)

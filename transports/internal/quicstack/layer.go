package quicstack

import (
	"context"
	"math"

	quicgo "github.com/quic-go/quic-go"
)

// Layer is what a protocol puts between a QUIC connection and libp2p's streams.
type Layer interface {
	// Accept gives the remote's streams to Conn.Accepted until the connection ends.
	Accept(c *Conn)
	// Head is what a stream of ours begins with; it reaches the remote also if the stream is reset.
	// It is not written to. nil: nothing.
	Head() []byte
	// StreamCode is how a stream's code goes over the wire, and FromStreamCode the way back.
	StreamCode(code uint32) quicgo.StreamErrorCode
	FromStreamCode(code quicgo.StreamErrorCode) uint32
	// Close ends the connection. It may take a moment, but has an end.
	Close(c *Conn, why Ending, reason string)
	// FromConnCode is the code of a remote that has closed the connection.
	FromConnCode(code quicgo.ApplicationErrorCode) uint32
}

// Ending is how a connection or stream ended.
type Ending struct {
	Code   uint32
	Remote bool // the remote sent the code
	Err    error
}

// bare is QUIC without anything over it.
type bare struct{ c *Conn }

func (bare) Accept(c *Conn) {
	for {
		qs, err := c.qc.AcceptStream(context.Background())
		if err != nil {
			return
		}
		c.Accepted(qs)
	}
}

func (bare) Head() []byte                                      { return nil }
func (bare) StreamCode(code uint32) quicgo.StreamErrorCode     { return quicgo.StreamErrorCode(code) }
func (bare) FromStreamCode(code quicgo.StreamErrorCode) uint32 { return code32(code) }
func (bare) FromConnCode(code quicgo.ApplicationErrorCode) uint32 {
	return code32(code)
}

func (bare) Close(c *Conn, why Ending, reason string) {
	if c.confirmed.missing() {
		c.LoseAll() // now, not behind the wait
		c.confirmed.wait(c.qc.Context())
	}
	_ = c.qc.CloseWithError(quicgo.ApplicationErrorCode(why.Code), reason)
}

// code32 is a remote's code, which may have up to 62 bits.
func code32[C ~uint64](c C) uint32 { return uint32(min(uint64(c), math.MaxUint32)) }

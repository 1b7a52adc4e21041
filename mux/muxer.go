package mux

import (
	"time"

	"github.com/troupe-p2p/troupe/mux/yamux"
)

// muxer is what a Session drives: a yamux core on a Raw conduit, or a Muxed conduit. Single
// threaded; every method belongs to the Session's turn. After any input: next until false, then
// flush, and again while flush reports that it did something.
type muxer interface {
	// input takes a message of the conduit's sink; false if it is none.
	input(now time.Time, m any) bool
	timeout(now time.Time)
	next(now time.Time) (event, bool)
	flush(now time.Time) (again bool)
	deadline() (time.Time, bool)

	open(now time.Time) (uint64, error)
	accept(now time.Time, id uint64)
	refuse(now time.Time, id uint64, code uint32)
	write(now time.Time, id uint64, p []byte) error // p is lent until Written or StreamClosed
	cancelWrite(id uint64) int
	closeWrite(now time.Time, id uint64) error
	closeRead(now time.Time, id uint64, code uint32)
	reset(now time.Time, id uint64, code uint32)
	consumed(now time.Time, id uint64, n int)
	ping(now time.Time)
	rtt() time.Duration
	goAway(now time.Time, code uint32)
	// close ends the conduit and gives every buffer back.
	close()
}

// event is an output of a muxer; the kinds and the lending rules are those of yamux.Event.
type event struct {
	kind   yamux.Kind
	remote bool
	id     uint64
	code   uint32
	n      int
	p      []byte
	err    error
}

package mux

import (
	"time"

	"github.com/troupe-p2p/troupe/mux/yamux"
)

// muxer is what a Session drives: a yamux core on a Raw conduit, or a Muxed conduit. Single
// threaded; every method belongs to the Session's turn. After any input: next until false, then
// flush, and again while flush reports that it did something.
type muxer interface {
	// input takes a message of the conduit's sink; others are none of its business.
	input(now time.Time, m any)
	timeout(now time.Time)
	next(now time.Time) (event, bool)
	// flush gives the conduit what there is to send and takes it off budget. With a budget
	// that is used up it stops; the rest is for another turn.
	flush(now time.Time, budget *int) (again bool)
	// small says that what flush would send is little: it may wait for more.
	small() bool
	// busy says that the conduit has not taken everything yet.
	busy() bool
	deadline() (time.Time, bool)

	// open opens a stream of ours. later says that a refusal is for the moment: an event of
	// kind StreamAcked, StreamClosed or canOpen tells when to try again.
	open(now time.Time) (id uint64, later bool, err error)
	accept(now time.Time, id uint64)
	refuse(now time.Time, id uint64, code uint32)
	write(now time.Time, id uint64, p []byte) error // p is lent until Written or StreamClosed
	cancelWrite(id uint64) int
	closeWrite(now time.Time, id uint64) error
	closeRead(now time.Time, id uint64, code uint32)
	reset(now time.Time, id uint64, code uint32)
	consumed(now time.Time, id uint64, n int)

	// short says that more is held unread than there is memory for, or, with room, than would
	// leave so much of it; scarce is the error for those who have to go then. unread lists
	// the streams that hold something, the one that has consumed nothing for longest first.
	// keep books n bytes of streams that are closed and yet hold some. giveBack is for when all
	// closed streams are booked: it returns the memory that nobody needs.
	short(now time.Time, room int) bool
	scarce() error
	unread() []uint64
	keep(n int)
	giveBack()

	// ping asks the remote for a sign of life. pong says that it has come, or that this
	// muxer knows no such thing, and how long a round trip is.
	ping(now time.Time)
	pong() (rtt time.Duration, ok bool)

	// end ends the connection with a code now. Ended and the ends of all streams follow.
	end(now time.Time, code uint32, reason string)
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

// canOpen is a kind of event beside those of yamux: an open that was refused may work now.
const canOpen yamux.Kind = 0xff

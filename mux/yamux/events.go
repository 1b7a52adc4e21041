package yamux

// Kind says what an Event is.
type Kind uint8

// The closed set of events. The comment names the fields of Event that are set besides Kind.
const (
	// StreamOpened: the remote opened stream ID. Answer with Accept, Refuse or Reset.
	StreamOpened Kind = iota + 1
	// StreamAcked: the remote acknowledged our stream ID, so that one more may be opened.
	StreamAcked
	// Data: P arrived on ID, borrowed until Next returns false. Give credit back with
	// Consumed when the application is done with it.
	Data
	// RemoteClosed: the remote sends nothing more on ID.
	RemoteClosed
	// StreamReset: ID ended in disorder with Code: by the remote if Remote is set, else by
	// the session itself, for a limit if Err says so. A Reset or Refuse of the caller's does
	// not come back as one.
	StreamReset
	// Written: the body of N bytes given to Write for ID has been used and is the caller's
	// again.
	Written
	// StreamClosed: ID is gone and its state freed; a pending body is the caller's again. N
	// bytes of its were delivered and not consumed; with the session's end that is not told.
	// Comes exactly once for each stream that was opened, always as its last event.
	StreamClosed
	// RemoteGoAway: the remote ends the session with Code. With code 0 streams may finish.
	RemoteGoAway
	// Ended: the session is over because of Err. StreamClosed follows for every stream that
	// was still open. There may be one last frame to write.
	Ended
)

// Event is one output of a Session. Which fields are set depends on Kind.
type Event struct {
	Kind   Kind
	Remote bool
	ID     uint32
	Code   uint32
	N      int
	P      []byte
	Err    error
}

// maxFrameEvents is the most events that one step of parsing makes, a header or a piece of a
// body: acknowledged or data, remote closed, stream closed, session ended. Parsing goes on only
// when they are drained, so it bounds what a read can queue. (The StreamClosed events at the
// end of a session are made while draining.)
const maxFrameEvents = 4

// eventQueue is a FIFO that keeps its memory.
type eventQueue struct {
	q    []Event
	head int
}

func (e *eventQueue) push(ev Event) { e.q = append(e.q, ev) }

func (e *eventQueue) pop() (Event, bool) {
	if e.head == len(e.q) {
		return Event{}, false
	}
	ev := e.q[e.head]
	e.q[e.head] = Event{} // do not keep the input buffer alive
	e.head++
	if e.head == len(e.q) {
		e.q, e.head = e.q[:0], 0
	}
	return ev, true
}

func (e *eventQueue) len() int { return len(e.q) - e.head }

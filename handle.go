package troupe

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/stream"
)

// Stream is a stream for goroutines: Read, Write, CloseRead, CloseWrite, Reset(code), deadlines,
// a context, and a net.Conn view.
type Stream = stream.Blocking

// StreamRef is a stream for actors: Write gives a buffer away and never waits.
type StreamRef = stream.Stream

// What an actor handler receives, in this order: *StreamOpened, then any of *StreamData and
// *StreamWritable, at most one *StreamRemoteClosed, then *StreamEnded.
type (
	// StreamOpened is the first message: here is the stream.
	StreamOpened = stream.Opened
	// StreamData is received bytes.
	StreamData = stream.Data
	// StreamWritable follows Blocked.
	StreamWritable = stream.Writable
	// StreamRemoteClosed says that the peer sends nothing more.
	StreamRemoteClosed = stream.RemoteClosed
	// StreamEnded is the last message.
	StreamEnded = stream.Ended
)

// Answers of StreamRef.Write.
const (
	Accepted = stream.Accepted
	Blocked  = stream.Blocked
	Refused  = stream.Refused
)

// Conn is what is known of a connection.
type Conn = stream.Conn

// Handler is what the streams of a protocol are given to. Make one with ActorHandler or
// StreamHandler.
type Handler = stream.Handler

// ActorHandler makes a Handler of actors: each stream gets one, spawned below the stream's actor.
// It is told about its stream by messages (StreamOpened and so on) and dies with it. A panic
// costs that stream: it is reset with code 0x54520001. As long as turns are short (200 µs) they run on the
// goroutine that has read what they are given; Handler.Pace says how, and how to have it otherwise.
func ActorHandler(make func() actor.Actor) Handler {
	return Handler{Inline: true, Actor: func(*stream.Stream) actors.Spec { return actors.Spec{New: make} }}
}

// ActorHandlerSpec is ActorHandler with a say in the mailbox and in how the handler supervises
// its own children. Name and Restart are the node's.
func ActorHandlerSpec(make func(*StreamRef) actors.Spec) Handler { return Handler{Actor: make} }

// StreamHandler makes a Handler of a function that reads and writes: each stream gets a
// goroutine, supervised as a task of the stream's actor. When it returns, the stream is closed;
// when it panics, the stream is reset; when it never returns, the stream and its quota are given
// up with the connection all the same, and the tree shows the goroutine.
func StreamHandler(run func(ctx context.Context, s *Stream)) Handler { return Handler{Run: run} }

// Handle serves a protocol: the streams that peers open for it go to h. It replaces an earlier
// handler; streams that are open keep theirs.
func (s *System) Handle(protocol string, h Handler) error {
	return s.setHandler("handle", protocol, h)
}

// Unhandle stops serving a protocol. Streams that are open go on.
func (s *System) Unhandle(protocol string) error {
	return s.setHandler("unhandle", protocol, Handler{})
}

func (s *System) setHandler(op, protocol string, h Handler) error {
	if h.Actor != nil && h.Run != nil {
		return ErrConfig.with(op, "", fmt.Errorf("the handler of %s has both Actor and Run: set one", protocol))
	}
	if h.Actor != nil && !h.Bounded && h.Pace == nil {
		h.Pace = new(actors.Pace)
	}
	_, err := actors.AskControl(s.life, s.router, func(r actors.Reply[struct{}]) messages.Router {
		return &messages.Handle{Protocol: protocol, Handler: h, Reply: r}
	})
	return s.explain(s.life, op, "", err)
}

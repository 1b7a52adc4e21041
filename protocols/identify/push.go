package identify

import (
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/protocols/identify/message"
	"github.com/troupe-p2p/troupe/stream"
)

// pushed says that a push of ours is over.
type pushed struct {
	messages.Identify
	conn uint64
}

// pushArrived asks whether a push of a remote may be read; the answer is a verdict.
type pushArrived struct {
	messages.Identify
	conn   *stream.Conn
	reader actors.Ref[any]
}

// Discard implements actors.Discarder: who is not heard is turned away.
func (m *pushArrived) Discard(error) { _ = m.reader.Control(verdict(false)) }

type verdict bool

func (a *service) pushArrived(ctx actor.Context, m *pushArrived) {
	r := a.st.remotes[m.conn.Peer]
	_ = m.reader.Control(verdict(r != nil && r.pace.Allow(actors.RuntimeOf(ctx).Now())))
}

// pushAll tells what is new to everybody who has been told the old.
func (a *service) pushAll() {
	a.queue = a.queue[:0]
	for _, c := range a.st.inOrder() {
		a.queue = append(a.queue, c.info.ID)
	}
	a.pushMore()
}

// pushMore begins pushes while there may be more of them at a time.
func (a *service) pushMore() {
	st := a.st
	for len(a.queue) > 0 && len(a.pushing) < message.MaxPushes {
		id := a.queue[0]
		a.queue = a.queue[1:]
		c := st.conns[id]
		if c == nil || !c.pushes || c.sent >= st.version(c) {
			continue
		}
		if _, ok := a.pushing[id]; ok {
			continue // with what was new when it began; pushed sees to the rest
		}
		// One try: who does not take it learns of us with the next change.
		c.sent = st.version(c)
		a.pushing[id] = struct{}{}
		a.open(c, message.PushProtocol, pusherHandler(a.self, st), func(error) messages.Identify {
			return &pushed{conn: id}
		})
	}
}

func (a *service) pushed(m *pushed) {
	if _, ok := a.pushing[m.conn]; !ok {
		return
	}
	delete(a.pushing, m.conn)
	if c := a.st.conns[m.conn]; c != nil && c.pushes && c.sent < a.st.version(c) {
		a.queue = append(a.queue, m.conn)
	}
	a.pushMore()
}

// pushTimeout is how long a remote may take for our push. Attack: one that accepts streams and
// never reads would keep the others from being told.
const pushTimeout = 5 * time.Second

var errPushTimeout = errors.New("identify: remote: did not take our push in time")

func pusherHandler(svc actors.Ref[messages.Identify], st *State) stream.Handler {
	return stream.Handler{Inline: true, Bounded: true, Actor: func(s *stream.Stream) actors.Spec {
		return actors.Spec{Kind: "identify-push", New: func() actor.Actor { return &pusher{svc: svc, st: st, s: s} }}
	}}
}

// pusher sends one push.
type pusher struct {
	svc actors.Ref[messages.Identify]
	st  *State
	s   *stream.Stream
}

type tick struct{}

// Receive implements actor.Actor.
func (p *pusher) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *actor.Started:
		actors.NewTimer(ctx, &tick{}).After(pushTimeout)
	case *stream.Opened:
		say(p.s, p.st)
		p.s.CloseWrite()
	case *stream.RemoteClosed:
		p.s.Close()
	case *tick:
		p.s.Fail(codeTimeout, errPushTimeout)
	case *actor.Stopping:
		_ = p.svc.Control(&pushed{conn: p.s.Conn().ID})
	}
}

// say writes our message.
func say(s *stream.Stream, st *State) {
	b := buf.Get(4 << 10)
	b.B = st.encode(b.B[:0], s.Conn())
	s.Write(b)
}

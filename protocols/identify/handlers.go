package identify

import (
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/protocols/identify/message"
	"github.com/troupe-p2p/troupe/stream"
)

// Codes of the draft registry that go-libp2p uses.
const (
	codeRateLimited       uint32 = 0x1003
	codeProtocolViolation uint32 = 0x1004
	codeTimeout           uint32 = 0x1006 // garbage collected
)

var (
	errTooMany  = errors.New("limit: identify pushes of this peer")
	errNoAnswer = errors.New("identify: remote: ended the stream without a message")
)

// Handlers are what the node serves of identify, by protocol. svc is the service's actor.
func Handlers(st *State, svc actors.Ref[messages.Identify]) map[string]stream.Handler {
	return map[string]stream.Handler{
		message.Protocol: {Inline: true, Bounded: true, Actor: func(s *stream.Stream) actors.Spec {
			return actors.Spec{Kind: "identify", New: func() actor.Actor { return &answerer{st: st, s: s} }}
		}},
		message.PushProtocol: readerHandler(svc, true),
	}
}

// answerer says who we are, on a stream that the remote has opened for it. It does not wait for
// anything: what it has written the session sends, and the session bounds how long that takes.
type answerer struct {
	st *State
	s  *stream.Stream
}

// Receive implements actor.Actor.
func (h *answerer) Receive(ctx actor.Context) {
	if _, ok := ctx.Message().(*stream.Opened); !ok {
		return
	}
	say(h.s, h.st)
	h.s.Close()
	ctx.Stop(ctx.Self())
}

func readerHandler(svc actors.Ref[messages.Identify], push bool) stream.Handler {
	return stream.Handler{Inline: true, Bounded: true, Actor: func(s *stream.Stream) actors.Spec {
		return actors.Spec{Kind: "identify-reader", New: func() actor.Actor { return &reader{svc: svc, s: s, push: push} }}
	}}
}

// reader reads one message of a remote: the answer to our question, or a push. A push is read
// only once the service allows it.
type reader struct {
	svc  actors.Ref[messages.Identify]
	s    *stream.Stream
	push bool

	core    *message.Reader
	timer   *actors.Timer
	allowed bool
	held    *stream.Data // came before the verdict
	ended   bool         // the remote has closed, before the verdict
	over    bool         // the service has been told, or need not be
}

// Receive implements actor.Actor.
func (r *reader) Receive(ctx actor.Context) {
	now := actors.RuntimeOf(ctx).Now()
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.core = message.NewReader(message.Config{Peer: r.s.Peer(), Remote: r.s.Conn().Remote}, now)
		r.timer = actors.NewTimer(ctx, &tick{})
		at, _ := r.core.Deadline()
		r.timer.Set(at)
		r.allowed = !r.push
		if r.push {
			// As data: a remote can cause it at will.
			_ = r.svc.Send(&pushArrived{conn: r.s.Conn(), reader: actors.Self[any](ctx)})
		}
	case verdict:
		if !m {
			r.fail(codeRateLimited, errTooMany)
			break
		}
		r.allowed = true
		if d := r.held; d != nil {
			r.held = nil
			r.read(ctx, d)
			d.Release()
		}
		if r.ended {
			r.end(ctx)
		}
	case *stream.Data:
		if !r.allowed && !r.over {
			m.Hold()
			r.held = m
			break
		}
		r.read(ctx, m)
	case *stream.RemoteClosed:
		r.ended = true
		if r.allowed {
			r.end(ctx)
		}
	case *tick:
		if err := r.core.HandleTimeout(now); err != nil && !r.over {
			r.fail(codeTimeout, err)
		}
	case *stream.Ended:
		if m.Err == nil {
			r.report(errNoAnswer)
		} else {
			r.report(m.Err)
		}
	case *actor.Stopping:
		r.report(stream.ErrConnClosed)
		r.letGo()
	}
}

func (r *reader) read(ctx actor.Context, d *stream.Data) {
	if r.over {
		return
	}
	if err := r.core.HandleBytes(actors.RuntimeOf(ctx).Now(), d.B); err != nil {
		r.fail(codeProtocolViolation, err)
	}
}

func (r *reader) end(ctx actor.Context) {
	if r.over {
		return
	}
	info, err := r.core.HandleEnd(actors.RuntimeOf(ctx).Now())
	if err != nil {
		r.fail(codeProtocolViolation, err)
		return
	}
	r.over = true
	r.timer.Stop()
	_ = r.svc.Control(&told{conn: r.s.Conn(), info: info, push: r.push})
	r.s.Close()
}

func (r *reader) fail(code uint32, err error) {
	r.report(err)
	r.timer.Stop()
	r.s.Fail(code, err)
	r.letGo()
}

// letGo gives back what waits for the verdict.
func (r *reader) letGo() {
	if d := r.held; d != nil {
		r.held = nil
		d.Release()
	}
}

// report tells the service why it is told nothing. A push that was not allowed is no news.
func (r *reader) report(err error) {
	if r.over {
		return
	}
	r.over = true
	if r.allowed {
		_ = r.svc.Control(&failed{conn: r.s.Conn(), err: err})
	}
}

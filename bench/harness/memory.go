package harness

import (
	"context"

	"github.com/troupe-p2p/troupe/bench/control"
)

// warmup is how many connections or streams a server has seen before any is counted, so that
// what the first one costs for all is not taken for the cost of one.
const warmup = 16

// settled is what the server uses after it has come to rest and a collection.
func (p *pair) settled(ctx context.Context) (*control.Usage, error) {
	r, err := p.server.do(ctx, control.Request{Cmd: control.Stats, GC: true})
	return r.Usage, err
}

// each is what one of n more costs.
func each(before, after *control.Usage, n int) values {
	per := func(a, b uint64) float64 { return (float64(b) - float64(a)) / float64(n) / 1e3 }
	return values{
		"KB":         per(before.Heap+before.Stack, after.Heap+after.Stack),
		"KB RSS":     per(before.RSS, after.RSS),
		"goroutines": float64(after.Goroutines-before.Goroutines) / float64(n),
	}
}

// crowded is a server of one implementation with a crowd of clients that is the same for all: one
// light node of Troupe for each connection.
func (e *env) crowded(ctx context.Context, s side, security string, measure func(*pair) (values, error)) (values, error) {
	return e.connected(ctx, side{ours, s.server}, options{security: security, apart: true}, measure)
}

func memoryConns(security string, n int) func(context.Context, *env, side) (values, error) {
	return func(ctx context.Context, e *env, s side) (values, error) {
		return e.crowded(ctx, s, security, func(p *pair) (values, error) {
			base, err := p.settled(ctx)
			if err != nil {
				return nil, err
			}
			before, err := p.after(ctx, control.Request{Cmd: control.Crowd, Count: warmup}, warmup)
			if err != nil {
				return nil, err
			}
			if err := p.profile(ctx, "memory-conns."+s.server); err != nil {
				return nil, err
			}
			after, err := p.after(ctx, control.Request{Cmd: control.Crowd, Count: n}, warmup+n)
			if err != nil {
				return nil, err
			}
			if err := p.profile(ctx, "memory-conns."+s.server); err != nil {
				return nil, err
			}
			v := each(before, after, n)
			v["base MB"] = float64(base.Heap+base.Stack) / megabyte
			v["base MB RSS"] = float64(base.RSS) / megabyte
			return v, nil
		})
	}
}

// after runs a command of the client and returns what the server uses once it has so many
// connections and has settled.
func (p *pair) after(ctx context.Context, req control.Request, conns int) (*control.Usage, error) {
	if _, err := p.do(ctx, req); err != nil {
		return nil, err
	}
	if err := p.connsReach(ctx, conns); err != nil {
		return nil, err
	}
	return p.settled(ctx)
}

func memoryStreams(n int) func(context.Context, *env, side) (values, error) {
	return func(ctx context.Context, e *env, s side) (values, error) {
		return e.connected(ctx, s, options{}, func(p *pair) (values, error) {
			before, err := p.after(ctx, control.Request{Cmd: control.Hold, Streams: warmup}, 1)
			if err != nil {
				return nil, err
			}
			if err := p.profile(ctx, "memory-streams."+s.server); err != nil {
				return nil, err
			}
			after, err := p.after(ctx, control.Request{Cmd: control.Hold, Streams: n}, 1)
			if err != nil {
				return nil, err
			}
			if err := p.profile(ctx, "memory-streams."+s.server); err != nil {
				return nil, err
			}
			return each(before, after, n), nil
		})
	}
}

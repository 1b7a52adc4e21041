package harness

import (
	"context"
	"fmt"

	"github.com/troupe-p2p/troupe/bench/control"
)

// A growth experiment has the same values at several points: "MB/s@100".
func at(value string, point int) string { return fmt.Sprintf("%s@%d", value, point) }

func streamPoints(quick bool) []int {
	if quick {
		return []int{1, 100, 1000} // the most as well: what fails there is seen at a glance
	}
	return []int{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000}
}

func connPoints(quick bool) []int {
	if quick {
		return []int{10, 50, 200}
	}
	return []int{10, 100, 300, 1000, 3000, 10_000}
}

// growthStreams measures one transfer over more and more streams, and pings beside so many.
func growthStreams(size int64, points []int) func(context.Context, *env, side) (values, error) {
	return func(ctx context.Context, e *env, s side) (values, error) {
		all := values{}
		for _, n := range points {
			v, err := e.connected(ctx, s, options{}, func(p *pair) (values, error) {
				up, err := p.transfer(ctx, control.Request{Cmd: control.Upload, Bytes: size, Streams: n}, fmt.Sprintf("growth-%d.%s", n, s.client))
				if err != nil {
					return nil, err
				}
				beside, err := p.do(ctx, control.Request{Cmd: control.Ping, MS: 1000, Streams: n})
				return values{at("MB/s", n): up["MB/s"], at("p50 us", n): beside.P50}, err
			})
			if err != nil {
				return nil, fmt.Errorf("with %d streams: %w", n, err)
			}
			for k, x := range v {
				all[k] = x
			}
		}
		return all, nil
	}
}

// growthConns measures what a connection costs a server that has more and more of them, and how
// long one more takes to open. At the end some are asked whether they still answer.
func growthConns(points []int) func(context.Context, *env, side) (values, error) {
	return func(ctx context.Context, e *env, s side) (values, error) {
		return e.crowded(ctx, s, "noise", func(p *pair) (values, error) {
			newcomer, err := start(e.binary(s.client), s.client+" (newcomer)")
			if err != nil {
				return nil, err
			}
			defer func() { _ = newcomer.stop() }()
			one := func() (float64, error) {
				r, err := newcomer.do(ctx, control.Request{Cmd: control.Connects, Addr: p.addr, Count: 20})
				return r.P50, err
			}
			if _, err := one(); err != nil {
				return nil, err
			}
			before, err := p.settled(ctx)
			if err != nil {
				return nil, err
			}
			v, have := values{}, 0
			for _, n := range points {
				after, err := p.after(ctx, control.Request{Cmd: control.Crowd, Count: n - have}, n)
				if err != nil {
					return nil, fmt.Errorf("with %d connections: %w", n, err)
				}
				have = n
				per := each(before, after, n)
				v[at("KB", n)], v[at("KB RSS", n)] = per["KB"], per["KB RSS"]
				if v[at("connect us", n)], err = one(); err != nil {
					return nil, fmt.Errorf("one more than %d connections: %w", n, err)
				}
				if err := p.connsReach(ctx, n); err != nil {
					return nil, err
				}
			}
			const sample = 100
			r, err := p.server.do(ctx, control.Request{Cmd: control.PingBack, Count: min(sample, have)})
			if err != nil {
				return nil, err
			}
			v["pings answered"], v["ping p50 us"] = float64(r.Count), r.P50
			return v, nil
		})
	}
}

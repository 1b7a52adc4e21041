package harness

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/troupe-p2p/troupe/bench/control"
)

// experiment is one measure: what each of its sides does in each of its rounds.
type experiment struct {
	name   string
	rounds int
	sides  []side
	run    func(context.Context, *env, side) (values, error)
}

// Rounds: medians of at least five for throughput, of at least nine for rates and latencies. Where the
// spread of a row reaches its floor there are more.
const (
	few  = 5
	many = 9
	lots = 15
)

const (
	mib       = 1 << 20
	megabyte  = 1e6
	gigabyte  = 1e9
	bareChunk = 65535 - 16 // a Noise frame
)

// experiments in the order in which they run and are reported.
func experiments(quick bool) []experiment {
	pick := func(full, short int) int {
		if quick {
			return short
		}
		return full
	}
	size := int64(pick(512, 48)) * mib
	ms := pick(2000, 400)
	return []experiment{
		{"throughput-noise-1", many, append(allSides, nobody), transfers(control.Upload, "noise", size, 1)},
		{"throughput-noise-8", few, allSides, transfers(control.Upload, "noise", size, 8)},
		{"throughput-noise-1-down", few, allSides, transfers(control.Download, "noise", size, 1)},
		{"throughput-noise-8-down", few, mainSides, transfers(control.Download, "noise", size, 8)},
		{"throughput-noise-1-blocking", few, mainSides, blockingTransfer(size)},
		{"throughput-tls-1", few, allSides, transfers(control.Upload, "tls", size, 1)},
		{"throughput-tls-8", few, mainSides, transfers(control.Upload, "tls", size, 8)},
		{"throughput-quic-1", lots, allSides, transfers(control.Upload, "quic", size, 1)},
		{"throughput-ws-1", few, allSides, transfers(control.Upload, "ws", size, 1)},
		{"throughput-webtransport-1", few, mainSides, transfers(control.Upload, "webtransport", size/2, 1)},
		{"throughput-webrtc-1", few, mainSides, transfers(control.Upload, "webrtc", size/16, 1)},
		{"throughput-unix-1", few, []side{us}, transfers(control.Upload, "unix", size, 1)},
		{"delay", few, mainSides, delayed(int64(pick(256, 32)) * mib)},
		{"stalled", few, mainSides, stalled(size / 2)},
		{"requests-32", many, allSides, requests(32, ms)},
		{"requests-1", many, mainSides, requests(1, ms)},
		{"connects-4", lots, mainSides, connects(4, ms)},
		{"ping", lots, append(mainSides, nobody), ping(pick(5000, 500))},
		{"ping-loaded", many, mainSides, pingLoaded(ms)},
		{"memory-conns", few, mainSides, memoryConns("noise", pick(1000, 100))},
		{"memory-quic-conns", few, mainSides, memoryConns("quic", pick(1000, 100))},
		{"memory-streams", few, mainSides, memoryStreams(pick(2000, 200))},
		{"binary", 1, append(mainSides, libraries, byHand), binarySize("")},
		{"binary-quic", 1, append(mainSides, byHand), binarySize("quic")},
		{"growth-streams", 3, mainSides, growthStreams(size/2, streamPoints(quick))},
		{"growth-conns", 1, mainSides, growthConns(connPoints(quick))},
	}
}

// connected runs a measure on a pair of two connected processes.
func (e *env) connected(ctx context.Context, s side, o options, measure func(*pair) (values, error)) (values, error) {
	ctx, cancel := context.WithCancel(ctx) // ends the proxy
	defer cancel()
	p, err := e.connect(ctx, s, o)
	if err != nil {
		return nil, err
	}
	v, err := measure(p)
	if e := p.close(); err == nil {
		err = e
	}
	return v, err
}

// transfers moves bytes in one direction. What both processes use meanwhile is told, too.
func transfers(cmd, security string, size int64, streams int) func(context.Context, *env, side) (values, error) {
	return func(ctx context.Context, e *env, s side) (values, error) {
		return e.connected(ctx, s, options{security: security}, func(p *pair) (values, error) {
			return p.transfer(ctx, control.Request{Cmd: cmd, Bytes: size, Streams: streams},
				fmt.Sprintf("%s-%s-%d.%s-%s", cmd, security, streams, s.client, s.server))
		})
	}
}

func blockingTransfer(size int64) func(context.Context, *env, side) (values, error) {
	return func(ctx context.Context, e *env, s side) (values, error) {
		return e.connected(ctx, s, options{blocking: true}, func(p *pair) (values, error) {
			return p.transfer(ctx, control.Request{Cmd: control.Upload, Bytes: size, Streams: 1}, "blocking."+s.client)
		})
	}
}

func (p *pair) transfer(ctx context.Context, req control.Request, name string) (values, error) {
	if p.addr == p.peer { // the bare limit has no peers
		req.Chunk = bareChunk
	}
	warm := req
	warm.Bytes /= 16
	if _, err := p.do(ctx, warm); err != nil {
		return nil, err
	}
	if err := p.profile(ctx, name); err != nil {
		return nil, err
	}
	before, err := p.both(ctx)
	if err != nil {
		return nil, err
	}
	r, err := p.do(ctx, req)
	if err != nil {
		return nil, err
	}
	after, err := p.both(ctx)
	if err != nil {
		return nil, err
	}
	size := float64(req.Bytes)
	return values{
		"MB/s":       size / megabyte / r.Seconds,
		"CPU s/GB":   (after.CPU - before.CPU) / (size / gigabyte),
		"allocs/MiB": float64(after.Mallocs-before.Mallocs) / (size / mib),
	}, p.profile(ctx, name)
}

// delayed is one transfer from the first byte on: how fast windows grow is part of it.
func delayed(size int64) func(context.Context, *env, side) (values, error) {
	return func(ctx context.Context, e *env, s side) (values, error) {
		return e.connected(ctx, s, options{delayed: true}, func(p *pair) (values, error) {
			r, err := p.do(ctx, control.Request{Cmd: control.Upload, Bytes: size, Streams: 1})
			return values{"MB/s": float64(size) / megabyte / r.Seconds}, err
		})
	}
}

// stalled compares transfers with and without a stalled stream beside them, in turn.
func stalled(size int64) func(context.Context, *env, side) (values, error) {
	return func(ctx context.Context, e *env, s side) (values, error) {
		return e.connected(ctx, s, options{}, func(p *pair) (values, error) {
			var took [2]float64
			const turns = 3
			for range turns {
				for n := range took {
					r, err := p.do(ctx, control.Request{Cmd: control.Upload, Bytes: size, Streams: 1, Stalled: n})
					if err != nil {
						return nil, err
					}
					took[n] += r.Seconds
				}
			}
			return values{"of the speed": took[0] / took[1]}, nil
		})
	}
}

func requests(inFlight, ms int) func(context.Context, *env, side) (values, error) {
	return func(ctx context.Context, e *env, s side) (values, error) {
		return e.connected(ctx, s, options{}, func(p *pair) (values, error) {
			const body = 100
			req := control.Request{Cmd: control.Requests, Bytes: body, InFlight: inFlight, Count: 100}
			if _, err := p.do(ctx, req); err != nil {
				return nil, err
			}
			name := fmt.Sprintf("requests-%d.%s-%s", inFlight, s.client, s.server)
			if err := p.profile(ctx, name); err != nil {
				return nil, err
			}
			before, err := p.both(ctx)
			if err != nil {
				return nil, err
			}
			req.Count, req.MS = 0, ms
			r, err := p.do(ctx, req)
			if err != nil {
				return nil, err
			}
			after, err := p.both(ctx)
			if err != nil {
				return nil, err
			}
			n := float64(r.Count)
			return values{
				"/s": n / r.Seconds, "p99 us": r.P99,
				"CPU us": (after.CPU - before.CPU) / n * 1e6, "allocs": float64(after.Mallocs-before.Mallocs) / n,
			}, p.profile(ctx, name)
		})
	}
}

func connects(inFlight, ms int) func(context.Context, *env, side) (values, error) {
	return func(ctx context.Context, e *env, s side) (values, error) {
		return e.connected(ctx, s, options{apart: true}, func(p *pair) (values, error) {
			req := control.Request{Cmd: control.Connects, InFlight: inFlight, Count: 10}
			if _, err := p.do(ctx, req); err != nil {
				return nil, err
			}
			name := fmt.Sprintf("connects.%s", s.client)
			if err := p.profile(ctx, name); err != nil {
				return nil, err
			}
			req.Count, req.MS = 0, ms
			r, err := p.do(ctx, req)
			if err != nil {
				return nil, err
			}
			return values{"/s": float64(r.Count) / r.Seconds, "p50 us": r.P50}, p.profile(ctx, name)
		})
	}
}

func ping(count int) func(context.Context, *env, side) (values, error) {
	return func(ctx context.Context, e *env, s side) (values, error) {
		return e.connected(ctx, s, options{}, func(p *pair) (values, error) {
			if _, err := p.do(ctx, control.Request{Cmd: control.Ping, Count: count / 5}); err != nil {
				return nil, err
			}
			r, err := p.do(ctx, control.Request{Cmd: control.Ping, Count: count})
			return values{"p50 us": r.P50, "p99 us": r.P99}, err
		})
	}
}

func pingLoaded(ms int) func(context.Context, *env, side) (values, error) {
	return func(ctx context.Context, e *env, s side) (values, error) {
		return e.connected(ctx, s, options{}, func(p *pair) (values, error) {
			r, err := p.do(ctx, control.Request{Cmd: control.Ping, MS: ms, Streams: 1})
			return values{"p50 us": r.P50, "p99 us": r.P99}, err
		})
	}
}

func binarySize(with string) func(context.Context, *env, side) (values, error) {
	return func(_ context.Context, e *env, s side) (values, error) {
		name := map[side]string{us: "echotroupe", them: "echogolibp2p", libraries: "echolibs", byHand: "echoparts"}[s]
		info, err := os.Stat(e.binary(name + with))
		if err != nil {
			return nil, err
		}
		return values{"MB": float64(info.Size()) / megabyte}, nil
	}
}

// patience is how long a server may take to see what its clients have done already.
const patience = 30 * time.Second

// connsReach waits until the server has n connections.
func (p *pair) connsReach(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		r, err := p.server.do(ctx, control.Request{Cmd: control.Stats})
		if err != nil {
			return fmt.Errorf("waiting for %d connections: %w", n, err)
		}
		if r.Usage.Conns == n {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d connections: %w", n, ctx.Err())
		}
	}
}

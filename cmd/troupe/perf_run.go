package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/protocols/perf"
	"github.com/troupe-p2p/troupe/protocols/perf/perfcore"

	ma "github.com/multiformats/go-multiaddr"
)

// perfRun is one run of perf, on either side.
type perfRun struct {
	perfFlags
	addr ma.Multiaddr
	peer identity.ID // "": whoever answers
	cfg  troupe.Config
	out  *output
	bar  bool // progress is shown to somebody

	st    *troupe.Stream
	core  *perfcore.Client
	began time.Time
	up    uint64 // bytes that have left, or have come
	down  uint64
	told  perfMark // of the last line or bar
}

// perfMark is how far a run was at a moment.
type perfMark struct {
	at       time.Time
	up, down uint64
}

const (
	// perfEvery is how often the contract wants a line.
	perfEvery = time.Second
	// perfLook is how soon a blocked call returns, so that lines are on time and an interrupt
	// is noticed.
	perfLook = 100 * time.Millisecond
)

// serve is --run-server.
func (p *perfRun) serve(ctx context.Context) error {
	sys, err := troupe.New(p.cfg)
	if err != nil {
		return err
	}
	defer closePerf(sys)
	if err := sys.Handle(perf.Protocol, perf.Handler()); err != nil {
		return err
	}
	if _, err := sys.Listen(ctx, p.addr); err != nil {
		return err
	}
	for _, a := range dialable(sys.ListenAddrs()) {
		p.out.tell("%s", addrs.WithPeer(a, sys.ID()))
	}
	if err := p.out.Err(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// run is the client. The time that it takes to connect is part of the result.
func (p *perfRun) run(ctx context.Context) error {
	sys, err := troupe.New(p.cfg)
	if err != nil {
		return err
	}
	defer closePerf(sys)
	p.began = time.Now()
	p.told.at = p.began
	connected, err := p.connect(ctx, sys)
	if err != nil {
		return err
	}
	p.core = perfcore.NewClient(perfcore.Config{}, time.Now(), p.upload, p.download)
	if err = p.send(ctx); err == nil {
		err = p.receive(ctx)
	}
	if p.bar {
		p.out.write("\r\x1b[K")
	}
	if err != nil {
		_ = p.st.Reset(0)
		return err
	}
	_ = p.st.Close()
	p.final(connected)
	return p.out.Err()
}

func (p *perfRun) connect(ctx context.Context, sys *troupe.System) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	conn, err := sys.Dial(ctx, p.peer, p.addr)
	if err != nil {
		return 0, err
	}
	took := time.Since(p.began)
	p.out.tell("perf %s at %s (%s, %s)", conn.Peer, p.addr, conn.Security, conn.Muxer)
	p.st, err = sys.Open(ctx, conn.Peer, perf.Protocol)
	return took, err
}

func (p *perfRun) send(ctx context.Context) error {
	const header = 8
	left := header // of it: not part of what was asked for
	for b := p.core.NextWrite(); len(b) > 0; b = p.core.NextWrite() {
		_ = p.st.SetWriteDeadline(time.Now().Add(perfLook))
		n, err := p.st.Write(b)
		now := time.Now()
		p.core.Wrote(now, n)
		skip := min(n, left)
		left -= skip
		p.up += uint64(n - skip)
		if err = p.look(ctx, now, err); err != nil {
			return err
		}
	}
	return p.st.CloseWrite()
}

func (p *perfRun) receive(ctx context.Context) error {
	in := make([]byte, perfcore.BlockSize)
	for {
		_ = p.st.SetReadDeadline(time.Now().Add(perfLook))
		n, err := p.st.Read(in)
		now := time.Now()
		if e := p.core.HandleBytes(now, in[:n]); e != nil {
			return e
		}
		p.down += uint64(n)
		if errors.Is(err, io.EOF) {
			return p.core.HandleEnd(now)
		}
		if err = p.look(ctx, now, err); err != nil {
			return err
		}
	}
}

// look tells a call that only took long from one that failed, and shows how far the run is.
func (p *perfRun) look(ctx context.Context, now time.Time, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("local: interrupted after %d bytes up and %d down", p.up, p.down)
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = p.core.HandleTimeout(now)
	}
	if err == nil {
		p.progress(now)
	}
	return err
}

func (p *perfRun) progress(now time.Time) {
	since := now.Sub(p.told.at)
	switch {
	case p.json && since >= perfEvery:
		p.out.say(perfLine{"intermediary", since.Seconds(), p.up - p.told.up, p.down - p.told.down}, "")
	case p.bar && since >= perfLook:
		p.out.write("\r\x1b[K" + p.drawBar(since))
	default:
		return
	}
	p.told = perfMark{now, p.up, p.down}
}

// drawBar is the progress as one line without its end.
func (p *perfRun) drawBar(since time.Duration) string {
	const width = 30
	what, done, all, before := "upload  ", p.up, p.upload, p.told.up
	if p.up == p.upload {
		what, done, all, before = "download", p.down, p.download, p.told.down
	}
	part := 1.0
	if all > 0 {
		part = float64(done) / float64(all)
	}
	full := int(part * width)
	return fmt.Sprintf("%s [%s%s] %3.0f %%  %s", what, strings.Repeat("#", full), strings.Repeat("-", width-full),
		part*100, speed(done-before, since))
}

// final is the result.
func (p *perfRun) final(connected time.Duration) {
	l := perfLine{"final", time.Since(p.began).Seconds(), p.up, p.down}
	r, _ := p.core.Result()
	text := fmt.Sprintf("connected in %s", age(float64(connected)/1e6))
	if p.upload > 0 {
		text += fmt.Sprintf("\nupload    %d bytes in %s, %s", r.Uploaded, age(float64(r.Upload)/1e6), speed(r.Uploaded, r.Upload))
	}
	if p.download > 0 {
		text += fmt.Sprintf("\ndownload  %d bytes in %s, %s", r.Downloaded, age(float64(r.Download)/1e6), speed(r.Downloaded, r.Download))
	}
	p.out.say(l, "%s", text)
}

// speed is a rate with three digits that count, more or less.
func speed(n uint64, d time.Duration) string {
	rate := float64(n) / max(d.Seconds(), 1e-9)
	for _, u := range []struct {
		size float64
		name string
	}{{1e9, "GB/s"}, {1e6, "MB/s"}, {1e3, "kB/s"}} {
		if rate >= u.size {
			return fmt.Sprintf("%.3g %s", rate/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.0f B/s", rate)
}

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/protocols/perf"

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

	began time.Time
	told  perf.Progress // of the last line or bar
	last  perf.Progress
}

const (
	// perfEvery is how often the contract wants a line.
	perfEvery = time.Second
	// perfDraw is how often the bar is drawn.
	perfDraw = 100 * time.Millisecond
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
	p.told.At = p.began
	st, connected, err := p.connect(ctx, sys)
	if err != nil {
		return err
	}
	r, err := perf.Run(ctx, st, p.upload, p.download, time.Now, p.progress)
	if p.bar {
		p.out.write("\r\x1b[K")
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("local: interrupted after %d bytes up and %d down", p.last.Up, p.last.Down)
	case err != nil:
		return err
	}
	p.final(r, connected)
	return p.out.Err()
}

func (p *perfRun) connect(ctx context.Context, sys *troupe.System) (*troupe.Stream, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	conn, err := sys.Dial(ctx, p.peer, p.addr)
	if err != nil {
		return nil, 0, err
	}
	took := time.Since(p.began)
	p.out.tell("perf %s at %s (%s)", conn.Peer, p.addr, carried(conn))
	st, err := sys.Open(ctx, conn.Peer, perf.Protocol)
	return st, took, err
}

// progress shows how far the run is, when it is time to.
func (p *perfRun) progress(now perf.Progress) {
	p.last = now
	since := now.At.Sub(p.told.At)
	switch {
	case p.json && since >= perfEvery:
		p.out.say(perfLine{"intermediary", since.Seconds(), now.Up - p.told.Up, now.Down - p.told.Down}, "")
	case p.bar && since >= perfDraw:
		p.out.write("\r\x1b[K" + p.drawBar(now, since))
	default:
		return
	}
	p.told = now
}

// drawBar is the progress as one line without its end.
func (p *perfRun) drawBar(now perf.Progress, since time.Duration) string {
	const width = 30
	what, done, all, before := "upload  ", now.Up, p.upload, p.told.Up
	if now.Up == p.upload {
		what, done, all, before = "download", now.Down, p.download, p.told.Down
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
func (p *perfRun) final(r perf.Result, connected time.Duration) {
	l := perfLine{"final", time.Since(p.began).Seconds(), r.Uploaded, r.Downloaded}
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

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/addrs"

	ma "github.com/multiformats/go-multiaddr"
)

// The way down: 10 s are promised. What the node's own end may take leaves time for the rest on a
// slow machine; when even that is not enough, the last line is given up.
const (
	closeTimeout = 6 * time.Second
	restTimeout  = 500 * time.Millisecond
	giveUp       = 9500 * time.Millisecond
)

// subscriberBuffer is how many events wait for a stdout that is not read.
const subscriberBuffer = 4096

// node is what up runs. Its runtime also carries the program's own two goroutines, which is why
// the node does not own it.
type node struct {
	rt      *actors.Runtime
	sys     *troupe.System
	out     *output
	events  *troupe.Subscription
	web     *web          // nil: there are no pages
	printed chan struct{} // closed when all events are printed; nil: printing has not begun
}

// up runs a node until ctx is done.
func up(ctx context.Context, p *upPlan, out *output, stderr io.Writer) error {
	logger := newLogger(p.level, stderr)
	if !p.ephemeral {
		k, _, err := ensureKey(p.identity, stderr)
		if err != nil {
			return err
		}
		p.cfg.Key = k
	}
	rt := actors.Live(actors.Options{Logger: slog.New(zapslog.NewHandler(logger.Core(), zapslog.WithName("actors")))})
	p.cfg.Runtime, p.cfg.Logger = rt, logger
	n := &node{rt: rt, out: out}
	if err := n.start(p, logger); err != nil {
		n.stop()
		return err
	}
	<-ctx.Done()
	watchdog := time.AfterFunc(giveUp, func() { // owned: it ends the process, there is nothing in it that panics
		_, _ = fmt.Fprintln(stderr, "troupe up: local: stopped, but nobody reads stdout")
		os.Exit(exitFailed)
	})
	defer watchdog.Stop()
	stragglers := n.stop()
	last := "stopped"
	for _, s := range stragglers {
		last += "\n  did not end: " + plain(s)
	}
	out.say(stoppedLine{"stopped", append([]string{}, stragglers...)}, "%s", last)
	return out.Err()
}

// start brings the node up in the order in which nobody misses anything: handlers before
// addresses, and the ready line before the first event.
func (n *node) start(p *upPlan, logger *zap.Logger) error {
	var err error
	if n.sys, err = troupe.New(p.cfg); err != nil {
		return err
	}
	n.events = n.sys.Subscribe(context.Background(), subscriberBuffer)
	for _, d := range p.demos {
		if err := n.sys.Handle(d.protocol, d.handler()); err != nil {
			return err
		}
	}
	for _, a := range p.at {
		if _, err := n.sys.Listen(context.Background(), a); err != nil {
			return err
		}
	}
	if p.inspect != "" {
		if n.web, err = serveWeb(n.rt, n.sys, p, logger); err != nil {
			return err
		}
	}
	n.ready(p)
	n.printed = make(chan struct{})
	n.rt.Pump("events", n.print, func(e *actors.PanicError) { logger.Error("printing events", zap.Error(e)) })
	return nil
}

func (n *node) ready(p *upPlan) {
	l := readyLine{Event: "ready", Peer: n.sys.ID().String(), Addrs: []string{}}
	for _, a := range dialable(n.sys.ListenAddrs()) {
		l.Addrs = append(l.Addrs, addrs.WithPeer(a, n.sys.ID()).String())
	}
	text := "troupe " + troupe.Version() + " is up\n"
	for _, a := range l.Addrs {
		text += "  listening  " + a + "\n"
	}
	for _, d := range p.demos {
		text += "  serving    " + d.protocol + "\n"
	}
	if n.web != nil {
		l.Inspect = n.web.url
		text += "  inspect    " + l.Inspect + "  (troupe tree --inspect " + l.Inspect + ")\n"
	}
	n.out.say(l, "%sCtrl-C stops it.", text)
}

// print writes the events until the node is closed.
func (n *node) print() {
	defer close(n.printed)
	for {
		e, lost, err := n.events.Next(context.Background())
		if err != nil {
			return
		}
		l := newEventLine(e, lost, n.rt.Now())
		n.out.say(l, "%s", l.human())
	}
}

// stop ends everything and returns the names of what did not end. The pages stay until the node is
// down: they show what it waits for.
func (n *node) stop() []string {
	if n.sys != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_ = n.sys.Close(ctx) // stragglers are named below
	}
	if n.printed != nil {
		<-n.printed
	}
	if n.web != nil {
		n.web.close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), restTimeout)
	defer cancel()
	return n.rt.Close(ctx)
}

// dialable expands the unspecified hosts of listen addresses, loopback first: it always works, at
// least for whoever tries the node on the same machine.
func dialable(listen []ma.Multiaddr) []ma.Multiaddr {
	return addrs.ExpandUnspecified(listen, interfaces())
}

func newLogger(level zapcore.Level, w io.Writer) *zap.Logger {
	enc := zap.NewDevelopmentEncoderConfig()
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(enc), zapcore.Lock(zapcore.AddSync(w)), level))
}

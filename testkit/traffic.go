package testkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/identity"
)

// The protocols of the world's own traffic.
const (
	EchoProtocol    = "/testkit/echo/1.0.0"
	RequestProtocol = "/testkit/request/1.0.0"
)

// Traffic is what nodes say to each other to load a world: streams whose records are echoed, all
// of them in the ledger, and requests. Errors are counted, not failures: worlds have faults.
type Traffic struct {
	// Records to send on each stream. Default 4.
	Records int
	// Size of a record at most, in bytes. Default 2,000.
	Size int
	// Pause between two exchanges at most. Default 1 s.
	Pause time.Duration
	// Requests says that every second exchange is a request. Default: streams only.
	Requests bool

	// What came of it.
	Exchanges, Failed int
	// LastErr is the last failure.
	LastErr error
}

// Serve makes a node answer the world's traffic. It is a Setup.
func (w *World) Serve(s *troupe.System) {
	if err := s.Handle(EchoProtocol, troupe.StreamHandler(w.echo)); err != nil {
		w.t.Errorf("%s: %v", EchoProtocol, err)
	}
	err := troupe.Respond(s, RequestProtocol, func(_ context.Context, _ identity.ID, in *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		return wrapperspb.String("re: " + in.Value), nil
	})
	if err != nil {
		w.t.Errorf("%s: %v", RequestProtocol, err)
	}
}

// echo sends back what comes, as records of a stream of its own.
func (w *World) echo(_ context.Context, s *troupe.Stream) {
	in, out := w.Ledger.Receiver(s), w.Ledger.Sender("echo", s)
	for {
		p, err := in.Next()
		if errors.Is(err, io.EOF) {
			out.Finished()
			return
		}
		if err == nil {
			_, err = out.Write(p)
		}
		if err != nil {
			_ = s.Reset(1)
			return
		}
	}
}

// Start makes traffic from one node to another until the world's clock has passed for. It goes on
// across restarts of both.
func (w *World) Start(from, to *Node, tr *Traffic, during time.Duration) {
	if tr.Records <= 0 {
		tr.Records = 4
	}
	if tr.Size <= 0 {
		tr.Size = 2000
	}
	if tr.Pause <= 0 {
		tr.Pause = time.Second
	}
	end := w.Now().Add(during)
	w.Go("traffic", func() {
		for i := 0; w.Now().Before(end); i++ {
			w.Sim.Sleep(time.Duration(w.Rand(int(tr.Pause))))
			if !from.up {
				continue
			}
			var err error
			if tr.Requests && i%2 == 1 {
				err = w.request(from, to)
			} else {
				err = w.exchange(from, to, tr)
			}
			tr.Exchanges++
			if err != nil {
				tr.Failed++
				tr.LastErr = err
			}
		}
	})
}

func (w *World) request(from, to *Node) error {
	ctx, cancel := from.Timeout(callLimit)
	defer cancel()
	what := fmt.Sprintf("%s to %s at %v", from.name, to.name, w.Sim.Elapsed())
	o := troupe.RequestOptions{Open: troupe.OpenOptions{Addrs: to.ListenAddrs()}}
	got, err := troupe.RequestWith[wrapperspb.StringValue](ctx, from.System, to.ID(), RequestProtocol, wrapperspb.String(what), o)
	if err == nil && got.Value != "re: "+what {
		w.t.Errorf("%s asks %q and is told %q", from.name, what, got.Value)
	}
	return err
}

func (w *World) exchange(from, to *Node, tr *Traffic) error {
	ctx, cancel := from.Timeout(callLimit)
	defer cancel()
	ref, err := from.OpenWith(ctx, to.ID(), troupe.OpenOptions{Addrs: to.ListenAddrs()}, EchoProtocol)
	if err != nil {
		return err
	}
	s := ref.Blocking()
	_ = s.SetDeadline(from.Now().Add(callLimit))
	out, in := w.Ledger.Sender(from.name+" to "+to.name, s), w.Ledger.Receiver(s)
	if err := w.talk(s, out, in, tr); err != nil {
		_ = s.Reset(1)
		return err
	}
	return s.Close()
}

func (w *World) talk(s *troupe.Stream, out *Sender, in *Receiver, tr *Traffic) error {
	return w.Together(func() error {
		for range tr.Records {
			p := make([]byte, w.Rand(tr.Size)+1)
			for i := 0; i < len(p); i += 8 {
				p[i] = byte(w.Sim.Uint64())
			}
			if _, err := out.Write(p); err != nil {
				return err
			}
		}
		out.Finished()
		return s.CloseWrite()
	}, func() error {
		for range tr.Records {
			if _, err := in.Next(); err != nil {
				return err
			}
		}
		out.Acknowledged()
		if _, err := in.Next(); !errors.Is(err, io.EOF) {
			return fmt.Errorf("the echo does not end: %w", err)
		}
		return nil
	})
}

package perf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/troupe-p2p/troupe/protocols/perf/perfcore"
	"github.com/troupe-p2p/troupe/stream"
)

// Result is what one run measured.
type Result = perfcore.Result

// Progress is how far a run is: bytes that its stream has taken, and that have come.
type Progress struct {
	At       time.Time
	Up, Down uint64
}

// watch is how soon a waiting Run notices that its context is done, and how often it calls look
// at least.
const watch = 100 * time.Millisecond

// Run uploads and then downloads the given numbers of bytes on a new stream of the protocol,
// which is closed after it, or reset if it fails. now is the clock. look, which may be nil, is
// called with every step, and 10 times a second at least; the run waits for it.
func Run(ctx context.Context, s *stream.Blocking, upload, download uint64, now func() time.Time, look func(Progress)) (Result, error) {
	if look == nil {
		look = func(Progress) {}
	}
	r := &run{ctx, s, perfcore.NewClient(perfcore.Config{}, now(), upload, download), now, look}
	err := r.send()
	if err == nil {
		err = r.receive()
	}
	if err != nil {
		_ = s.Reset(0)
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return Result{}, fmt.Errorf("perf: %w", err)
	}
	_ = s.Close()
	result, _ := r.core.Result()
	return result, nil
}

type run struct {
	ctx  context.Context
	s    *stream.Blocking
	core *perfcore.Client
	now  func() time.Time
	look func(Progress)
}

// send is the upload and the end of our direction.
func (r *run) send() error {
	for p := r.core.NextWrite(); len(p) > 0; p = r.core.NextWrite() {
		_ = r.s.SetWriteDeadline(r.until())
		n, err := r.s.Write(p)
		at := r.now()
		r.core.Wrote(at, n)
		if err = r.step(at, err); err != nil {
			return err
		}
	}
	return r.s.CloseWrite()
}

// receive is the download and the remote's end.
func (r *run) receive() error {
	in := make([]byte, perfcore.BlockSize)
	for {
		_ = r.s.SetReadDeadline(r.until())
		n, err := r.s.Read(in)
		at := r.now()
		if e := r.core.HandleBytes(at, in[:n]); e != nil {
			return e
		}
		if errors.Is(err, io.EOF) {
			return r.core.HandleEnd(at)
		}
		if err = r.step(at, err); err != nil {
			return err
		}
	}
}

// until is when a blocked call returns to look at its context: there is no goroutine that could.
func (r *run) until() time.Time {
	at := r.now().Add(watch)
	if end, ok := r.core.Deadline(); ok && end.Before(at) {
		return end
	}
	return at
}

// step tells a call that only took long from one that failed.
func (r *run) step(at time.Time, err error) error {
	switch {
	case r.ctx.Err() != nil:
		return r.ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = r.core.HandleTimeout(at)
	}
	if err == nil {
		up, down := r.core.Moved()
		r.look(Progress{at, up, down})
	}
	return err
}

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

// watch is how soon a waiting Run notices that its context is done.
const watch = 200 * time.Millisecond

// Run uploads and then downloads the given numbers of bytes on a new stream of the protocol,
// which is closed after it, or reset if it fails. now is the clock.
func Run(ctx context.Context, s *stream.Blocking, upload, download uint64, now func() time.Time) (Result, error) {
	core := perfcore.NewClient(perfcore.Config{}, now(), upload, download)
	err := send(ctx, s, core, now)
	if err == nil {
		err = receive(ctx, s, core, now)
	}
	if err != nil {
		_ = s.Reset(0)
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return Result{}, fmt.Errorf("perf: %w", err)
	}
	_ = s.Close()
	r, _ := core.Result()
	return r, nil
}

// send is the upload and the end of our direction.
func send(ctx context.Context, s *stream.Blocking, core *perfcore.Client, now func() time.Time) error {
	for p := core.NextWrite(); len(p) > 0; p = core.NextWrite() {
		_ = s.SetWriteDeadline(until(core, now))
		n, err := s.Write(p)
		core.Wrote(now(), n)
		if err = waited(ctx, core, now, err); err != nil {
			return err
		}
	}
	return s.CloseWrite()
}

// receive is the download and the remote's end.
func receive(ctx context.Context, s *stream.Blocking, core *perfcore.Client, now func() time.Time) error {
	in := make([]byte, perfcore.BlockSize)
	for {
		_ = s.SetReadDeadline(until(core, now))
		n, err := s.Read(in)
		if e := core.HandleBytes(now(), in[:n]); e != nil {
			return e
		}
		if errors.Is(err, io.EOF) {
			return core.HandleEnd(now())
		}
		if err = waited(ctx, core, now, err); err != nil {
			return err
		}
	}
}

// until is when a blocked call returns to look at its context: there is no goroutine that could.
func until(core *perfcore.Client, now func() time.Time) time.Time {
	at := now().Add(watch)
	if end, ok := core.Deadline(); ok && end.Before(at) {
		return end
	}
	return at
}

// waited tells a call that only took long from one that failed.
func waited(ctx context.Context, core *perfcore.Client, now func() time.Time, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return core.HandleTimeout(now())
	}
	return err
}

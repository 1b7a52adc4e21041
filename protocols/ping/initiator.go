package ping

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/troupe-p2p/troupe/protocols/ping/pingcore"
	"github.com/troupe-p2p/troupe/stream"
)

// watch is how soon a waiting Ping notices that its context is done.
const watch = 200 * time.Millisecond

// Ping measures one round trip on a stream of the protocol. It may be called again and again on
// one stream, one call at a time. rand makes the payload; now is the clock.
//
// After an error the stream cannot be used for another ping.
func Ping(ctx context.Context, s *stream.Blocking, rand io.Reader, now func() time.Time) (time.Duration, error) {
	core := pingcore.NewPinger(pingcore.Config{})
	if err := core.Ping(now(), rand); err != nil {
		return 0, err
	}
	end, _ := core.Deadline()
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	_ = s.SetWriteDeadline(end)
	if _, err := s.Write(core.AppendOutput(nil)); err != nil {
		return 0, failure(ctx, core, now, err)
	}
	var in [pingcore.Size]byte
	for {
		if rtt, ok, err := result(core); ok || err != nil {
			return rtt, err
		}
		if ctx.Err() != nil {
			return 0, failure(ctx, core, now, ctx.Err())
		}
		// There is no goroutine that could watch the context, so the wait is cut in pieces.
		at := now().Add(watch)
		if end.Before(at) {
			at = end
		}
		_ = s.SetReadDeadline(at)
		n, err := s.Read(in[:])
		if n > 0 {
			_ = core.HandleBytes(now(), in[:n])
			continue
		}
		if err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || !now().Before(end)) {
			return 0, failure(ctx, core, now, err)
		}
	}
}

// result is what the core says of the one ping.
func result(core *pingcore.Pinger) (rtt time.Duration, ok bool, err error) {
	switch e, _ := core.Next(); e := e.(type) {
	case pingcore.Pong:
		return e.RTT, true, nil
	case pingcore.Failed:
		return 0, false, e.Err
	}
	return 0, false, nil
}

// failure says why a ping has failed: the caller's context, the time, or the stream.
func failure(ctx context.Context, core *pingcore.Pinger, now func() time.Time, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("ping: %w", context.Cause(ctx))
	case errors.Is(err, io.EOF):
		return pingcore.ErrEnded
	case errors.Is(err, os.ErrDeadlineExceeded):
		if d, ok := ctx.Deadline(); ok && !now().Before(d) {
			return fmt.Errorf("ping: %w", context.DeadlineExceeded)
		}
		if e := core.HandleTimeout(now()); e != nil {
			return e
		}
	}
	return fmt.Errorf("ping: %w", err)
}

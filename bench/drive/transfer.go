package drive

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/troupe-p2p/troupe/bench/control"
)

// chunk is the usual size of one Write: what programs that move bulk data use.
const chunk = 64 << 10

// transfer moves bytes over streams that are opened before the clock starts.
func (d *driver) transfer(ctx context.Context, req control.Request) (control.Reply, error) {
	protocol, move := control.SinkProtocol, upload
	if req.Cmd == control.Download {
		protocol, move = control.SourceProtocol, download
	}
	if req.Chunk == 0 {
		req.Chunk = chunk
	}
	n := max(req.Streams, 1)
	for range req.Stalled {
		s, err := d.stall(ctx, req.Peer)
		if err != nil {
			return control.Reply{}, err
		}
		defer s.Abort()
	}
	streams := make([]Stream, n)
	for i := range streams {
		s, err := d.node.Open(ctx, req.Peer, protocol)
		if err != nil {
			return control.Reply{}, err
		}
		streams[i] = s
	}
	each := req.Bytes / int64(n)
	failed := make(chan error, n)
	began := time.Now()
	for _, s := range streams {
		go func() { failed <- move(s, each, req.Chunk) }()
	}
	var err error
	for range streams {
		err = errors.Join(err, <-failed)
	}
	return control.Reply{Seconds: time.Since(began).Seconds(), Count: n}, err
}

// upload sends size bytes and waits until the peer has confirmed them.
func upload(s Stream, size int64, chunk int) error {
	p := make([]byte, chunk)
	for left := size; left > 0; {
		n, err := s.Write(p[:min(left, int64(chunk))])
		if err != nil {
			return fmt.Errorf("%d bytes before the end: %w", left, err)
		}
		left -= int64(n)
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	var got [8]byte
	if _, err := io.ReadFull(s, got[:]); err != nil {
		return fmt.Errorf("no confirmation: %w", err)
	}
	if n := binary.BigEndian.Uint64(got[:]); n != uint64(size) {
		return fmt.Errorf("%d bytes of %d arrived", n, size)
	}
	return s.Close()
}

// download asks for size bytes and reads them.
func download(s Stream, size int64, chunk int) error {
	if _, err := s.Write(binary.BigEndian.AppendUint64(nil, uint64(size))); err != nil {
		return err
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	n, err := drain(s, make([]byte, chunk))
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("%d bytes of %d came", n, size)
	}
	return s.Close()
}

// drain reads to the end. io.Copy would let a library choose its own way.
func drain(r io.Reader, p []byte) (total int64, err error) {
	for {
		n, err := r.Read(p)
		total += int64(n)
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// stalledFor is how long a Write has to hang to say that the window is full.
const stalledFor = 200 * time.Millisecond

// stall fills the window of a reader that never reads.
func (d *driver) stall(ctx context.Context, peer string) (Stream, error) {
	s, err := d.node.Open(ctx, peer, control.StallProtocol)
	if err != nil {
		return nil, err
	}
	wrote := make(chan struct{}, 1)
	go func() {
		defer close(wrote)
		p := make([]byte, chunk)
		for {
			if _, err := s.Write(p); err != nil {
				return // aborted
			}
			select {
			case wrote <- struct{}{}:
			default:
			}
		}
	}()
	for {
		select {
		case _, ok := <-wrote:
			if !ok {
				return nil, errors.New("a stream to be stalled has ended")
			}
		case <-time.After(stalledFor):
			return s, nil
		case <-ctx.Done():
			s.Abort()
			return nil, ctx.Err()
		}
	}
}

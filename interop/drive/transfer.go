package drive

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/troupe-p2p/troupe/interop/control"
)

// chunk is the size of one Write; a usual size for programs that move bulk data.
const chunk = 64 << 10

// payload is a stream of bytes that no codec can guess, the same for the same seed.
func payload(seed uint64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

// echoOnce sends size bytes on s while it reads them back, ends its direction and wants an
// orderly end after the last byte. It reports the SHA-256 of what was sent, which equals that of
// what came back, and how far the writer was ahead of the reader at most.
func echoOnce(s Stream, seed uint64, size, rate int64) (string, int64, error) {
	var written, ahead atomic.Int64
	sent := sha256.New()
	writing := make(chan error, 1)
	go func() { writing <- sendAll(s, seed, size, sent, &written) }()
	got := sha256.New()
	n, err := receiveAll(s, got, size, rate, func(read int64) {
		if d := written.Load() - read; d > ahead.Load() {
			ahead.Store(d)
		}
	})
	if err != nil {
		_ = s.ResetWithCode(0)
		return "", 0, errors.Join(fmt.Errorf("read back %d of %d bytes: %w", n, size, err), <-writing)
	}
	if err := <-writing; err != nil {
		return "", 0, fmt.Errorf("write: %w", err)
	}
	if n != size || string(sent.Sum(nil)) != string(got.Sum(nil)) {
		return "", 0, fmt.Errorf("%d bytes came back for %d, or they differ", n, size)
	}
	return hex.EncodeToString(got.Sum(nil)), ahead.Load(), s.Close()
}

func sendAll(s Stream, seed uint64, size int64, sum hash.Hash, written *atomic.Int64) error {
	src := io.LimitReader(payload(seed), size)
	p := make([]byte, chunk)
	for {
		n, err := io.ReadFull(src, p)
		if n > 0 {
			sum.Write(p[:n])
			m, err := s.Write(p[:n])
			written.Add(int64(m))
			if err != nil {
				return err
			}
		}
		if err != nil { // the limit, in whichever of its two forms
			return s.CloseWrite()
		}
	}
}

// receiveAll reads to the end of the stream, or until more than size bytes came. With a rate it
// never has taken more than the rate allows since it began.
func receiveAll(s Stream, sum hash.Hash, size, rate int64, seen func(read int64)) (int64, error) {
	p := make([]byte, chunk)
	if rate > 0 {
		p = p[:16<<10]
	}
	start := time.Now()
	var total int64
	for {
		n, err := s.Read(p)
		sum.Write(p[:n])
		total += int64(n)
		seen(total)
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		if total > size {
			return total, errors.New("more came back than was sent")
		}
		if rate > 0 {
			time.Sleep(time.Until(start.Add(time.Duration(total) * time.Second / time.Duration(rate))))
		}
	}
}

func (d *driver) echo(ctx context.Context, req control.Request) (control.Reply, error) {
	id, err := d.node.Reach(ctx, req.Addr, req.Peer)
	if err != nil {
		return control.Reply{}, err
	}
	type outcome struct {
		sum   string
		ahead int64
		err   error
	}
	each := req.Bytes / int64(req.Streams)
	outcomes := make([]chan outcome, req.Streams)
	start := time.Now()
	for i := range outcomes {
		outcomes[i] = make(chan outcome, 1)
		go func() {
			s, err := d.open(ctx, id, req.Protocol)
			if err != nil {
				outcomes[i] <- outcome{err: err}
				return
			}
			sum, ahead, err := echoOnce(s, uint64(i), each, req.Rate)
			outcomes[i] <- outcome{sum, ahead, err}
		}()
	}
	done := control.Transfer{Bytes: each * int64(req.Streams), Streams: req.Streams}
	for i, c := range outcomes {
		o := <-c
		if o.err != nil {
			err = errors.Join(err, fmt.Errorf("stream %d: %w", i, o.err))
		}
		if i == 0 {
			done.SHA256 = o.sum
		}
		done.MaxAhead = max(done.MaxAhead, o.ahead)
	}
	done.MS = Millis(time.Since(start))
	return d.done(id, done), err
}

// halfClose writes everything and FIN before it reads a byte, so Bytes must fit the windows.
func (d *driver) halfClose(ctx context.Context, req control.Request) (control.Reply, error) {
	id, err := d.node.Reach(ctx, req.Addr, req.Peer)
	if err != nil {
		return control.Reply{}, err
	}
	start := time.Now()
	s, err := d.open(ctx, id, req.Protocol)
	if err != nil {
		return control.Reply{}, err
	}
	var written atomic.Int64
	sent, got := sha256.New(), sha256.New()
	if err := sendAll(s, 1, req.Bytes, sent, &written); err != nil {
		return control.Reply{}, err
	}
	if _, err := s.Write([]byte{0}); err == nil {
		return control.Reply{}, errors.New("a write after CloseWrite was taken")
	}
	n, err := receiveAll(s, got, req.Bytes, 0, func(int64) {})
	if err != nil {
		return control.Reply{}, fmt.Errorf("after CloseWrite, %d bytes read: %w", n, err)
	}
	if string(sent.Sum(nil)) != string(got.Sum(nil)) {
		return control.Reply{}, fmt.Errorf("%d bytes came back for %d, or they differ", n, req.Bytes)
	}
	done := control.Transfer{Bytes: n, Streams: 1, MS: Millis(time.Since(start))}
	return d.done(id, done), s.Close()
}

// reset breaks one stream in use and shows that its connection does not mind.
func (d *driver) reset(ctx context.Context, req control.Request) (control.Reply, error) {
	id, err := d.node.Reach(ctx, req.Addr, req.Peer)
	if err != nil {
		return control.Reply{}, err
	}
	s, err := d.open(ctx, id, req.Protocol)
	if err != nil {
		return control.Reply{}, err
	}
	before := d.node.Conn(id)
	if _, err := s.Write([]byte{1}); err != nil {
		return control.Reply{}, err
	}
	if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
		return control.Reply{}, err
	}
	if err := s.ResetWithCode(req.Code); err != nil {
		return control.Reply{}, err
	}
	if err := d.echoOn(ctx, id, req.Protocol, 1<<10); err != nil {
		return control.Reply{}, fmt.Errorf("after the reset: %w", err)
	}
	if after := d.node.Conn(id); before == nil || after == nil || *before != *after {
		return control.Reply{}, fmt.Errorf("the connection was %+v and is %+v", before, after)
	}
	return d.reply(id), nil
}

func (d *driver) echoOn(ctx context.Context, id, protocol string, size int64) error {
	s, err := d.open(ctx, id, protocol)
	if err != nil {
		return err
	}
	return EchoOnce(s, size)
}

// EchoOnce sends size bytes on a new stream and wants them back.
func EchoOnce(s Stream, size int64) error {
	_, _, err := echoOnce(s, 7, size, 0)
	return err
}

func (d *driver) sequence(ctx context.Context, req control.Request) (control.Reply, error) {
	id, err := d.node.Reach(ctx, req.Addr, req.Peer)
	if err != nil {
		return control.Reply{}, err
	}
	start := time.Now()
	for i := range req.Count {
		if err := d.echoOn(ctx, id, req.Protocol, req.Bytes); err != nil {
			return control.Reply{}, fmt.Errorf("stream %d of %d: %w", i+1, req.Count, err)
		}
	}
	done := control.Transfer{Bytes: req.Bytes * int64(req.Count), Streams: req.Count, MS: Millis(time.Since(start))}
	return d.done(id, done), nil
}

func (d *driver) perf(ctx context.Context, req control.Request) (control.Reply, error) {
	id, err := d.node.Reach(ctx, req.Addr, req.Peer)
	if err != nil {
		return control.Reply{}, err
	}
	start := time.Now()
	s, err := d.open(ctx, id, control.PerfProtocol)
	if err != nil {
		return control.Reply{}, err
	}
	if _, err := s.Write(binary.BigEndian.AppendUint64(nil, uint64(req.Download))); err != nil {
		return control.Reply{}, err
	}
	if _, err := io.CopyN(s, Zeros{}, req.Bytes); err != nil {
		return control.Reply{}, fmt.Errorf("upload: %w", err)
	}
	if err := s.CloseWrite(); err != nil {
		return control.Reply{}, err
	}
	n, err := io.Copy(io.Discard, s)
	if err == nil && n != req.Download {
		err = fmt.Errorf("%d bytes came, %d were asked for", n, req.Download)
	}
	done := control.Transfer{Bytes: req.Bytes + n, Streams: 1, MS: Millis(time.Since(start))}
	return d.done(id, done), errors.Join(err, s.Close())
}

func (d *driver) done(id string, t control.Transfer) control.Reply {
	r := d.reply(id)
	r.Transfer = &t
	return r
}

// Zeros is an endless reader; perf's bytes are arbitrary but fixed.
type Zeros struct{}

func (Zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

package drive

import (
	"encoding/binary"
	"io"

	"github.com/troupe-p2p/troupe/bench/control"
)

// maxRequest bounds the body of a request, as a server would.
const maxRequest = 64 << 10

// Handlers are the protocols of the benchmark, served by a goroutine for each stream. A handler
// that returns an error has its stream reset, else closed.
var Handlers = map[string]func(Stream) error{
	control.SinkProtocol:    serveSink,
	control.SourceProtocol:  serveSource,
	control.RequestProtocol: serveRequest,
	control.HoldProtocol:    serveHold,
	control.StallProtocol:   serveStall,
}

// Serve runs one of the Handlers.
func Serve(s Stream, handle func(Stream) error) {
	if handle(s) != nil {
		s.Abort()
		return
	}
	_ = s.Close()
}

func serveSink(s Stream) error {
	n, err := drain(s, make([]byte, chunk))
	if err != nil {
		return err
	}
	_, err = s.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	return err
}

func serveSource(s Stream) error {
	var want [8]byte
	if _, err := io.ReadFull(s, want[:]); err != nil {
		return err
	}
	p := make([]byte, chunk)
	for left := binary.BigEndian.Uint64(want[:]); left > 0; {
		n, err := s.Write(p[:min(left, chunk)])
		if err != nil {
			return err
		}
		left -= uint64(n)
	}
	return nil
}

func serveRequest(s Stream) error {
	body, err := io.ReadAll(io.LimitReader(s, maxRequest))
	if err != nil {
		return err
	}
	_, err = s.Write(body)
	return err
}

func serveHold(s Stream) error {
	var b [1]byte
	if _, err := io.ReadFull(s, b[:]); err != nil {
		return err
	}
	if _, err := s.Write(b[:]); err != nil {
		return err
	}
	_, err := s.Read(b[:]) // until the peer goes
	return err
}

// ServePing is for those that have no ping of their own.
func ServePing(s Stream) error {
	var b [32]byte
	for {
		if _, err := io.ReadFull(s, b[:]); err != nil {
			return err
		}
		if _, err := s.Write(b[:]); err != nil {
			return err
		}
	}
}

// serveStall waits for the end of the process: a reader that never reads. It is never woken by
// its stream, whose end costs it nothing.
func serveStall(Stream) error { select {} }

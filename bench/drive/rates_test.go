package drive

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/troupe-p2p/troupe/bench/control"
)

// loaded is a node whose streams echo pings and swallow everything else.
type loaded struct {
	Node
	opened int          // streams to upload on
	wrote  atomic.Int32 // of these
	early  bool
}

func (n *loaded) Open(_ context.Context, _, protocol string) (Stream, error) {
	if protocol == control.PingProtocol {
		return &fakeStream{}, nil
	}
	synctest.Wait() // a writer that has begun has written by now
	n.early = n.early || n.wrote.Load() > 0
	n.opened++
	return &fakeStream{node: n, aborted: make(chan struct{})}, nil
}

type fakeStream struct {
	Stream
	node    *loaded
	aborted chan struct{}
	sent    []byte
}

func (s *fakeStream) Write(p []byte) (int, error) {
	if s.node == nil {
		s.sent = append(s.sent, p...)
		return len(p), nil
	}
	s.node.wrote.Add(1)
	<-s.aborted
	return 0, io.ErrClosedPipe
}

func (s *fakeStream) Read(p []byte) (int, error) {
	n := copy(p, s.sent)
	s.sent = s.sent[n:]
	return n, nil
}

func (s *fakeStream) Abort() {
	if s.aborted != nil {
		close(s.aborted)
	}
}

func TestALoadIsOpenBeforeItIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &loaded{}
		d := &driver{node: n}
		r, err := d.ping(t.Context(), control.Request{Streams: 5, Count: 3})
		if err != nil || r.Count != 3 {
			t.Fatal(r, err)
		}
		if n.early || n.opened != 5 || n.wrote.Load() != 5 {
			t.Errorf("opened %d, wrote on %d, wrote before all were open: %v", n.opened, n.wrote.Load(), n.early)
		}
	})
}

package mux

import (
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// Events of a Muxed conduit, as messages of the session. Those of one stream stay in order, and
// those that open streams come before: all but the end of everything are data.
type (
	nativeAccepted struct{ s conduit.MuxedStream }
	nativeCanOpen  struct{}
	nativeEnded    struct {
		code   uint32
		remote bool
		err    error
	}
	nativeData struct {
		id uint64
		b  *buf.Buf
	}
	nativeWritable struct{ id uint64 }
	nativeEOF      struct{ id uint64 }
	nativeReset    struct {
		id     uint64
		code   uint32
		remote bool
		err    error
	}
)

// Discard implements actors.Discarder.
func (m *nativeData) Discard(error) { m.b.Release() }

// Discard implements actors.Discarder.
func (m *nativeAccepted) Discard(error) { _ = m.s.Reset(0) }

type nativeSink struct{ ref actors.Ref[any] }

func (s nativeSink) Accepted(st conduit.MuxedStream) { _ = s.ref.Lead(&nativeAccepted{st}) }
func (s nativeSink) CanOpen()                        { _ = s.ref.Offer(&nativeCanOpen{}) }
func (s nativeSink) Ended(code uint32, remote bool, err error) {
	_ = s.ref.Offer(&nativeEnded{code, remote, err})
}

type nativeStreamSink struct {
	ref actors.Ref[any]
	id  uint64
}

func (s nativeStreamSink) Offer(b *buf.Buf) { _ = s.ref.Lead(&nativeData{s.id, b}) }
func (s nativeStreamSink) Writable()        { _ = s.ref.Offer(&nativeWritable{s.id}) }
func (s nativeStreamSink) RemoteClosed()    { _ = s.ref.Offer(&nativeEOF{s.id}) }
func (s nativeStreamSink) Reset(code uint32, remote bool, err error) {
	_ = s.ref.Offer(&nativeReset{s.id, code, remote, err})
}

package negotiation_test

import (
	"sync"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// frozen is a connection over whose endpoints an upgrade is stuck until the test lets it go, as it is on
// a machine that does not let it run.
type frozen struct {
	asked, let, closed, released chan struct{}
	ask, shut, release           sync.Once
}

func newFrozen() *frozen {
	return &frozen{asked: make(chan struct{}), let: make(chan struct{}), closed: make(chan struct{}), released: make(chan struct{})}
}

func (f *frozen) Endpoints() conduit.Endpoints {
	f.ask.Do(func() { close(f.asked) })
	<-f.let
	return conduit.Endpoints{Direction: conduit.Inbound}
}

func (f *frozen) close() error {
	f.shut.Do(func() { close(f.closed) })
	return nil
}

// Release implements messages.Lease.
func (f *frozen) Release() { f.release.Do(func() { close(f.released) }) }

type frozenRaw struct{ *frozen }

func (frozenRaw) Bind(conduit.Sink, int)         {}
func (frozenRaw) More()                          {}
func (frozenRaw) TryWrite(p []byte) (int, error) { return len(p), nil }
func (frozenRaw) Drain([]byte)                   {}
func (f frozenRaw) Close() error                 { return f.close() }

type frozenMuxed struct {
	conduit.Muxed
	*frozen
}

func (frozenMuxed) Peer() identity.ID                 { return "" }
func (frozenMuxed) PublicKey() (k identity.PublicKey) { return k }
func (f frozenMuxed) Endpoints() conduit.Endpoints    { return f.frozen.Endpoints() }
func (f frozenMuxed) Close(uint32, string) error      { return f.close() }

// TestAnUpgradeThatIsAbandonedLetsItsConnectionGo: an evicted one that had not been run for half a second,
// in the middle of a message, kept its socket for good.
func TestAnUpgradeThatIsAbandonedLetsItsConnectionGo(t *testing.T) {
	for name, job := range map[string]func(f *frozen) negotiation.Job{
		"raw":   func(f *frozen) negotiation.Job { return negotiation.Job{Conduit: frozenRaw{f}} },
		"muxed": func(f *frozen) negotiation.Job { return negotiation.Job{Muxed: frozenMuxed{frozen: f}} },
	} {
		t.Run(name, func(t *testing.T) {
			rt := run(t)
			f := newFrozen()
			defer close(f.let)
			j := job(f)
			j.Lease = f
			j.To = actors.Cast[messages.Upgrader](newProbe(t, rt, "").ref)
			ref := root(t, rt, negotiation.Spec(newPerson(t).cfg, j))
			soon(t, "it is stuck", f.asked)
			ref.Stop()
			soon(t, "the connection is closed", f.closed)
			soon(t, "its lease is given back", f.released)
			if !ref.Ended() {
				t.Error("it was not abandoned")
			}
		})
	}
}

func soon(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatalf("did not happen: %s", what)
	}
}

package negotiation

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// Config is what all upgrades of a node share.
type Config struct {
	// Core is the configuration of the state machine; role, expected peer and time are set
	// for each upgrade.
	Core upgrade.Config
	// TLS makes the blocking half of a TLS handshake; nil if the node does not offer TLS.
	TLS func(server bool, expect identity.ID, now time.Time) (TLS, error)
}

// TLS is a TLS handshake: Run blocks, everything else returns at once.
type TLS interface {
	Run(ctx context.Context) (*upgrade.TLSResult, error)
	Feed(p []byte) error
	// OnOutput is called whenever there is something to TakeOutput, before Run.
	OnOutput(f func())
	TakeOutput(dst []byte) []byte
	// OnHungry is called whenever all that was fed has been read.
	OnHungry(f func())
	Close(err error)
}

// Job is one upgrade.
type Job struct {
	ID       uint64
	Conduit  conduit.Raw
	Expect   identity.ID // "": whoever it is
	To       actors.Ref[messages.Upgrader]
	Progress actors.Ref[messages.Gate] // may be zero
}

// Spec is how to spawn an upgrade. It owns its conduit until it has told To.
func Spec(cfg Config, job Job) actors.Spec {
	return actors.Spec{
		Kind:    "upgrade",
		New:     func() actor.Actor { return &upgrader{cfg: cfg, job: job} },
		Restart: actors.Temporary,
	}
}

package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// simContext refuses what would wait in real time, or answer from a goroutine outside of the
// simulation.
type simContext struct{ actor.Context }

func refuse(what, instead string) {
	panic("actors: " + what + " does not work in a simulation: use " + instead)
}

func (simContext) RequestFuture(*actor.PID, any, time.Duration) *actor.Future {
	refuse("RequestFuture", "a message with a Reply and a Timer")
	return nil
}

func (simContext) SetReceiveTimeout(time.Duration) { refuse("SetReceiveTimeout", "NewTimer") }

func (simContext) ReenterAfter(*actor.Future, func(any, error)) {
	refuse("ReenterAfter", "StartTask or a message with a Reply")
}

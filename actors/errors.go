package actors

import (
	"errors"
	"fmt"
	"time"
)

// Why a message was not received or an actor is gone. All are local: no remote had a say.
var (
	// ErrStopped: the actor has ended.
	ErrStopped = errors.New("actors: the actor has ended")
	// ErrRestarting: the actor failed and its state is gone; a new incarnation may follow.
	ErrRestarting = errors.New("actors: the actor failed and is being restarted")
	// ErrMailboxFull: more messages wait for the actor than its mailbox may hold.
	ErrMailboxFull = errors.New("actors: the actor's mailbox is full")
	// ErrAbandoned: the actor did not return from Receive after its stop and was left behind.
	ErrAbandoned = errors.New("actors: the actor is stuck and was abandoned")
	// ErrClosed: the runtime is closed.
	ErrClosed = errors.New("actors: the runtime is closed")
	// ErrStopping: an actor that is stopping cannot spawn.
	ErrStopping = errors.New("actors: an actor that is stopping cannot spawn")
	// ErrNameTaken: a sibling has that name.
	ErrNameTaken = errors.New("actors: a sibling has that name")
)

// PanicError is a panic that the kit caught: a bug in the named actor or task.
type PanicError struct {
	Path    string    // who panicked
	Value   any       // what it panicked with
	Message string    // the type of the message in hand
	At      time.Time // when
	Stack   []byte    // where
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("panic in %s on %s: %v", e.Path, e.Message, e.Value)
}

// Unwrap gives the panic value when it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

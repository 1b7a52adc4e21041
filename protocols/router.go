// Package protocols holds the table that leads from a protocol to its handler.
//
//	System.Handle ─Handle──> Router ─new table──> Table <──Lookup─ every connection's negotiation
//	                         Router ─Protocols──> identify, which tells the peers
//
// Connections read the table without asking anybody: it is an immutable snapshot behind one
// atomic pointer. The Table belongs to the node, so a crash of the Router forgets nothing.
package protocols

import (
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation/multistream"
	"github.com/troupe-p2p/troupe/stream"
)

// Table is what the node's handlers serve now. Anybody may read it; only the Router writes it.
// The zero Table is empty and ready.
type Table struct {
	now      atomic.Pointer[snapshot]
	identify actors.Ref[messages.Identify] // of the Router
}

// snapshot is one state of the table. It is never changed.
type snapshot struct {
	rows map[string]row
	ids  []string // sorted
}

// row keeps the name too, so that a look-up by bytes need not make a string.
type row struct {
	name    string
	handler stream.Handler
}

// Lookup finds the handler of a protocol that a remote proposes. It has the form of mux.Lookup:
// name is borrowed, the string that is returned spells the same.
func (t *Table) Lookup(name []byte) (string, stream.Handler, bool) {
	s := t.now.Load()
	if s == nil {
		return "", stream.Handler{}, false
	}
	r, ok := s.rows[string(name)]
	return r.name, r.handler, ok
}

// IDs are the protocols served, in order. Nobody changes the slice.
func (t *Table) IDs() []string {
	if s := t.now.Load(); s != nil {
		return s.ids
	}
	return nil
}

// with is the next snapshot.
func (t *Table) with(name string, h stream.Handler) *snapshot {
	next := &snapshot{rows: map[string]row{}}
	if s := t.now.Load(); s != nil {
		for id, r := range s.rows { // order-free: copied from map to map
			next.rows[id] = r
		}
	}
	if h.Actor == nil && h.Run == nil {
		delete(next.rows, name)
	} else {
		next.rows[name] = row{name, h}
	}
	next.ids = make([]string, 0, len(next.rows))
	for id := range next.rows { // order-free: sorted below
		next.ids = append(next.ids, id)
	}
	slices.Sort(next.ids)
	return next
}

// Config of the router.
type Config struct {
	// Table is what the router writes. It belongs to the node. Default: a new one.
	Table *Table
}

// Spec is how to spawn the router's actor.
func Spec(cfg Config) actors.Spec {
	if cfg.Table == nil {
		cfg.Table = &Table{}
	}
	return actors.Spec{
		Name: "router",
		New:  func() actor.Actor { return &router{t: cfg.Table} },
	}
}

// router is the only writer of the table.
type router struct{ t *Table }

// Receive implements actor.Actor.
func (r *router) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *messages.Handle:
		if err := check(m); err != nil {
			m.Reply.Fail(err)
			return
		}
		r.t.now.Store(r.t.with(m.Protocol, m.Handler))
		// Whoever waits for the answer finds that identify was told.
		defer m.Reply.Answer(struct{}{})
	case *messages.IntroduceIdentify:
		r.t.identify = m.Identify
	case *actor.Started:
		// The table may have changed right before the crash of the last incarnation.
	default:
		return
	}
	actors.Publish(ctx, "protocols", strconv.Itoa(len(r.t.IDs())))
	if !r.t.identify.IsZero() {
		_ = r.t.identify.Control(&messages.Protocols{IDs: r.t.IDs()})
	}
}

func check(m *messages.Handle) error {
	if err := multistream.CheckName(m.Protocol); err != nil {
		return fmt.Errorf("local: %w", err)
	}
	if m.Handler.Actor != nil && m.Handler.Run != nil {
		return fmt.Errorf("local: the handler of %s has both Actor and Run: exactly one must be set", m.Protocol)
	}
	return nil
}

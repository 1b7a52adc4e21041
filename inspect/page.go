package inspect

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/clean"
)

// Schema is the number of the form of a Page. It rises when a field goes away or changes its
// meaning; fields may be added without.
const Schema = 1

// Page is what GET /tree answers. Times are RFC 3339, durations are milliseconds with up to
// three decimals. A list that is empty and a field that says "none" are left out, numbers never.
type Page struct {
	Schema int       `json:"schema"`
	At     time.Time `json:"at"`
	Peer   string    `json:"peer"`
	Listen []string  `json:"listen,omitempty"`
	// Pumps is the number of goroutines that read sockets.
	Pumps int `json:"pumps"`
	// Roots are the live actors, each with its children and tasks.
	Roots []Actor `json:"roots"`
	// Abandoned are those that did not come back after their stop, until they do: actors that
	// are stuck in a message, and tasks (phase "stray") whose owner is gone.
	Abandoned []Actor `json:"abandoned,omitempty"`
	// Orphans are children of the abandoned that have not ended yet.
	Orphans []Actor `json:"orphans,omitempty"`
	// Dead are the last that ended, newest first.
	Dead []Dead `json:"dead,omitempty"`
	// Failures are the last panics, newest first.
	Failures []Failure `json:"failures,omitempty"`
}

// Actor is one actor or task.
type Actor struct {
	Path  string `json:"path"`
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	Phase string `json:"phase"` // "alive", ...; of a task "running" or "stray"
	// AgeMS is how long ago it was spawned.
	AgeMS float64 `json:"age_ms"`
	// Queued messages wait in its mailbox, the oldest for at most OldestMS.
	Queued   int     `json:"queued"`
	OldestMS float64 `json:"oldest_ms"`
	// RunningMS is how long the message in hand has taken so far; 0: none is in hand.
	RunningMS float64 `json:"running_ms"`
	Restarts  int     `json:"restarts"`
	Failures  int     `json:"failures"`
	// Refused messages found its mailbox full.
	Refused uint64 `json:"refused"`
	// ParkedMS is what is left of the time for which it rests after too many failures.
	ParkedMS float64 `json:"parked_ms"`
	// Last is its last failure.
	Last *Failure `json:"last_failure,omitempty"`
	// Values are what the actor says about itself.
	Values   map[string]string `json:"values,omitempty"`
	Children []Actor           `json:"children,omitempty"`
	// Stack is where an abandoned one is stuck; with ?stacks=1 only.
	Stack string `json:"stack,omitempty"`
}

// Dead is an actor that has ended.
type Dead struct {
	Path     string    `json:"path"`
	Kind     string    `json:"kind"`
	At       time.Time `json:"at"`
	LivedMS  float64   `json:"lived_ms"`
	Restarts int       `json:"restarts"`
	// Error says why, if it did not end in order.
	Error string `json:"error,omitempty"`
	// Values are what it showed last: of a stream, its protocol.
	Values map[string]string `json:"values,omitempty"`
}

// Failure is a panic: a bug in whoever it names.
type Failure struct {
	Actor   string    `json:"actor"` // its path
	At      time.Time `json:"at"`
	Message string    `json:"message"` // the type of the message in hand
	Error   string    `json:"error"`
	Stack   string    `json:"stack,omitempty"` // with ?stacks=1 only
}

// tree serves GET /tree.
func tree(w http.ResponseWriter, r *http.Request, src Source) {
	stacks := false
	switch v := r.URL.Query().Get("stacks"); v {
	case "", "0":
	case "1":
		stacks = true
	default:
		http.Error(w, "stacks must be 0 or 1", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(NewPage(src, stacks))
}

// NewPage takes the page from a node.
func NewPage(src Source, stacks bool) Page {
	look := src.Tree
	if stacks {
		look = src.TreeWithStacks
	}
	t := look()
	v := view{stacks}
	p := Page{
		Schema: Schema, At: t.At, Peer: src.ID().String(), Pumps: t.Pumps,
		Roots: v.actors(t.Roots), Abandoned: v.actors(append(t.Abandoned, t.Strays...)), Orphans: v.actors(t.Orphans),
	}
	if p.Roots == nil {
		p.Roots = []Actor{}
	}
	for _, a := range src.ListenAddrs() {
		p.Listen = append(p.Listen, a.String())
	}
	for _, g := range t.Dead {
		d := Dead{Path: g.Path, Kind: g.Kind, At: g.At, LivedMS: ms(g.Lived), Restarts: g.Restarts}
		if g.Err != nil {
			d.Error = clip(g.Err.Error())
		}
		for _, kv := range g.Info {
			if d.Values == nil {
				d.Values = make(map[string]string, len(g.Info))
			}
			d.Values[kv.Key] = clip(kv.Value)
		}
		p.Dead = append(p.Dead, d)
	}
	for _, e := range t.Failures {
		p.Failures = append(p.Failures, *v.failure(e))
	}
	return p
}

// view is what a page shows.
type view struct{ stacks bool }

func (v view) actors(ns []actors.Node) []Actor {
	var out []Actor
	for _, n := range ns {
		a := Actor{
			Path: n.Path, Name: n.Name, Kind: n.Kind, Phase: n.Phase, AgeMS: ms(n.Age),
			Queued: n.Queued, OldestMS: ms(n.Oldest), RunningMS: ms(n.Running),
			Restarts: n.Restarts, Failures: n.Failures, Refused: n.Refused, ParkedMS: ms(n.ParkedFor),
			Last: v.failure(n.Last), Children: v.actors(n.Children),
		}
		for _, kv := range n.Info {
			if a.Values == nil {
				a.Values = make(map[string]string, len(n.Info))
			}
			a.Values[kv.Key] = clip(kv.Value)
		}
		if v.stacks {
			a.Stack = n.Stack
		}
		out = append(out, a)
	}
	return out
}

func (v view) failure(e *actors.PanicError) *Failure {
	if e == nil {
		return nil
	}
	f := &Failure{Actor: e.Path, At: e.At, Message: e.Message, Error: clip(e.Error())}
	if v.stacks {
		f.Stack = string(e.Stack)
	}
	return f
}

// ms is a duration in milliseconds, to the microsecond.
func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// maxText bounds a text that an actor, or a remote through it, wrote. It stops a panic value or
// an error that quotes what was received from bringing payloads here.
const maxText = 512

func clip(s string) string { return clean.Text(s, maxText) }

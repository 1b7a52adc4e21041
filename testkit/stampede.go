package testkit

import (
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/actors"
)

// Stampede kills random actors of a runtime: each strike makes one living actor panic on its next
// message. It works on live and on simulated runtimes; in the latter the victims, too, come from
// the seed.
type Stampede struct {
	// Runtime is where the victims live.
	Runtime *actors.Runtime
	// Every is the mean time between strikes, each of which comes after 0 to 2 times that.
	// Default 1 s.
	Every time.Duration
	// Match says who may be struck. Default: every actor but the roots.
	Match func(actors.Node) bool
	// Seed draws the victims of a live runtime. A simulated one has its own.
	Seed uint64
	// Struck is told of each strike, if set. It must not block.
	Struck func(path string)

	mu   sync.Mutex
	draw func() uint64
	stop func() bool
	n    int
	over bool
}

// Start begins. The first strike comes after about Every.
func (s *Stampede) Start() {
	if s.Every <= 0 {
		s.Every = time.Second
	}
	if s.Match == nil {
		s.Match = func(n actors.Node) bool { return strings.Contains(n.Path, "/") }
	}
	if sim := s.Runtime.Simulation(); sim != nil {
		s.draw = sim.Uint64
	} else {
		s.draw = rand.New(rand.NewPCG(s.Seed, 0)).Uint64
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arm()
}

// arm is called with mu held.
func (s *Stampede) arm() {
	if s.over {
		return
	}
	after := time.Duration(s.draw() % uint64(2*s.Every))
	s.stop = s.Runtime.AfterFunc(after, func() {
		s.Strike()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.arm()
	})
}

// Stop ends it.
func (s *Stampede) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.stop != nil {
		s.stop()
	}
}

// Strikes is how many actors were struck.
func (s *Stampede) Strikes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// Strike kills one actor now and returns its path, or "" if there is none to kill. Start must have
// been called.
func (s *Stampede) Strike() string {
	var victims []string
	var walk func([]actors.Node)
	walk = func(nodes []actors.Node) {
		for _, n := range nodes {
			if n.Kind != "task" && n.Phase == actors.Alive.String() && s.Match(n) {
				victims = append(victims, n.Path)
			}
			walk(n.Children)
		}
	}
	walk(s.Runtime.Tree("").Roots)
	if len(victims) == 0 {
		return ""
	}
	s.mu.Lock()
	path := victims[s.draw()%uint64(len(victims))]
	s.mu.Unlock()
	if !s.Runtime.Kill(path, "stampede") {
		return ""
	}
	s.mu.Lock()
	s.n++
	s.mu.Unlock()
	if s.Struck != nil {
		s.Struck(path)
	}
	return path
}

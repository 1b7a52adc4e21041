package conduit

import "sync"

// Shared is where the transports of one node find what they have in common: QUIC and WebTransport one
// socket, if they listen on one address.
type Shared struct {
	mu sync.Mutex
	of map[any]any
}

// Get returns what is known by key, a type of the caller's own; whoever asks first makes it.
func (s *Shared) Get(key any, create func() any) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.of[key]; ok {
		return v
	}
	if s.of == nil {
		s.of = map[any]any{}
	}
	v := create()
	s.of[key] = v
	return v
}

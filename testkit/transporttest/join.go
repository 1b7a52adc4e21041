package transporttest

import (
	"errors"
	"testing"

	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// Joins tests a transport that was made without a key: it says noKey before it joins a node, works for
// that node then, and says otherKey to another one. dial is an address where nobody has to be.
func Joins(t *testing.T, tr conduit.Member, listen, dial ma.Multiaddr, noKey, otherKey error) {
	t.Helper()
	if _, err := tr.Listen(listen, &Acceptor{}); !errors.Is(err, noKey) {
		t.Errorf("it listens: %v", err)
	}
	if _, err := Dial(t.Context(), tr, dial); !errors.Is(err, noKey) {
		t.Errorf("it dials: %v", err)
	}
	if err := tr.Join(conduit.Node{Key: Key(1)}); err != nil {
		t.Fatal(err)
	}
	l, err := tr.Listen(listen, &Acceptor{})
	if err != nil {
		t.Fatalf("with a node's key: %v", err)
	}
	_ = l.Close()
	if err := tr.Join(conduit.Node{Key: Key(2)}); !errors.Is(err, otherKey) {
		t.Errorf("it joins another node: %v", err)
	}
}

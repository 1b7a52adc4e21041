package troupe_test

import (
	"strings"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/negotiation/pnet"
	"github.com/troupe-p2p/troupe/testkit/script"
)

// TestB19StrangersToAPrivateNetwork: whatever they say, they hear a nonce and nothing of libp2p.
func TestB19StrangersToAPrivateNetwork(t *testing.T) {
	grounds := streamGrounds(t)
	key := newPSK(t)
	for i := range grounds {
		grounds[i].psk = key
	}
	nonce := script.Garbage(1, pnet.NonceLen)
	for name, say := range map[string][]script.Item{
		"without a key":              {script.Header, script.Protocol("/noise"), script.Garbage(2, 200)},
		"with another key":           {nonce, script.Garbage(3, 200)},
		"a nonce and then plaintext": {nonce, script.Header, script.Protocol("/noise")},
		"a nonce of zeros":           {script.Bytes(strings.Repeat("\x00", pnet.NonceLen)), script.Garbage(4, 200)},
		"half a nonce":               {script.Truncated(nonce, pnet.NonceLen/2)},
		"a nonce and no more":        {nonce},
		"nothing":                    nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attacked(t, grounds, func(t *testing.T, v *victim) {
				began := time.Now()
				p := v.dial(name)
				p.Send(say...)
				until(t, "the node ends it", func() bool { return p.Ended() != nil })
				if took := time.Since(began); took > 2*deadline {
					t.Errorf("it took %s", took)
				}
				if got := p.Received(); len(got) != pnet.NonceLen && (len(got) > 0 || name != "without a key") {
					t.Errorf("it says %q", got)
				}
			})
		})
	}
	attacked(t, grounds, func(t *testing.T, v *victim) { // and a node of another network
		stranger := newNode(t, func(c *troupe.Config) {
			g := v.ground
			g.psk = newPSK(t)
			g.on(c)
		})
		_, err := stranger.DialAddr(bounded(t), addr(v.System))
		wantError(t, err, troupe.ErrDialFailed)
	})
}

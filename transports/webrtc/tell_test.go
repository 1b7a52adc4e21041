package webrtc

import (
	"testing"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
)

// A place comes back, and before the owner hears that he can open a stream there is no connection any more.
func TestAnEndOvertakesTheNewsOfAPlace(t *testing.T) {
	a, b := pair(t, same)
	accepting(b)
	e := transporttest.NewEndSink()
	a.Bind(e)
	a.mu.Lock()
	a.canOpen = true
	a.endLocked(&ending{code: 7, err: ErrClosed}, "enough")
	a.mu.Unlock()
	if h := <-e.How; h.Code != 7 || h.Remote {
		t.Errorf("%+v", h)
	}
	transporttest.Settle(t, "pumps that tell", 0, func() int {
		a.news.mu.Lock()
		defer a.news.mu.Unlock()
		if a.news.running {
			return 1
		}
		return 0
	})
}

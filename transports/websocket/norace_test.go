//go:build !race

package websocket

import "testing"

// Under the race detector everything is larger.
func TestAnIdleConnectionIsSmall(t *testing.T) {
	for _, c := range idleKinds(t) {
		t.Run(c.name, func(t *testing.T) {
			if bytes, _ := idleCost(t, c.cfg, c.at, 100); bytes > c.most {
				t.Errorf("%.0f bytes, at most %.0f may be", bytes, c.most)
			}
		})
	}
}

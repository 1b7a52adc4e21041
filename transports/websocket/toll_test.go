package websocket

import (
	"testing"
	"time"
)

func TestTheTollSparesWhoBringsDataAndWhoPingsSeldom(t *testing.T) {
	at := time.Unix(1, 0)
	now := func() time.Time { return at }
	const ping = 6 + 125 // masked, of the longest kind
	pays := func(name string, want bool, rounds int, f func(*toll)) {
		t.Helper()
		x := toll{since: at}
		over := false
		for i := 0; i < rounds && !over; i++ {
			f(&x)
			over = x.over(now)
		}
		if over != want {
			t.Errorf("%s: over %v, want %v; %d bytes are unpaid", name, over, want, x.unpaid)
		}
	}
	pays("messages of one byte with the longest head", false, 1e5, func(x *toll) { x.came(15); x.brought(1) })
	pays("a ping eight times a second", false, 1e5, func(x *toll) { at = at.Add(time.Second / 7); x.came(ping) })
	pays("a ping after each message", false, 1e5, func(x *toll) { x.came(14 + 100 + ping); x.brought(100) })
	pays("a burst of pings once a minute", false, 1e4, func(x *toll) {
		if x.unpaid == 0 || x.unpaid > emptyBurst-ping {
			at = at.Add(time.Minute)
		}
		x.came(ping)
	})
	pays("pings without pause", true, 2*emptyBurst/ping, func(x *toll) { x.came(ping) })
	pays("empty messages a thousand times a second", true, 1e4, func(x *toll) { at = at.Add(time.Millisecond); x.came(6) })
	pays("a byte of data among hundreds of pings", true, 1e3, func(x *toll) { x.came(200*ping + 7); x.brought(1) })

	saved := toll{since: at}
	at = at.Add(1000 * time.Hour)
	saved.came(3 * emptyBurst)
	if !saved.over(now) {
		t.Error("a long silence has paid for more than a burst")
	}
}

package negotiation

import (
	"testing"
	"time"
)

func TestASlotIsNotTakenBeforeItsHolderCouldSpeak(t *testing.T) {
	for _, slots := range []int{1, 2, 64, 512} {
		p := pace{slots: slots}
		now := time.Unix(1_000_000, 0)
		for p.take(now) { // a burst may begin at once
		}
		n := 0
		for range 1000 { // a flood that comes every tenth of a millisecond, for 100 ms
			now = now.Add(100 * time.Microsecond)
			for p.take(now) {
				n++
			}
		}
		if most := slots * 100 / 25; n > most || n < most*9/10-1 {
			t.Errorf("%d slots: %d evictions in 100 ms, want %d", slots, n, most)
		}
		if p.next() < time.Millisecond || p.next() > tenure {
			t.Errorf("%d slots: the next one in %v", slots, p.next())
		}
	}
}

func TestABurstIsASmallPartOfTheSlots(t *testing.T) {
	p := pace{slots: 512}
	n := 0
	for now := time.Unix(1_000_000, 0); p.take(now); n++ {
	}
	if n != 512/16 {
		t.Errorf("%d at once", n)
	}
}

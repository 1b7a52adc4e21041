// Package bucket bounds how often something may happen that a remote decides.
package bucket

import "time"

// Bucket is a token bucket: at most burst at once, rate per second in the long run. It has one
// owner, who passes in the time.
type Bucket struct {
	level, burst, rate int64
	at                 time.Time
}

// New makes a full bucket.
func New(burst, rate int, now time.Time) Bucket {
	return Bucket{level: int64(burst), burst: int64(burst), rate: int64(rate), at: now}
}

// Take removes n tokens and reports whether there were as many. Time is looked at only when
// the level runs low, which keeps the bound (burst + rate·t in any t) and the usual call cheap.
func (b *Bucket) Take(n int64, now time.Time) bool {
	if b.level < n {
		b.refill(now)
	}
	if b.level < n {
		return false
	}
	b.level -= n
	return true
}

func (b *Bucket) refill(now time.Time) {
	elapsed := now.Sub(b.at)
	if elapsed <= 0 {
		return
	}
	if elapsed.Seconds() >= float64(b.burst)/float64(b.rate) {
		b.level, b.at = b.burst, now
		return
	}
	// elapsed < burst/rate seconds and burst < 2^31+4: the product stays below 2^61.
	n := int64(elapsed) * b.rate / int64(time.Second)
	b.level = min(b.level+n, b.burst)
	b.at = b.at.Add(time.Duration(n * int64(time.Second) / b.rate))
}

// Earn adds tokens up to the burst.
func (b *Bucket) Earn(n int64) { b.level = min(b.level+n, b.burst) }

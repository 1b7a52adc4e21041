package sockets

// FirstRead is what reads begin with and come back to: most connections carry small messages
// most of the time, and the reader of a message may hold the whole buffer for a while.
const FirstRead = 4 << 10

// backAfter is how many small reads in a row end a burst. One happens inside of bursts too, at
// the end of what the sender had.
const backAfter = 4

// Sizer chooses the size of the next read.
type Sizer struct {
	Size  int // of the next read
	most  int
	small int // reads in a row that the first size would have been enough for
}

// NewSizer is for reads of at most most bytes.
func NewSizer(most int) Sizer { return Sizer{Size: min(FirstRead, most), most: most} }

// Took is for a read that brought n bytes.
func (s *Sizer) Took(n int) {
	switch {
	case n == s.Size:
		s.Size, s.small = s.most, 0
	case n > FirstRead || s.Size <= FirstRead:
		s.small = 0
	default:
		if s.small++; s.small == backAfter {
			s.Size, s.small = min(FirstRead, s.most), 0
		}
	}
}

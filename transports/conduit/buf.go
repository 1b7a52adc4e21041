package conduit

import "github.com/troupe-p2p/troupe/internal/buf"

// Buf is a pooled buffer with one owner at a time: B are its bytes. Who passes it on passes the
// ownership on; the last owner calls Release, and touches it no more.
type Buf = buf.Buf

// GetBuf takes a buffer of n bytes from the pool. Its contents are undefined: an adapter reads into B,
// cuts B to what has come and offers it.
func GetBuf(n int) *Buf { return buf.Get(n) }

// Package control is the language in which the benchmark talks to a peer program.
//
//  1. The program prints one line when it can be talked to: {"event":"ready","peer":..,"addrs":[..]}
//  2. The benchmark writes commands to its stdin, one JSON object a line:
//     {"id":1,"cmd":"upload","peer":..,"streams":8,"bytes":536870912}
//  3. The program answers each with one line of the same id, in any order:
//     {"id":1,"event":"result",..} or {"id":1,"event":"error","error":".."}
//  4. At the end of stdin the program exits, so that no peer outlives its measure.
//
// Standard output carries nothing else; complaints go to stderr. All peer programs speak this
// language through package drive, so that what is measured is the same code for each of them.
package control

// The commands.
const (
	// Connect dials Addr and waits until both the connection and identify are done.
	Connect = "connect"
	// Upload sends Bytes over Streams streams (Bytes in total) in writes of Chunk, until the
	// peer has confirmed the last of them. With Stalled, as many streams beside them have
	// filled the window of a reader that never reads.
	Upload = "upload"
	// Download has the peer send Bytes over Streams streams (Bytes in total).
	Download = "download"
	// Requests opens a stream for each request of Bytes and waits for an answer of as many,
	// InFlight at a time, for MS milliseconds.
	Requests = "requests"
	// Connects makes a connection, waits for identify and closes it, again and again for MS
	// milliseconds, on InFlight nodes of its own; Count instead of MS ends after so many.
	Connects = "connects"
	// Ping sends pings on one stream, Count or for MS milliseconds, while Streams streams
	// beside it upload without end.
	Ping = "ping"
	// Hold opens Streams streams, has one byte confirmed on each, and leaves them open.
	Hold = "hold"
	// Crowd makes Count more nodes, each with one connection to Addr, and leaves them.
	Crowd = "crowd"
	// PingBack pings Count of the connected peers, spread evenly, once each.
	PingBack = "ping-back"
	// Stats reports what the process uses; with GC after a collection.
	Stats = "stats"
	// Profile begins to profile, and ends it at the second time, to Path.cpu and Path.allocs.
	Profile = "profile"
)

// Protocols that the peer programs serve.
const (
	// SinkProtocol reads to the end and answers with the number of bytes, as a big-endian
	// uint64.
	SinkProtocol = "/bench/sink/1"
	// SourceProtocol reads a big-endian uint64 and sends as many bytes.
	SourceProtocol = "/bench/source/1"
	// RequestProtocol reads to the end and sends back what it read.
	RequestProtocol = "/bench/request/1"
	// HoldProtocol echoes one byte and then waits for more, which does not come.
	HoldProtocol = "/bench/hold/1"
	// StallProtocol never reads.
	StallProtocol = "/bench/stall/1"
	// PingProtocol is libp2p's, served by the library.
	PingProtocol = "/ipfs/ping/1.0.0"
)

// Request is one command. Fields that a command does not use are left out.
type Request struct {
	ID       int    `json:"id"`
	Cmd      string `json:"cmd"`
	Addr     string `json:"addr,omitempty"`
	Peer     string `json:"peer,omitempty"`
	Streams  int    `json:"streams,omitempty"`
	Stalled  int    `json:"stalled,omitempty"`
	Bytes    int64  `json:"bytes,omitempty"`
	Chunk    int    `json:"chunk,omitempty"` // default 64 KiB
	InFlight int    `json:"in_flight,omitempty"`
	Count    int    `json:"count,omitempty"`
	MS       int    `json:"ms,omitempty"`
	GC       bool   `json:"gc,omitempty"`
	Path     string `json:"path,omitempty"`
}

// Reply is one line of standard output.
type Reply struct {
	ID    int    `json:"id,omitempty"`
	Event string `json:"event"` // ready, result, error
	Error string `json:"error,omitempty"`

	Peer  string   `json:"peer,omitempty"`
	Addrs []string `json:"addrs,omitempty"`

	Seconds float64 `json:"seconds,omitempty"`
	Count   int     `json:"count,omitempty"`
	P50     float64 `json:"p50_us,omitempty"`
	P99     float64 `json:"p99_us,omitempty"`
	Max     float64 `json:"max_us,omitempty"`
	Usage   *Usage  `json:"usage,omitempty"`
}

// Usage is what a process uses.
type Usage struct {
	CPU        float64 `json:"cpu_s"` // user and system, since the start
	Heap       uint64  `json:"heap"`  // HeapInuse
	Stack      uint64  `json:"stack"` // StackInuse
	RSS        uint64  `json:"rss"`   // 0: not known on this system
	Goroutines int     `json:"goroutines"`
	Conns      int     `json:"conns"`
	Mallocs    uint64  `json:"mallocs"` // since the start
}

// Package control is the language in which a test talks to a peer program.
//
//  1. The program prints one line when it can be talked to: {"event":"ready","peer":..,"addrs":[..]}
//  2. The test writes commands to stdin, one JSON object a line: {"id":1,"cmd":"ping","addr":..,"count":5}
//  3. The program answers each with one line of the same id, in any order:
//     {"id":1,"event":"result",..} or {"id":1,"event":"error","error":".."}
//  4. At the end of stdin the program closes its node and exits 0, so that no peer outlives its test.
//
// Standard output carries nothing else; logs go to stderr. gopeer, jspeer, browser and hostile all speak
// this language; what a program does not know it answers with an error.
package control

// The commands. "To a peer" means: Addr is dialled unless a connection to its peer exists; with
// Peer instead of Addr the existing connection is used and nothing is dialled.
const (
	// Connect dials Addr.
	Connect = "connect"
	// Disconnect closes every connection to Peer.
	Disconnect = "disconnect"
	// Ping sends Count pings on one stream to a peer.
	Ping = "ping"
	// Echo sends Bytes over Streams parallel streams (Bytes in total) and compares what comes
	// back by SHA-256. With Rate the reader takes no more than Rate bytes per second.
	Echo = "echo"
	// HalfClose sends Bytes, ends its direction before it reads anything, and then expects all
	// of Bytes back and an orderly end.
	HalfClose = "half-close"
	// Reset opens a stream, has one byte echoed, resets the stream with Code and then proves by
	// an echo that the same connection goes on.
	Reset = "reset"
	// Sequence opens Count streams one after another, each of which echoes Bytes.
	Sequence = "sequence"
	// Identify reports what the peer says about itself.
	Identify = "identify"
	// Poke opens Count streams, at most Concurrency at a time, sends Bytes (at least 1) on each
	// and reports how each of them ended.
	Poke = "poke"
	// Hold opens Count streams, sends one byte on each and leaves them open.
	Hold = "hold"
	// Churn runs Count rounds of dial, echo of Bytes, close; Concurrency at a time.
	Churn = "churn"
	// Dials makes Count new connections to Addr, one every IntervalMS, and reports latencies.
	Dials = "dials"
	// Perf uploads Bytes and downloads Download by the libp2p perf protocol.
	Perf = "perf"
	// Stats reports the program's own state.
	Stats = "stats"
	// Reload makes a new peer of a browser's page, and answers with its ID.
	Reload = "reload"
)

// Protocols that the peer programs serve, beside ping and identify.
const (
	EchoProtocol  = "/troupe/echo/1.0.0"
	CrashProtocol = "/troupe/crash/1.0.0"
	HangProtocol  = "/troupe/hang/1.0.0"
	StuckProtocol = "/troupe/stuck/1.0.0"
	PerfProtocol  = "/perf/1.0.0"
	// ResetProtocol reads a big-endian uint32 and resets the stream with it as the code.
	ResetProtocol = "/troupe/reset/1.0.0"
)

// Request is one command. Fields that a command does not use are left out.
type Request struct {
	ID          int    `json:"id"`
	Cmd         string `json:"cmd"`
	Addr        string `json:"addr,omitempty"`
	Peer        string `json:"peer,omitempty"`
	Protocol    string `json:"protocol,omitempty"` // default EchoProtocol
	Count       int    `json:"count,omitempty"`
	Bytes       int64  `json:"bytes,omitempty"`
	Download    int64  `json:"download,omitempty"`
	Streams     int    `json:"streams,omitempty"` // default 1
	Rate        int64  `json:"rate,omitempty"`    // bytes per second, 0: as fast as it goes
	Concurrency int    `json:"concurrency,omitempty"`
	IntervalMS  int    `json:"interval_ms,omitempty"`
	Code        uint32 `json:"code,omitempty"`
	TimeoutMS   int    `json:"timeout_ms,omitempty"` // default 60 s
}

// Reply is one line of standard output.
type Reply struct {
	ID    int    `json:"id,omitempty"`
	Event string `json:"event"` // ready, result, error
	Error string `json:"error,omitempty"`

	Peer  string   `json:"peer,omitempty"`
	Addrs []string `json:"addrs,omitempty"`

	Conn     *Conn        `json:"conn,omitempty"`
	RTTs     []float64    `json:"rtts_ms,omitempty"`
	Transfer *Transfer    `json:"transfer,omitempty"`
	Identify *Identity    `json:"identify,omitempty"`
	Endings  *Endings     `json:"endings,omitempty"`
	Dials    *DialSummary `json:"dials,omitempty"`
	Stats    *StatsReport `json:"stats,omitempty"`
	Hostile  *Hostile     `json:"hostile,omitempty"`
}

// Conn describes the connection that a command used.
type Conn struct {
	Local     string `json:"local"`
	Remote    string `json:"remote"`
	Direction string `json:"direction"` // inbound, outbound
	Security  string `json:"security"`
	Muxer     string `json:"muxer"`
	Early     bool   `json:"early"` // the muxer was agreed inside the security handshake
	Count     int    `json:"count"` // connections to this peer
}

// Transfer says what was moved. It is sent only when every byte came back right.
type Transfer struct {
	Bytes   int64   `json:"bytes"`
	Streams int     `json:"streams"`
	MS      float64 `json:"ms"`
	SHA256  string  `json:"sha256,omitempty"` // of the first stream
	// MaxAhead is the largest distance seen between a stream's bytes accepted for writing and
	// its bytes read back: all that both sides and the kernel held at that moment.
	MaxAhead int64 `json:"max_ahead,omitempty"`
}

// Identity is what a peer says about itself by identify.
type Identity struct {
	Peer            string   `json:"peer"`
	KeyType         string   `json:"key_type"`
	ProtocolVersion string   `json:"protocol_version"`
	AgentVersion    string   `json:"agent_version"`
	Protocols       []string `json:"protocols"`
	ListenAddrs     []string `json:"listen_addrs"`
	ObservedAddr    string   `json:"observed_addr"`
	SignedRecord    bool     `json:"signed_record"` // present, and signed by the peer
}

// Endings counts how the streams of Poke and Hold ended.
type Endings struct {
	Opened      int            `json:"opened"`
	RemoteReset map[string]int `json:"remote_reset,omitempty"` // by code, "0x.."
	EOF         int            `json:"eof"`
	Other       map[string]int `json:"other,omitempty"` // by error text, no more than a few
	ConnAlive   bool           `json:"conn_alive"`      // the connection that carried them is still open
}

// DialSummary is the outcome of Churn and Dials.
type DialSummary struct {
	OK     int            `json:"ok"`
	Failed int            `json:"failed"`
	P50    float64        `json:"p50_ms"`
	P99    float64        `json:"p99_ms"`
	Max    float64        `json:"max_ms"`
	Errors map[string]int `json:"errors,omitempty"`
}

// StatsReport is a program's view of itself.
type StatsReport struct {
	Goroutines  int `json:"goroutines"`
	Connections int `json:"connections"`
	// IdentifySent counts the identify answers that this program gave, pushes not counted.
	IdentifySent int `json:"identify_sent"`
}

// Hostile is what an attack saw.
type Hostile struct {
	Dials     int     `json:"dials"`     // connections made
	Refused   int     `json:"refused"`   // dials that failed
	ClosedBy  int     `json:"closed_by"` // connections that the victim ended
	Open      int     `json:"open"`      // connections open at the end
	BytesSent int64   `json:"bytes_sent"`
	ClosedMS  float64 `json:"closed_ms"` // from the start of the attack to its end by the victim
	Reason    string  `json:"reason,omitempty"`
}

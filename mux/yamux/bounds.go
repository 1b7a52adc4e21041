package yamux

import "github.com/troupe-p2p/troupe/internal/bound"

// Bounds lists what a remote can fill in one session, at the default Config.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "mux/yamux: inbound streams of a session", Cap: DefaultMaxInboundStreams,
			Attack: "endless SYNs that are accepted"},
		{Name: "mux/yamux: inbound streams not accepted", Cap: DefaultAcceptBacklog,
			Attack: "SYN flood"},
		{Name: "mux/yamux: bytes delivered and not consumed, per stream", Cap: DefaultMaxWindow,
			Attack: "data beyond the window, lengths of 2^32-1"},
		{Name: "mux/yamux: bytes delivered and not consumed, per session", Cap: DefaultMaxHeld,
			Attack: "a full first window on every stream that may be open"},
		{Name: "mux/yamux: bytes by which windows grow in sum", Cap: DefaultWindowBudget,
			Attack: "many streams that each earn a wide window and then go unread"},
		{Name: "mux/yamux: bytes kept of an unfinished frame", Cap: HeaderSize,
			Attack: "frames whose body is held back"},
		{Name: "mux/yamux: events made by one frame", Cap: maxFrameEvents,
			Attack: "one read full of tiny frames"},
		{Name: "mux/yamux: queued answers to pings", Cap: DefaultPingBacklog,
			Attack: "ping flood with answers unread"},
		{Name: "mux/yamux: queued resets of the remote's streams", Cap: maxOwedResets,
			Attack: "SYN flood with refusals unread"},
		{Name: "mux/yamux: bytes accepted after CloseRead, per stream", Cap: maxDiscard,
			Attack: "endless data for a stream that nobody reads"},
		{Name: "mux/yamux: bytes of late data allowed for ended streams", Cap: maxLateBytes,
			Attack: "streams made to be reset, to pile up an allowance"},
		{Name: "mux/yamux: late control frames allowed for ended streams", Cap: maxLateFrames,
			Attack: "streams made to be reset, to pile up an allowance"},
		{Name: "mux/yamux: young streams reset at once", Cap: DefaultResetBurst,
			Attack: "SYN and RST storm (rapid reset)"},
		{Name: "mux/yamux: control frames without effect at once", Cap: DefaultControlBurst,
			Attack: "window update, ping and stray frame floods"},
	}
}

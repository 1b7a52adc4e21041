package yamux

import "time"

// counters only go up.
type counters struct {
	BytesIn, BytesOut     uint64 // on the wire, headers included
	Refused, PongsDropped uint64
	Code                  uint32
}

// Stats is a snapshot of a Session for inspection and stall detection.
type Stats struct {
	Inbound, Outbound int // open streams
	Unaccepted        int // inbound streams that wait for Accept
	Unacked           int // outbound streams that the remote has not acknowledged
	Held              int // bytes delivered and not consumed
	Grown             int // bytes of receive window beyond the protocol's
	ControlPending    int // control frames that wait for NextWrite
	DataPending       int // streams that have a body and window for it

	RTT       time.Duration
	PingSince time.Time // when the unanswered ping was queued; zero: none
	LastRecv  time.Time

	BytesIn, BytesOut uint64 // on the wire, headers included
	Refused           uint64 // streams refused by a cap
	PongsDropped      uint64 // pings not answered, because answers were not read
	EndCode           uint32 // the GoAway code that fits Err, once ended
}

// Stats returns a snapshot.
func (s *Session) Stats() Stats {
	st := Stats{
		Inbound:        s.inbound,
		Outbound:       len(s.streams) - s.inbound,
		Unaccepted:     s.unaccepted,
		Unacked:        s.unacked,
		Held:           s.held,
		Grown:          s.grown,
		ControlPending: s.controlPending(),
		DataPending:    s.dataq.len(),
		RTT:            s.rtt,
		LastRecv:       s.lastRecv,
		BytesIn:        s.stats.BytesIn,
		BytesOut:       s.stats.BytesOut,
		Refused:        s.stats.Refused,
		PongsDropped:   s.stats.PongsDropped,
		EndCode:        s.stats.Code,
	}
	if s.ping.queued || s.ping.sent {
		st.PingSince = s.ping.since
	}
	return st
}

// NumStreams is how many streams are open, of both ends.
func (s *Session) NumStreams() int { return len(s.streams) }

// StreamStats is a snapshot of one stream.
type StreamStats struct {
	ID           uint32
	Inbound      bool
	Established  bool // accepted by us, or acknowledged by the remote
	Opened       time.Time
	Held         int       // bytes delivered and not consumed
	Window       int       // receive window
	SendWindow   int       // what the remote takes now
	Pending      int       // rest of the body that waits to be sent
	BlockedSince time.Time // since when it waits for the remote's window; zero: it does not
	WriteClosed  bool
	ReadClosed   bool
	RemoteClosed bool
}

// Stream returns a snapshot of one stream, false if there is none.
func (s *Session) Stream(id uint32) (StreamStats, bool) {
	st := s.streams[id]
	if st == nil {
		return StreamStats{}, false
	}
	return StreamStats{
		ID:           id,
		Inbound:      st.inbound,
		Established:  st.accepted || st.acked,
		Opened:       st.opened,
		Held:         st.held,
		Window:       st.window,
		SendWindow:   int(st.sendWindow),
		Pending:      len(st.body) - st.sent,
		BlockedSince: st.blockedSince,
		WriteClosed:  st.writeClosed,
		ReadClosed:   st.readClosed,
		RemoteClosed: st.remoteClosed,
	}, true
}

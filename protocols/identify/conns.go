package identify

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/protocols/identify/message"
	"github.com/troupe-p2p/troupe/stream"
)

// conn is what is known of one connection.
type conn struct {
	info       *stream.Conn
	session    actors.Ref[messages.Session]
	identified bool
	pushes     bool   // the remote takes pushes
	sent       uint64 // the version of our message that it knows
	observed   string // where it sees us
}

// remote is what the connections with one peer share.
type remote struct {
	conns int
	pace  message.Pace
}

// inOrder lists the connections by number.
func (st *State) inOrder() []*conn {
	out := make([]*conn, 0, len(st.conns))
	for _, c := range st.conns { // order-free: sorted below
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *conn) int { return int(int64(a.info.ID) - int64(b.info.ID)) })
	return out
}

// version is that of our message as c's remote sees it.
func (st *State) version(c *conn) uint64 {
	return st.own.Load().views[viewerOf(c.info)].version
}

func (st *State) drop(c *conn) {
	delete(st.conns, c.info.ID)
	st.seen.remove(c.observed)
	r := st.remotes[c.info.Peer]
	if r.conns--; r.conns == 0 {
		delete(st.remotes, c.info.Peer)
	}
}

// connUp may say what is known already, after AnnounceConns.
func (a *service) connUp(_ actor.Context, m *messages.ConnUp) {
	st := a.st
	if st.conns[m.Conn.ID] != nil {
		return
	}
	c := &conn{info: m.Conn, session: m.Session}
	st.conns[m.Conn.ID] = c
	r := st.remotes[m.Conn.Peer]
	if r == nil {
		r = &remote{}
		st.remotes[m.Conn.Peer] = r
	}
	r.conns++
	// The remote asks for our message on its own, maybe before this turn: its stream does not wait
	// for us. It may know what we said before, and then gets a push.
	if st.renewed.Before(m.Conn.Since) {
		c.sent = st.version(c)
	}
	a.ask(c)
}

func (a *service) connDown(ctx actor.Context, id uint64) {
	c := a.st.conns[id]
	if c == nil {
		return
	}
	a.st.drop(c)
	a.showObserved(ctx)
	if _, ok := a.pushing[id]; ok {
		delete(a.pushing, id)
		a.pushMore()
	}
}

// ask opens a stream on which the remote says who it is. The answer comes from its reader.
func (a *service) ask(c *conn) {
	a.open(c, message.Protocol, readerHandler(a.self, false), func(err error) messages.Identify {
		return &failed{conn: c.info, err: err}
	})
}

// open opens a stream on c's own connection. A failure before there is a stream is told to the
// service.
func (a *service) open(c *conn, protocol string, h stream.Handler, failure func(error) messages.Identify) {
	self := a.self
	reply := actors.NewReply(c.session, func(_ *stream.Stream, err error) {
		if err != nil {
			_ = self.Control(failure(err))
		}
	})
	_ = c.session.Control(&messages.OpenStream{Protocols: []string{protocol}, Handler: h, Reply: reply})
}

// told is what a remote has said, checked by the core.
type told struct {
	messages.Identify
	conn *stream.Conn
	info message.Info
	push bool
}

// failed says why nothing was learnt on a connection.
type failed struct {
	messages.Identify
	conn *stream.Conn
	err  error
}

func (a *service) told(ctx actor.Context, m *told) {
	st, i := a.st, m.info
	_ = a.cfg.Book.Control(&messages.Identified{
		Peer: m.conn.Peer, Key: i.PublicKey, Addrs: i.ListenAddrs, Record: i.Record, Certified: i.Certified,
		Protocols: i.Protocols, Agent: i.AgentVersion, Version: i.ProtocolVersion, Partial: m.push,
	})
	c := st.conns[m.conn.ID]
	if c == nil {
		return // it was true while it lasted
	}
	c.identified = true
	if i.Protocols != nil || !m.push {
		c.pushes = slices.Contains(i.Protocols, message.PushProtocol)
		_ = st.peers.Control(&messages.PeerIdentified{
			Peer: m.conn.Peer, Conn: m.conn.ID, Agent: i.AgentVersion, Protocols: i.Protocols,
		})
	}
	if i.Observed != nil {
		st.seen.remove(c.observed)
		c.observed = st.seen.add(i.Observed)
		a.showObserved(ctx)
	}
	a.emit(messages.Event{
		Kind: messages.EventIdentified, At: actors.RuntimeOf(ctx).Now(), Peer: m.conn.Peer, Conn: m.conn,
		Protocols: slices.Clone(i.Protocols), // the user's: the node's own goes on being read
		Agent:     i.AgentVersion, Addrs: i.Addrs(),
	})
	if c.pushes && c.sent < st.version(c) && !a.push.IsSet() {
		a.push.After(a.cfg.PushAfter) // we have changed before we knew that it wants to know
	}
}

func (a *service) failed(ctx actor.Context, m *failed) {
	if a.st.conns[m.conn.ID] == nil {
		return // the end of the connection says more
	}
	a.emit(messages.Event{
		Kind: messages.EventIdentifyError, At: actors.RuntimeOf(ctx).Now(), Peer: m.conn.Peer, Conn: m.conn, Err: m.err,
	})
}

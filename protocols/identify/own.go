package identify

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/protocols/identify/message"
	"github.com/troupe-p2p/troupe/stream"

	ma "github.com/multiformats/go-multiaddr"
)

// viewer is who looks at this node: what is advertised depends on where the peer is, in these
// four steps. The first sees everything.
type viewer uint8

const (
	fromProcess viewer = iota
	fromMachine
	fromNetwork
	fromInternet
	viewers
)

// scopes stand for the viewers.
var scopes = [viewers]addrs.Scope{addrs.InProcess, addrs.Loopback, addrs.Private, addrs.Public}

func viewerOf(c *stream.Conn) viewer {
	switch addrs.ScopeOf(c.Remote) {
	case addrs.InProcess:
		return fromProcess
	case addrs.Loopback:
		return fromMachine
	case addrs.LinkLocal, addrs.Private, addrs.Reserved:
		return fromNetwork
	default:
		return fromInternet
	}
}

// own is what we say about ourselves. It is never changed, only replaced.
type own struct{ views [viewers]view }

// view is own for one kind of viewer.
type view struct {
	info    message.Info
	seq     uint64 // of the record
	version uint64 // grows with each change
}

// encode is our message for one connection.
func (st *State) encode(dst []byte, c *stream.Conn) []byte {
	info := st.own.Load().views[viewerOf(c)].info
	info.Observed = c.Remote
	// What does not fit is the end of a very long list; there is nobody to tell.
	dst, _ = message.Encode(dst, info)
	return dst
}

// first is what we say until the service has started: nothing about addresses.
func first(cfg Config) *own {
	o := &own{}
	for v := range o.views {
		o.views[v].info = cfg.info()
	}
	return o
}

// info is our message without addresses and protocols.
func (c Config) info() message.Info {
	return message.Info{PublicKey: c.Key.Public(), ProtocolVersion: c.ProtocolVersion, AgentVersion: c.Agent}
}

// changed makes our message anew after one of its sources has said something; interfaces says
// whether to ask for those too. Peers are told of what is different.
func (a *service) changed(ctx actor.Context, interfaces bool) {
	st := a.st
	if interfaces {
		a.refresh.Stop()
		if slices.ContainsFunc(st.listen, unspecified) {
			st.ifaces = a.cfg.Interfaces()
			a.refresh.After(a.cfg.RefreshEvery)
		}
	}
	now := actors.RuntimeOf(ctx).Now()
	old := st.own.Load()
	next, differs := a.look(old, now)
	if !differs {
		return
	}
	st.own.Store(next)
	st.renewed = actors.RuntimeOf(ctx).Now() // not now: until here the old one was given out
	if !a.push.IsSet() {
		a.push.After(a.cfg.PushAfter)
	}
	a.show(ctx)
	all := next.views[fromProcess].info.ListenAddrs
	if equal(all, old.views[fromProcess].info.ListenAddrs) {
		return
	}
	a.emit(messages.Event{Kind: messages.EventAddrs, At: now, Addrs: all})
	if a.cfg.OnAddrs != nil {
		a.cfg.OnAddrs(all)
	}
}

// show puts what we say on the actor's node of the tree.
func (a *service) show(ctx actor.Context) {
	actors.Publish(ctx, "addrs", join(a.st.own.Load().views[fromProcess].info.ListenAddrs))
	actors.Publish(ctx, "record", strconv.FormatUint(a.st.seq, 10))
}

// look makes the views, and says whether any differs from the old one.
func (a *service) look(old *own, now time.Time) (next *own, differs bool) {
	st := a.st
	announce := addrs.Announcement{
		Listen: st.listen, Interfaces: st.ifaces, Announce: a.cfg.Announce, NoAnnounce: a.cfg.NoAnnounce,
	}
	protocols := append(slices.Clone(st.ids), a.cfg.Extra...)
	slices.Sort(protocols)
	protocols = slices.Compact(protocols)
	// All records of one change have one number: they are one statement, fitted to its readers.
	// It rises across restarts of the program as long as the clock does.
	seq := max(uint64(max(now.UnixNano(), 0)), st.seq+1)
	next = &own{}
	for v := range next.views {
		was := old.views[v]
		is := view{a.cfg.info(), was.seq, was.version + 1}
		is.info.Protocols, is.info.ListenAddrs, is.info.Record = protocols, announce.Advertised(scopes[v]), was.info.Record
		d := message.Diff(was.info, is.info)
		if d.Empty() && is.seq != 0 {
			next.views[v] = was
			continue
		}
		differs = true
		if d.Addrs || is.seq == 0 {
			is.seq = seq
			is.info.Record = a.record(next.views[:v], is)
			st.seq = seq
		}
		next.views[v] = is
	}
	return next, differs
}

// record signs a view's addresses, unless another view of the same number has the same. A list
// too long for a record is cut at its end.
func (a *service) record(done []view, is view) []byte {
	list := is.info.ListenAddrs
	for _, v := range done {
		if v.seq == is.seq && equal(v.info.ListenAddrs, list) {
			return v.info.Record
		}
	}
	id, err := identity.IDFromKey(a.cfg.Key.Public())
	if err != nil {
		panic(err) // the node runs on this key
	}
	for n := min(len(list), identity.MaxRecordAddrs); ; n /= 2 {
		sealed, err := identity.PeerRecord{ID: id, Seq: is.seq, Addrs: list[:n]}.Seal(a.cfg.Key)
		if err == nil {
			return sealed
		}
		if n == 0 {
			panic(err)
		}
	}
}

func unspecified(x ma.Multiaddr) bool { return addrs.ScopeOf(x) == addrs.Unspecified }

func equal(a, b []ma.Multiaddr) bool {
	return slices.EqualFunc(a, b, func(x, y ma.Multiaddr) bool { return x.Equal(y) })
}

// join shows a list to people.
func join(list []ma.Multiaddr) string {
	text := make([]string, len(list))
	for i, x := range list {
		text[i] = x.String()
	}
	return strings.Join(text, " ")
}

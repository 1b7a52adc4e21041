package harness

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/troupe-p2p/troupe/bench/control"
)

// Implementations by the names of their programs.
const (
	ours   = "troupepeer"
	theirs = "gopeer"
	bare   = "barepeer"
)

// side is who meets whom.
type side struct{ client, server string }

var (
	us        = side{ours, ours}
	them      = side{theirs, theirs}
	weToThem  = side{ours, theirs}
	theyToUs  = side{theirs, ours}
	nobody    = side{bare, bare}
	byHand    = side{"parts", "parts"} // go-libp2p without its constructor, where only the size counts
	libraries = side{"libs", "libs"}   // what Troupe links, likewise
	mainSides = []side{us, them}
	allSides  = []side{us, them, weToThem, theyToUs}
)

var sideNames = map[side]string{
	us: "Troupe", them: "go-libp2p", weToThem: "Troupe to go-libp2p", theyToUs: "go-libp2p to Troupe", nobody: "bare limit",
	byHand: "go-libp2p's parts by hand", libraries: "Troupe's libraries alone",
}

func (s side) String() string { return sideNames[s] }

// pair is a client and a server that are connected.
type pair struct {
	env            *env
	client, server *proc
	peer           string // the server
	addr           string
}

// options of a pair.
type options struct {
	security string // noise, tls, or in place of TCP quic, ws, unix, webtransport or webrtc
	delayed  bool   // through the delaying proxy
	apart    bool   // the client does not connect
	blocking bool   // the server's handlers are goroutines
}

// connect starts two processes.
func (e *env) connect(ctx context.Context, s side, o options) (p *pair, err error) {
	if o.security == "" {
		o.security = "noise"
	}
	p = &pair{env: e}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	args := []string{"-security", o.security}
	if o.blocking {
		args = append(args, "-blocking")
	}
	p.server, err = start(e.binary(s.server), s.server+" (server)", append(args, "-listen", e.listen(o.security))...)
	if err != nil {
		return p, err
	}
	if len(p.server.ready.Addrs) == 0 {
		return p, fmt.Errorf("%s listens nowhere", s.server)
	}
	p.addr = p.server.ready.Addrs[0]
	if o.delayed {
		if p.addr, err = e.delay(ctx, p.addr); err != nil {
			return p, err
		}
	}
	if p.client, err = start(e.binary(s.client), s.client+" (client)", args...); err != nil {
		return p, err
	}
	if o.apart {
		return p, nil
	}
	r, err := p.client.do(ctx, control.Request{Cmd: control.Connect, Addr: p.addr})
	p.peer = r.Peer
	return p, err
}

// listen is where a server listens. Of Unix sockets there is one at a time.
func (e *env) listen(security string) string {
	switch security {
	case "quic":
		return "/ip4/127.0.0.1/udp/0/quic-v1"
	case "webtransport":
		return "/ip4/127.0.0.1/udp/0/quic-v1/webtransport"
	case "webrtc":
		return "/ip4/127.0.0.1/udp/0/webrtc-direct"
	case "ws":
		return "/ip4/127.0.0.1/tcp/0/ws"
	case "unix":
		return "/unix" + filepath.Join(e.bins, "socket")
	}
	return "/ip4/127.0.0.1/tcp/0"
}

func (p *pair) close() (err error) {
	for _, q := range []*proc{p.client, p.server} {
		if q != nil {
			err = errors.Join(err, q.stop())
		}
	}
	return err
}

// do runs a command of the client against the server.
func (p *pair) do(ctx context.Context, req control.Request) (control.Reply, error) {
	req.Peer, req.Addr = p.peer, p.addr
	return p.client.do(ctx, req)
}

// both returns what both processes use, in sum.
func (p *pair) both(ctx context.Context) (u control.Usage, err error) {
	for _, q := range []*proc{p.client, p.server} {
		r, err := q.do(ctx, control.Request{Cmd: control.Stats})
		if err != nil {
			return u, err
		}
		u.CPU += r.Usage.CPU
		u.Mallocs += r.Usage.Mallocs
	}
	return u, nil
}

// profile begins or ends to profile both, if that was asked for.
func (p *pair) profile(ctx context.Context, name string) error {
	if p.env.cfg.Profiles == "" {
		return nil
	}
	for _, q := range []struct {
		*proc
		role string
	}{{p.client, "client"}, {p.server, "server"}} {
		path, err := filepath.Abs(filepath.Join(p.env.cfg.Profiles, name+"."+q.role))
		if err != nil {
			return err
		}
		if _, err := q.do(ctx, control.Request{Cmd: control.Profile, Path: path}); err != nil {
			return err
		}
	}
	return nil
}

package script_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/identity"
	pb "github.com/troupe-p2p/troupe/messages/wire/identify"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/testkit/script"

	"google.golang.org/protobuf/proto"
)

const (
	pingID     = "/ipfs/ping/1.0.0"
	identifyID = "/ipfs/id/1.0.0"
)

func TestAnHonestHandshakeThenPing(t *testing.T) {
	for _, early := range []bool{true, false} {
		t.Run(fmt.Sprintf("early muxer %v", early), func(t *testing.T) {
			play(t, nil, func(t *testing.T, s *stage) {
				p := s.dial(script.Config{})
				n := script.Noise{Expect: s.node.ID()}
				if early {
					n.Muxers = []string{script.MuxerID}
				}
				if got := p.Upgrade("the node takes an honest peer", n); got != s.node.ID() {
					t.Fatalf("reached %s", got)
				}
				ping := p.Mux().Open()
				ping.Propose("every node answers pings", pingID)
				for i := range 3 {
					word := script.Bytes(strings.Repeat(fmt.Sprint(i), 32))
					ping.Send(word)
					ping.Want("a ping comes back as it is", word)
				}
				ping.WantIdle("and nothing else does", 0)
				ping.CloseWrite()
				if err := ping.WantEnd("our end is answered by its end"); err != io.EOF {
					t.Error(err)
				}
			})
		})
	}
}

func TestTheNodeLearnsWhatAPeerSaysOfItself(t *testing.T) {
	play(t, nil, func(t *testing.T, s *stage) {
		p := s.dial(script.Config{})
		k := key(t, 9)
		p.Upgrade("an honest peer is let in", script.Noise{Key: k, Muxers: []string{script.MuxerID}})
		m := p.Mux()
		ask := m.Accept("the node wants to know who this is")
		ask.Answer("by identify", identifyID)
		ask.Send(script.Delimited(&pb.Identify{AgentVersion: proto.String("mallory/1.0"), Protocols: []string{"/x"}}))
		ask.CloseWrite()

		tell := m.Open()
		tell.Propose("and tells who it is itself", identifyID)
		tell.Want("with its agent", script.MessageLike("an identify message of troupe", func(m *pb.Identify) error {
			if !strings.HasPrefix(m.GetAgentVersion(), "troupe/") {
				return fmt.Errorf("the agent is %q", m.GetAgentVersion())
			}
			return nil
		}))
		_ = tell.WantEnd("the message is all there is")
		known := func() (k troupe.KnownPeer) {
			done := s.call(func(ctx context.Context) (err error) { k, err = s.node.Peer(ctx, id(t, key(t, 9))); return err })
			if err := done("the peerstore answers"); err != nil {
				t.Fatal(err)
			}
			return k
		}
		for end := time.Now().Add(20 * time.Second); known().Agent != "mallory/1.0"; {
			if time.Now().After(end) {
				t.Fatalf("the node knows %+v\n%s", known(), p.Dialogue())
			}
		}
	})
}

func TestADiallerFindsOutThatAnotherPeerAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		noise func(wanted identity.PrivateKey) script.Noise
		want  error
	}{
		"somebody else who proves it":     {func(identity.PrivateKey) script.Noise { return script.Noise{} }, troupe.ErrIdentityMismatch},
		"somebody who claims to be it":    {func(k identity.PrivateKey) script.Noise { return script.Noise{Claim: k.Public()} }, noise.ErrIdentity},
		"somebody who speaks another one": {func(k identity.PrivateKey) script.Noise { return script.Noise{Key: k, Prologue: []byte("x")} }, noise.ErrHandshake},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(t *testing.T, s *stage) {
				wanted := key(t, 7)
				l := s.listen(script.Config{})
				outcome := s.call(func(ctx context.Context) error {
					_, err := s.node.Dial(ctx, id(t, wanted), l.Addr())
					return err
				})
				p := l.Accept("the node dials")
				p.Answer("it speaks noise", noise.ID)
				h := p.Noise(c.noise(wanted))
				h.Want("its ephemeral key comes first")
				h.Send()
				if err := p.WantEnd("it does not prove itself to a stranger"); err == nil {
					t.Error("no reason")
				}
				if err := outcome("the dial fails"); !errors.Is(err, c.want) {
					t.Errorf("it says %v", err)
				}
			})
		})
	}
}

func TestANodeThatDialsIsServed(t *testing.T) {
	play(t, nil, func(t *testing.T, s *stage) {
		k := key(t, 7)
		l := s.listen(script.Config{Name: "server"})
		s.node.AddAddrs(id(t, k), 0, l.Addr())
		outcome := s.call(func(ctx context.Context) error {
			b, err := s.node.Open(ctx, id(t, k), "/none", "/talk")
			if err != nil {
				return err
			}
			if _, err := b.Write([]byte("hello")); err != nil {
				return err
			}
			_ = b.CloseWrite()
			if got, err := io.ReadAll(b); string(got) != "goodbye" || err != nil {
				return fmt.Errorf("the answer is %q, %w", got, err)
			}
			return b.Close()
		})
		p := l.Accept("the node dials for its stream")
		p.Upgrade("it dials by the rules", script.Noise{Key: k})
		m := p.Mux()
		for served := false; !served; {
			st := m.Accept("it opens streams: identify, and the one that is meant")
			st.Want("each begins with the header", script.Header)
			if string(st.Peek("and a proposal", script.AnyMessage)) == string(script.Protocol(identifyID).Append(nil)) {
				st.Reset(0)
				continue
			}
			st.Want("its first choice", script.Protocol("/none"))
			st.Send(script.Header, script.Protocol("na"))
			st.Want("its second choice", script.Protocol("/talk"))
			st.Send(script.Protocol("/talk"))
			st.Want("its data", script.Bytes("hello"))
			st.Send(script.Bytes("goodbye"))
			if err := st.WantEnd("its end"); err != io.EOF {
				t.Error(err)
			}
			st.CloseWrite()
			served = true
		}
		if err := outcome("the node is served"); err != nil {
			t.Error(err)
		}
	})
}

// window is what every stream may send before it hears of more.
const window = 256 << 10

func TestTheFirstByteBeyondAWindowIsAnsweredByGoAway(t *testing.T) {
	play(t, nil, func(t *testing.T, s *stage) {
		s.handle("/deaf", func(st *troupe.Stream) { _, _ = st.Write(make([]byte, 1<<20)) }) // and never reads
		p := s.dial(script.Config{})
		p.Upgrade("an honest peer, so far", script.Noise{Muxers: []string{script.MuxerID}})
		hello := string(script.Protocol("/deaf").Append(script.Header.Append(nil)))
		p.Send(script.Data(1, yamux.FlagSYN, hello))
		p.Want("the node gives back what the negotiation took", script.Later(script.Window(1, yamux.FlagACK, uint32(len(hello)))))
		p.Want("and knows the protocol", script.Later(script.Data(1, 0, hello)))
		p.Send(script.Data(1, 0, strings.Repeat("x", window)))
		s.d.RunUntil(func() bool { return p.Ended() != nil }, time.Second)
		if p.Ended() != nil {
			t.Fatalf("a full window is no violation\n%s", p.Dialogue())
		}
		p.Send(script.Data(1, 0, "x"))
		p.Want("a byte more is", script.Later(script.GoAway(yamux.GoAwayProtocolError)))
		if err := p.WantEnd("and the connection closes"); err != io.EOF {
			t.Error(err)
		}
	})
}

func TestAWindowViolationIsAnsweredByGoAway(t *testing.T) {
	for name, frames := range map[string][]script.Item{
		"a length that no window has":   {script.Window(1, yamux.FlagSYN, 0), script.Frame{Type: yamux.TypeData, ID: 1, Length: 1<<32 - 1}},
		"one byte over, with the SYN":   {script.Frame{Type: yamux.TypeData, Flags: yamux.FlagSYN, ID: 1, Length: window + 1}},
		"credit that cannot be counted": {script.Window(1, yamux.FlagSYN, 1), script.Window(1, 0, 1<<32-1)},
		"a stream that is zero":         {script.Data(0, yamux.FlagSYN, "x")},
		"a stream of the node's":        {script.Window(2, yamux.FlagSYN, 0)},
		"an unknown version":            {script.Bytes("\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(t *testing.T, s *stage) {
				p := s.dial(script.Config{})
				p.Upgrade("an honest peer, so far", script.Noise{Muxers: []string{script.MuxerID}})
				p.Want("the node measures the round trip", script.Later(script.Ping(yamux.FlagSYN, 1)))
				p.Send(frames...)
				p.Want("a violation ends the session, and is named", script.Later(script.GoAway(yamux.GoAwayProtocolError)))
				if err := p.WantEnd("after which there is nothing to say, and the connection closes"); err != io.EOF {
					t.Error(err)
				}
			})
		})
	}
}

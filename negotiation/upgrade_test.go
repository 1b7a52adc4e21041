package negotiation_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	stdtls "crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation/multistream"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

func TestBothSidesAgreeAndTheChannelIsHandedOver(t *testing.T) {
	for _, c := range []struct {
		name     string
		security string
		edit     func(*upgrade.Config)
		early    bool
	}{
		{"noise", noise.ID, func(*upgrade.Config) {}, true},
		{"noise, muxer inside", noise.ID, lateMuxer, false},
		{"tls", upgrade.TLS, func(*upgrade.Config) {}, true},
		{"tls, muxer inside", upgrade.TLS, lateMuxer, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rt := run(t)
			d := newDoor(t, rt, newPerson(t, c.edit), 0)
			me, out := newPerson(t, only(c.security), c.edit), newProbe(t, rt, "dialler")
			dial(t, rt, me, d.addr, d.id, out)
			ours := want[*messages.Upgraded](t, out, "the dialler is through").Link
			theirs := want[*messages.Arrived](t, d.peers, "the gate passes the link on").Link
			defer ours.Close()
			defer theirs.Close()
			if ours.Peer != d.id || theirs.Peer != me.id {
				t.Errorf("the ends are %v and %v", ours.Peer, theirs.Peer)
			}
			if s := theirs.Secured; s.Security != c.security || s.Muxer != upgrade.DefaultMuxer || s.Early != c.early {
				t.Errorf("agreed on %s, %s, early: %v", s.Security, s.Muxer, s.Early)
			}
			until(t, "the upgrade's actor gone", func() bool { return d.children() == 0 })
			talk(t, ours, theirs)
		})
	}
}

func TestSomebodyElseAnswers(t *testing.T) {
	for _, security := range []string{noise.ID, upgrade.TLS} {
		t.Run(security, func(t *testing.T) {
			rt := run(t)
			d := newDoor(t, rt, newPerson(t), 0)
			other, out := newPerson(t), newProbe(t, rt, "dialler")
			dial(t, rt, newPerson(t, only(security)), d.addr, other.id, out)
			err := want[*messages.UpgradeFailed](t, out, "the dialler refuses").Err
			var mismatch *identity.MismatchError
			if !errors.As(err, &mismatch) || mismatch.Expected != other.id || mismatch.Actual != d.id {
				t.Errorf("the dialler says %v", err)
			}
			coded(t, "the listener sees the dialler go", d.event(t, messages.EventUpgradeError, "").Err, upgrade.Remote)
			until(t, "the gate empty", func() bool { return d.children() == 0 })
		})
	}
}

func TestANodeDoesNotConnectToItself(t *testing.T) {
	rt := run(t)
	me := newPerson(t)
	d, out := newDoor(t, rt, me, 0), newProbe(t, rt, "dialler")
	dial(t, rt, me, d.addr, "", out)
	if err := want[*messages.UpgradeFailed](t, out, "it is we").Err; !errors.Is(err, upgrade.ErrSelf) {
		t.Error(err)
	}
}

// TestACorruptedHandshakeIsRefused flips one bit of each chunk that the listener sends.
func TestACorruptedHandshakeIsRefused(t *testing.T) {
	rt := run(t)
	d := newDoor(t, rt, newPerson(t), 0)
	out := newProbe(t, rt, "dialler")
	c, err := connect(rt, d.addr)
	if err != nil {
		t.Fatal(err)
	}
	knock(t, rt, newPerson(t, only(noise.ID)), flipping{c}, d.id, out)
	e := coded(t, "the message does not verify", want[*messages.UpgradeFailed](t, out, "refused").Err, upgrade.Remote)
	if e.Layer != upgrade.LayerNoise {
		t.Errorf("in layer %s: %v", e.Layer, e)
	}
}

// flipping damages the last byte of everything longer than a negotiation message.
type flipping struct{ conduit.Raw }

func (f flipping) Bind(s conduit.Sink, credits int) { f.Raw.Bind(flippingSink{s}, credits) }

type flippingSink struct{ conduit.Sink }

func (s flippingSink) Offer(b *buf.Buf) {
	if len(b.B) > 64 {
		b.B[len(b.B)-1] ^= 1
	}
	s.Sink.Offer(b)
}

func TestSilenceIsClosedByTheDeadline(t *testing.T) {
	rt := run(t)
	d := newDoor(t, rt, newPerson(t, within(150*time.Millisecond)), 0)
	c, err := net.Dial("tcp", d.host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("the remote sees %v, want an orderly end", err)
	}
	err = d.event(t, messages.EventUpgradeError, "").Err
	coded(t, "it took too long", err, upgrade.Limit)
	if !errors.Is(err, upgrade.ErrTimeout) {
		t.Error(err)
	}
}

func TestDrippingDoesNotMoveTheDeadline(t *testing.T) {
	const limit = 300 * time.Millisecond
	rt := run(t)
	d := newDoor(t, rt, newPerson(t, within(limit)), 0)
	c, err := net.Dial("tcp", d.host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	start := time.Now()
	tick := time.NewTicker(limit / 10) // 1 B/s against a deadline of 10 s
	defer tick.Stop()
	drops := 0
	for _, b := range []byte("\x13/multistream/1.0.0\n" + strings.Repeat("\x07/noise\n", 100)) {
		if _, err := c.Write([]byte{b}); err != nil {
			break
		}
		drops++
		<-tick.C
	}
	if took := time.Since(start); took < limit || took > limit+patience/2 {
		t.Errorf("closed after %v and %d bytes, the deadline is %v", took, drops, limit)
	}
	if err := d.event(t, messages.EventUpgradeError, "").Err; !errors.Is(err, upgrade.ErrTimeout) {
		t.Error(err)
	}
}

func TestEndlessProposalsAreAnsweredAndEnded(t *testing.T) {
	rt := run(t)
	d := newDoor(t, rt, newPerson(t), 0)
	c, err := net.Dial("tcp", d.host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	say := func(text string) error {
		_, err := c.Write(append([]byte{byte(len(text) + 1)}, text+"\n"...))
		return err
	}
	if err := say(multistream.ID); err != nil {
		t.Fatal(err)
	}
	refusals := 0
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			break // closed
		}
		if strings.HasSuffix(line, "na\n") {
			refusals++
		}
		if say("/nothing/of/the/kind") != nil {
			break
		}
	}
	if refusals < 10 {
		t.Errorf("%d refusals came through", refusals)
	}
	err = d.event(t, messages.EventUpgradeError, "").Err
	coded(t, "that is enough", err, upgrade.Limit)
	if !errors.Is(err, multistream.ErrTooManyProposals) {
		t.Error(err)
	}
}

// TestARefusalComesBeforeTheEnd: who has nothing in common with us learns so, and need not guess
// why we hung up.
func TestARefusalComesBeforeTheEnd(t *testing.T) {
	rt := run(t)
	d := newDoor(t, rt, newPerson(t, only(upgrade.TLS)), 0)
	out := newProbe(t, rt, "dialler")
	dial(t, rt, newPerson(t, only(noise.ID)), d.addr, "", out)
	if err := want[*messages.UpgradeFailed](t, out, "nothing in common").Err; !errors.Is(err, multistream.ErrNotSupported) {
		t.Error(err)
	}
}

func TestAnAlertComesBeforeTheEnd(t *testing.T) {
	rt := run(t)
	d := newDoor(t, rt, newPerson(t, only(upgrade.TLS)), 0)
	c, err := net.Dial("tcp", d.host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 20+12)); err != nil {
		t.Fatal(err)
	}
	conn := stdtls.Client(c, &stdtls.Config{
		InsecureSkipVerify: true, NextProtos: []string{"libp2p"}, Certificates: []stdtls.Certificate{stranger(t)}, //nolint:gosec // the client is the liar here
	})
	_, err = conn.Read(make([]byte, 1))
	if err == nil || !strings.Contains(err.Error(), "remote error: tls: bad certificate") {
		t.Errorf("the client sees %v, want the alert", err)
	}
	e := coded(t, "no identity", d.event(t, messages.EventUpgradeError, "").Err, upgrade.Remote)
	if e.Layer != upgrade.LayerTLS {
		t.Error(e)
	}
}

// stranger is a certificate that proves no libp2p identity.
func stranger(t *testing.T) stdtls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return stdtls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestBytesOfNoProtocolAreRefusedAtOnce(t *testing.T) {
	rt := run(t)
	d := newDoor(t, rt, newPerson(t), 0)
	for name, bytes := range map[string]string{
		"http":  "GET / HTTP/1.1\r\nHost: 127.0.0.1:4001\r\nUser-Agent: somebody\r\nAccept: */*\r\n\r\n",
		"tls":   "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("r", 200),
		"zeros": strings.Repeat("\x00", 64), "long": "\x81\x09" + strings.Repeat("x", 1200), "endless varint": strings.Repeat("\xff", 64),
	} {
		c, err := net.Dial("tcp", d.host)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, bytes); err != nil {
			t.Error(err)
		}
		_, _ = io.Copy(io.Discard, c) // ends long before the deadline of 15 s, or the test's patience is at an end
		if e := d.event(t, messages.EventUpgradeError, name).Err; errors.Is(e, upgrade.ErrTimeout) || errors.Is(e, upgrade.ErrEnded) {
			t.Errorf("%s: %v", name, e)
		}
		_ = c.Close()
	}
}

// TestAHandshakeInTLSIsGivenUpWithItsUpgrade: crypto/tls blocks in a task, which must not stay.
func TestAHandshakeInTLSIsGivenUpWithItsUpgrade(t *testing.T) {
	rt := run(t)
	d := newDoor(t, rt, newPerson(t, within(150*time.Millisecond)), 0)
	c, err := net.Dial("tcp", d.host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, "\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Error(err)
	}
	coded(t, "the deadline holds inside of TLS too", d.event(t, messages.EventUpgradeError, "").Err, upgrade.Limit)
	until(t, "the task gone", func() bool { return len(rt.Tree("").Strays) == 0 && d.children() == 0 })
}

// TestTheRemoteGoesAtEveryStep resets the connection after each number of bytes of a dialler.
func TestTheRemoteGoesAtEveryStep(t *testing.T) {
	for _, security := range []string{noise.ID, upgrade.TLS} {
		t.Run(security, func(t *testing.T) {
			rt := run(t)
			d := newDoor(t, rt, newPerson(t), 0)
			me := newPerson(t, only(security))
			for cut := 0; ; cut += 37 {
				c, err := connect(rt, d.addr)
				if err != nil {
					t.Fatal(err)
				}
				out := newProbe(t, rt, "")
				knock(t, rt, me, &cutOff{Raw: c, left: cut}, identity.ID(""), out)
				select {
				case m := <-out.got:
					if up, ok := m.(*messages.Upgraded); ok {
						up.Link.Close()
						if cut == 0 {
							t.Fatal("nothing was cut off")
						}
						return // all of it came through
					}
				case <-time.After(patience):
					t.Fatalf("cut off after %d bytes: the dialler hangs", cut)
				}
			}
		})
	}
}

// cutOff closes after so many bytes were written.
type cutOff struct {
	conduit.Raw
	left int
}

func (c *cutOff) TryWrite(p []byte) (int, error) {
	n, err := c.Raw.TryWrite(p[:min(len(p), c.left)])
	if c.left -= n; c.left == 0 {
		_ = c.Close()
		return n, io.ErrClosedPipe
	}
	return n, err
}

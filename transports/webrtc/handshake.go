package webrtc

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/transports/conduit"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
	"github.com/pion/sctp"
)

// mtu is of SCTP packets, so that they fit with DTLS, UDP and IP into 1280 bytes: pion/webrtc's.
const mtu = 1191

// farewell is how long a connection that is closed at once waits for the remote to be through with the
// handshake.
const farewell = 250 * time.Millisecond

// noiseChannel is the data channel that both ends know without negotiation.
const noiseChannel = 0

// party is what a handshake needs to know of its two ends.
type party struct {
	ends   conduit.Endpoints
	cert   tls.Certificate
	want   []fingerprint // of the remote; a listener takes every one
	expect identity.ID
	probe  func() // sends a check; nil for a listener, which is never asked to
}

// quiet keeps pion's words out of the process's log: what matters comes back as an error.
func quiet() logging.LoggerFactory {
	return &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}
}

// accept secures what arrived at a listener.
func (t *Transport) accept(ctx context.Context, p *path, l *listener) (*conn, error) {
	remote, err := fromNet(p.addr())
	if err != nil {
		_ = p.Close()
		return nil, err
	}
	return t.secure(ctx, p, party{
		ends: conduit.Endpoints{Local: without(l.addr), Remote: remote, Direction: conduit.Inbound, Transport: name},
		cert: t.cert,
	})
}

// secure makes a connection of a path: DTLS, SCTP over it, Noise on a channel of that. It owns the path.
func (t *Transport) secure(ctx context.Context, p *path, who party) (*conn, error) {
	// owned: by nobody, as it only closes.
	stop := context.AfterFunc(ctx, func() { _ = p.Close() })
	c, err := t.layers(ctx, p, who)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		return c, nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if c != nil {
		c.giveUp(err)
	} else {
		_ = p.Close()
	}
	return nil, err
}

func (t *Transport) layers(ctx context.Context, p *path, who party) (*conn, error) {
	d, theirs, err := t.dtls(ctx, p, who)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: d}
	assoc, err := sctp.ClientContext(ctx,
		sctp.WithNetConn(w),
		sctp.WithLoggerFactory(quiet()),
		sctp.WithMTU(mtu),
		sctp.WithMaxMessageSize(maxFrame),
		sctp.WithMaxReceiveBufferSize(uint32(t.cfg.ReceiveBuffer)),
		sctp.WithMaxReassemblyQueueEntries(maxEntries),
		sctp.WithEnableZeroChecksum(true),
	)
	if err != nil {
		_ = d.Close()
		return nil, fmt.Errorf("SCTP: %w", err)
	}
	c := t.conn(p, d, w, assoc, who)
	ours := fingerprintOf(who.cert.Certificate[0])
	a, b := ours, theirs
	if who.ends.Direction == conduit.Inbound {
		a, b = theirs, ours
	}
	found, err := c.authenticate(noise.Config{
		Initiator: who.ends.Direction == conduit.Inbound, // webrtc-direct.md: "B starts a Noise XX handshake"
		Static:    t.static,
		Rand:      rand.Reader,
		Expect:    who.expect,
		Prologue:  prologue(a, b),
	})
	if err != nil {
		return c, err
	}
	c.begin(found)
	return c, nil
}

// dtls runs the DTLS handshake and returns the remote's fingerprint.
func (t *Transport) dtls(ctx context.Context, p *path, who party) (*dtls.Conn, fingerprint, error) {
	var theirs fingerprint
	shared := []dtls.Option{
		dtls.WithCertificates(who.cert),
		// No media is ever sent. But pion/webrtc ends a connection for which no profile is agreed.
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithInsecureSkipVerify(true), // certificates are signed by themselves; see below
		dtls.WithLoggerFactory(quiet()),
		dtls.WithMTU(mtu),
		dtls.WithVerifyPeerCertificate(func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) == 0 {
				return errNoCertificate
			}
			theirs = fingerprintOf(raw[0])
			if len(who.want) > 0 && !slices.Contains(who.want, theirs) {
				return ErrFingerprint
			}
			return nil
		}),
	}
	if t.cfg.KeyLog != nil {
		shared = append(shared, dtls.WithKeyLogWriter(t.cfg.KeyLog))
	}
	var d *dtls.Conn
	var err error
	to := net.UDPAddrFromAddrPort(p.addr())
	if who.ends.Direction == conduit.Inbound {
		opts := []dtls.ServerOption{dtls.WithClientAuth(dtls.RequireAnyClientCert)}
		for _, o := range shared {
			opts = append(opts, o)
		}
		d, err = dtls.ServerWithOptions(p, to, opts...)
	} else {
		var opts []dtls.ClientOption
		for _, o := range shared {
			opts = append(opts, o)
		}
		d, err = dtls.ClientWithOptions(p, to, opts...)
	}
	if err != nil {
		return nil, theirs, fmt.Errorf("DTLS: %w", err)
	}
	if err := d.HandshakeContext(ctx); err != nil {
		_ = d.Close()
		return nil, theirs, fmt.Errorf("DTLS: %w", err)
	}
	return d, theirs, nil
}

var (
	errNoCertificate = errors.New("it shows no certificate")
	errNoiseChannel  = errors.New("the channel of the Noise handshake was closed")
)

// authenticate runs the Noise handshake on its channel. It reads nothing that is not part of it.
func (c *conn) authenticate(cfg noise.Config) (*noise.Result, error) {
	st, err := c.assoc.OpenStream(noiseChannel, sctp.PayloadTypeWebRTCBinary)
	if err != nil {
		return nil, fmt.Errorf("SCTP: %w", err)
	}
	st.OnBufferedAmountLow(func() { c.taken.of() })
	h, err := noise.New(cfg)
	if err != nil {
		return nil, err
	}
	window := uint64(firstWindow)
	if c.t.mute {
		window = 0
	}
	var part []byte // less than a frame, and a message of the channel
	p := make([]byte, maxFrame)
	for {
		for out := h.AppendOutput(nil); len(out) > 0; {
			n := min(len(out), maxPayload/2)
			m := appendFrame(nil, frame{data: out[:n], window: window})
			c.taken.not()
			if _, err := st.WriteSCTP(m, sctp.PayloadTypeWebRTCBinary); err != nil {
				return nil, fmt.Errorf("SCTP: %w", err)
			}
			out = out[n:]
		}
		if found, ok := h.Done(); ok {
			// Who has sent the last message leaves the channel open: js-libp2p loses what it has not read of
			// one that is closed, and uses the number again, for a stream.
			if c.ends.Direction == conduit.Outbound {
				_ = st.Close()
			}
			return found, nil
		}
		n, ppi, err := st.ReadSCTP(p)
		if err != nil {
			return nil, c.noiseBroken(err)
		}
		if !carries(ppi) {
			continue
		}
		part = append(part, p[:n]...)
		for {
			f, size, err := nextFrame(part)
			if err != nil {
				return nil, err
			}
			if size == 0 {
				break
			}
			if f.flag == flagReset || f.flag == flagFin {
				return nil, errNoiseChannel
			}
			if f.window > 0 && !c.t.mute {
				c.window = f.window
			}
			used, err := h.HandleBytes(f.data)
			if err != nil {
				return nil, err
			}
			if used < len(f.data) {
				return nil, fmt.Errorf("%w: bytes behind the Noise handshake", ErrProtocol)
			}
			part = part[size:]
		}
	}
}

// noiseBroken is what a failed read says of the remote.
func (c *conn) noiseBroken(err error) error {
	c.mu.Lock()
	why := c.why
	c.mu.Unlock()
	if why != nil && !why.remote { // it was we who ended it
		return why.err
	}
	if text, ok := c.wire.reason(); ok {
		code, reason := abortReason(text)
		return &CodeError{Transport: name, Code: code, Remote: true, Op: "connection closed", Reason: reason}
	}
	if errors.Is(err, io.EOF) {
		return errNoiseChannel
	}
	return err
}

// carries says that a message of a channel has frames in it. RFC 8831, section 8: strings carry bytes
// too, and messages without any are of a type of their own.
func carries(ppi sctp.PayloadProtocolIdentifier) bool {
	return ppi == sctp.PayloadTypeWebRTCBinary || ppi == sctp.PayloadTypeWebRTCString
}

// wire is the DTLS connection under SCTP. It looks at what comes for the reason of an ABORT, which pion
// does not hand on, and for signs of life.
type wire struct {
	net.Conn
	heard func()

	mu      sync.Mutex
	text    string
	aborted bool
	err     error // of the last read
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.mu.Lock()
		w.err = err
		w.mu.Unlock()
		return n, err
	}
	w.mu.Lock()
	if text, ok := aborted(p[:n]); ok {
		w.text, w.aborted = text, true
	}
	heard := w.heard
	w.mu.Unlock()
	if heard != nil {
		heard()
	}
	return n, nil
}

// Close implements net.Conn for SCTP, which closes right behind its ABORT. DTLS at the other end drops what
// it has not handed on when it hears of its own end, so that comes from the connection, a little later.
func (w *wire) Close() error { return w.SetReadDeadline(time.Unix(1, 0)) } // long ago: nobody reads on

func (w *wire) reason() (text string, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text, w.aborted
}

func (w *wire) listen(heard func()) {
	w.mu.Lock()
	w.heard = heard
	w.mu.Unlock()
}

func (w *wire) broken() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err != nil
}

// taken tells when the remote has all of the Noise handshake. Who sends its last message is done before
// the other is: a close right behind it would overtake it, and the remote would never see a connection.
type taken struct {
	mu   sync.Mutex
	done chan struct{} // nil: nothing was sent
}

func (t *taken) not() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done = make(chan struct{})
}

func (t *taken) of() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done != nil {
		close(t.done)
		t.done = nil
	}
}

// wait gives it the time that is left of a close.
func (t *taken) wait() {
	t.mu.Lock()
	done := t.done
	t.mu.Unlock()
	if done == nil {
		return
	}
	timer := time.NewTimer(farewell)
	defer timer.Stop()
	select { // order-free: it makes no difference once both have come
	case <-done:
	case <-timer.C:
	}
}

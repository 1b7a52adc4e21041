package noise

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	fnoise "github.com/flynn/noise"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/clean"
)

// next cuts the next message out of p, or out of what came before and p.
func (h *Handshake) next(p []byte) (msg []byte, n int, err error) {
	if len(h.part) == 0 && len(p) >= lengthSize {
		end, err := messageEnd(p)
		if err != nil {
			return nil, 0, err
		}
		if len(p) >= end {
			return p[lengthSize:end], end, nil
		}
	}
	for {
		want := lengthSize
		if len(h.part) >= lengthSize {
			if want, err = messageEnd(h.part); err != nil {
				return nil, n, err
			}
			if len(h.part) == want {
				msg, h.part = h.part[lengthSize:], nil
				return msg, n, nil
			}
		}
		k := min(want-len(h.part), len(p)-n)
		h.part = append(h.part, p[n:n+k]...)
		n += k
		if len(h.part) < want {
			return nil, n, nil
		}
	}
}

func messageEnd(p []byte) (int, error) {
	size := int(binary.BigEndian.Uint16(p))
	if size > MaxHandshakeMessage {
		return 0, fmt.Errorf("%w: handshake message of %d bytes, at most %d are taken", ErrLimit, size, MaxHandshakeMessage)
	}
	if size < keySize {
		return 0, fmt.Errorf("%w: message of %d bytes", ErrHandshake, size)
	}
	return lengthSize + size, nil
}

// handle reads a message and writes the one that answers it.
func (h *Handshake) handle(msg []byte) error {
	first := !h.cfg.Initiator && h.state.MessageIndex() == 0
	payload, cs1, cs2, err := h.state.ReadMessage(nil, msg)
	if err != nil {
		return fmt.Errorf("%w: message %d: %w", ErrHandshake, h.state.MessageIndex()+1, err)
	}
	// What an initiator may have put into its first message is nobody's secret and no proof.
	if first {
		_, _, err := h.writeOwn()
		return err
	}
	if h.proven, err = readPayload(payload, h.state.PeerStatic()); err != nil {
		return err
	}
	if want := h.cfg.Expect; want != "" && want != h.proven.peer {
		return &identity.MismatchError{Expected: want, Actual: h.proven.peer}
	}
	muxer, err := h.chooseMuxer()
	if err != nil {
		return err
	}
	// Noise, 5.2: the first key of Split is for what the initiator sends.
	send, receive := cs2, cs1
	if h.cfg.Initiator {
		if send, receive, err = h.writeOwn(); err != nil {
			return err
		}
	}
	return h.finish(muxer, send, receive)
}

// chooseMuxer takes the first of the initiator's list that both support. inlined-muxer-negotiation.md:
// "If there is no overlap [...] the handshake MUST fail". A side that names none does not take part,
// as rust-libp2p; the muxer is then negotiated inside the channel.
func (h *Handshake) chooseMuxer() (string, error) {
	first, second := h.cfg.Muxers, h.proven.muxers
	if len(first) == 0 || len(second) == 0 {
		return "", nil
	}
	if !h.cfg.Initiator {
		first, second = second, first
	}
	for _, m := range first {
		if slices.Contains(second, m) {
			return m, nil
		}
	}
	return "", fmt.Errorf("%w: remote names %s", ErrNoCommonMuxer, clean.Text(fmt.Sprintf("%q", h.proven.muxers), clean.MaxError))
}

func (h *Handshake) writeOwn() (cs1, cs2 *fnoise.CipherState, err error) {
	payload, err := appendExtensions(slices.Clone(h.cfg.Static.payload), h.cfg.Muxers, h.cfg.CertHashes)
	if err != nil {
		return nil, nil, err
	}
	return h.write(payload)
}

func (h *Handshake) write(payload []byte) (cs1, cs2 *fnoise.CipherState, err error) {
	start := len(h.out)
	out, cs1, cs2, err := h.state.WriteMessage(append(h.out, 0, 0), payload)
	if errors.Is(err, ErrLocal) {
		return nil, nil, err
	}
	if err != nil {
		// The remote's low-order point shows here too, when we multiply with it.
		return nil, nil, fmt.Errorf("%w: answering message %d: %w", ErrHandshake, h.state.MessageIndex(), err)
	}
	size := len(out) - start - lengthSize
	if size > MaxHandshakeMessage {
		return nil, nil, fmt.Errorf("%w: handshake message of %d bytes", ErrLocal, size)
	}
	binary.BigEndian.PutUint16(out[start:], uint16(size))
	h.out = out
	return cs1, cs2, nil
}

func (h *Handshake) finish(muxer string, send, receive *fnoise.CipherState) error {
	open, err := newHalf(receive.UnsafeKey())
	if err != nil {
		return err
	}
	seal, err := newHalf(send.UnsafeKey())
	if err != nil {
		return err
	}
	h.result = &Result{
		Peer: h.proven.peer, PublicKey: h.proven.key,
		Muxer: muxer, Early: muxer != "", CertHashes: h.proven.certHashes,
		Open: &Opener{half: open}, Seal: &Sealer{half: seal, frame: h.cfg.Frame},
	}
	return nil
}

package noise

import "github.com/troupe-p2p/troupe/internal/bound"

// Bounds lists what a remote can fill here.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "negotiation/noise: bytes of a handshake message under way", Cap: lengthSize + MaxHandshakeMessage, Attack: "half-open connections that each announce a large message"},
		{Name: "negotiation/noise: muxer names of a payload", Cap: MaxMuxers, Attack: "a payload that is all names"},
		{Name: "negotiation/noise: certificate hashes of a payload", Cap: MaxMuxers, Attack: "a payload that is all hashes"},
		{Name: "negotiation/noise: bytes of a frame under way", Cap: lengthSize + MaxPlaintext + tagSize, Attack: "a frame that never ends"},
		{Name: "negotiation/noise: frames without data in a row", Cap: MaxEmptyFrames, Attack: "frames that only cost us time"},
	}
}

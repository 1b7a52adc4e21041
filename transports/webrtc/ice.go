package webrtc

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/pion/stun/v4"
)

// ICE with one address on each side: the server is ICE-lite (RFC 8445, section 2.5) and only answers,
// the client checks the one address that it was given.

const (
	// The prefix of the server's ufrag tells the version. In v1 the client has munged its own ufrag and
	// password, which are the server's; in v2 it keeps its own, and its password follows the prefix.
	prefixV1 = "libp2p+webrtc+v1/"
	prefixV2 = "libp2p+webrtc+v2/"

	// RFC 8839, section 5.4.
	minUfrag, minPwd, maxICE = 4, 22, 256

	randomICE = 32 // characters: 190 bits

	attrPriority     = stun.AttrPriority
	attrUseCandidate = stun.AttrUseCandidate
	attrControlling  = stun.AttrICEControlling
	attrControlled   = stun.AttrICEControlled
	hostPriority     = 126<<24 | 65535<<8 | 255 // RFC 8445, section 5.1.2, of a host's only address
	maxSTUN          = 1280
)

var (
	errNotForUs = errors.New("a STUN message that is none of this protocol")
	errVersion  = errors.New("a version of WebRTC-direct that is not known")
)

// credentials are what a client makes up for a connection.
type credentials struct {
	server       string // the server's ufrag, and password
	client, pass string // the client's
}

// newCredentials makes those of a version.
func newCredentials(version int) credentials {
	if version == 2 {
		c := credentials{client: iceText(randomICE), pass: iceText(randomICE)}
		c.server = prefixV2 + c.pass
		return c
	}
	u := prefixV1 + iceText(randomICE)
	return credentials{server: u, client: u, pass: u}
}

func iceText(n int) string {
	const chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = chars[b[i]%byte(len(chars))] // 64 of 256: even
	}
	return string(b)
}

func isICE(s string, least int) bool {
	if len(s) < least || len(s) > maxICE {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '+' && c != '/' {
			return false
		}
	}
	return true
}

// username takes a client's USERNAME apart. The server's ufrag in it is its password too in both versions.
func username(u string) (credentials, error) {
	server, client, ok := strings.Cut(u, ":")
	c := credentials{server: server, client: client, pass: client}
	switch {
	case !ok || !isICE(server, minUfrag) || !isICE(client, minUfrag):
		return credentials{}, errNotForUs
	case strings.HasPrefix(server, prefixV1):
		if server != client {
			return credentials{}, errNotForUs
		}
	case strings.HasPrefix(server, prefixV2):
		c.pass = strings.TrimPrefix(server, prefixV2)
		if !isICE(c.pass, minPwd) {
			return credentials{}, errNotForUs
		}
	default:
		return credentials{}, errVersion
	}
	return c, nil
}

// isSTUN, isDTLS: RFC 7983, section 7.
func isSTUN(p []byte) bool { return len(p) <= maxSTUN && stun.IsMessage(p) && p[0] < 4 }
func isDTLS(p []byte) bool { return len(p) > 0 && p[0] >= 20 && p[0] <= 63 }

// isHello says that a datagram begins with a ClientHello: a record of type 22 in epoch 0, whose
// handshake message is of type 1.
func isHello(p []byte) bool {
	const record = 13
	return len(p) > record && p[0] == 22 && p[1] == 0xfe && p[3] == 0 && p[4] == 0 && p[record] == 1
}

// check is a valid connectivity check of a client.
type check struct {
	who      credentials
	ufrag    string
	nominate bool
	answer   []byte
}

// answerCheck answers a check at the server. Nothing is kept for it: the USERNAME says what its
// password is.
func answerCheck(p []byte, from netip.AddrPort) (check, error) {
	m, u, err := request(p)
	if err != nil {
		return check{}, err
	}
	who, err := username(u)
	if err != nil {
		return check{}, err
	}
	out, err := respond(m, who.server, from)
	return check{who: who, ufrag: who.server, nominate: m.Contains(attrUseCandidate), answer: out}, err
}

// triggered is a check of the client by the server, whose answer nobody waits for. ICE-lite would not send
// it; but pion, as a client, nominates the path when it comes, and else waits 200 ms.
func (c credentials) triggered() ([]byte, error) {
	m, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.NewUsername(c.client+":"+c.server))
	if err != nil {
		return nil, err
	}
	m.Add(attrPriority, binary.BigEndian.AppendUint32(nil, hostPriority))
	m.Add(attrControlled, make([]byte, 8))
	for _, s := range []stun.Setter{stun.NewShortTermIntegrity(c.pass), stun.Fingerprint} {
		if err := s.AddTo(m); err != nil {
			return nil, err
		}
	}
	return m.Raw, nil
}

// answerPeer answers a check of a server that is not ICE-lite.
func (c credentials) answerPeer(p []byte, from netip.AddrPort) ([]byte, error) {
	m, u, err := request(p)
	if err != nil {
		return nil, err
	}
	if u != c.client+":"+c.server {
		return nil, errNotForUs
	}
	return respond(m, c.pass, from)
}

// request decodes a Binding request.
func request(p []byte) (*stun.Message, string, error) {
	m := &stun.Message{}
	if err := stun.Decode(p, m); err != nil {
		return nil, "", err
	}
	var u stun.Username
	if m.Type != stun.BindingRequest || u.GetFrom(m) != nil {
		return nil, "", errNotForUs
	}
	return m, u.String(), nil
}

func respond(m *stun.Message, password string, to netip.AddrPort) ([]byte, error) {
	key := stun.NewShortTermIntegrity(password)
	if err := key.Check(m); err != nil {
		return nil, err
	}
	out, err := stun.Build(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
		&stun.XORMappedAddress{IP: net.IP(to.Addr().AsSlice()), Port: int(to.Port())}, key, stun.Fingerprint)
	if err != nil {
		return nil, err
	}
	return out.Raw, nil
}

// checkMessage is a check of the client.
func (c credentials) checkMessage(id [stun.TransactionIDSize]byte, tie uint64) ([]byte, error) {
	m, err := stun.Build(stun.NewTransactionIDSetter(id), stun.BindingRequest, stun.NewUsername(c.server+":"+c.client))
	if err != nil {
		return nil, err
	}
	m.Add(attrPriority, binary.BigEndian.AppendUint32(nil, hostPriority))
	m.Add(attrControlling, binary.BigEndian.AppendUint64(nil, tie))
	m.Add(attrUseCandidate, nil)
	for _, s := range []stun.Setter{stun.NewShortTermIntegrity(c.server), stun.Fingerprint} {
		if err := s.AddTo(m); err != nil {
			return nil, err
		}
	}
	return m.Raw, nil
}

// answers says that p is the server's answer to the check with this ID.
func (c credentials) answers(p []byte, id [stun.TransactionIDSize]byte) bool {
	m := &stun.Message{}
	return stun.Decode(p, m) == nil && m.Type == stun.BindingSuccess && m.TransactionID == id &&
		stun.NewShortTermIntegrity(c.server).Check(m) == nil
}

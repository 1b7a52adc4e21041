// Package addrs answers questions about multiaddrs: what they are, whom they can be told to, how
// they are taken apart. All functions are pure; none resolves a name or looks at an interface.
//
//	/ip4/203.0.113.7   /tcp/4001   /p2p/12D3...           scope, IP, thin waist: the first two
//	host               transport   peer                   limits: the host's prefix
//
//	/ip4/.../tcp/4001/p2p/R   /p2p-circuit   /p2p/12D3...  relayed: everything is said of the relay,
//	relay                     marker         peer          up to the marker
//
// Addresses come in by two doors: Parse for bytes of a stranger, ParseString for text of a user.
// What came through either may be printed, stored and compared. A nil multiaddr is no address, and
// every question about it has the answer no.
package addrs

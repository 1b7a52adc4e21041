// Package dnsaddr resolves the names in multiaddrs.
//
//	/dns/NAME/...   A and AAAA records  -> /ip4/... and /ip6/...
//	/dns4/NAME/...  A records           -> /ip4/...
//	/dns6/NAME/...  AAAA records        -> /ip6/...
//	/dnsaddr/NAME[/...suffix]  TXT records "dnsaddr=MULTIADDR" of _dnsaddr.NAME that end in suffix
//
// A round resolves the first name of each address, several at a time, and what still holds a name
// goes into the next round: a dnsaddr may lead to other names, at most MaxDepth deep. The
// answers are a stranger's: whoever answers for a name may list thousands of addresses or names
// that lead in circles. So rounds, look-ups, results, the time of one look-up and of all are
// bounded, no name is asked twice, and a result that package rawaddr would not take from a peer
// is dropped.
//
// A look-up that does not return when its time is over is left behind in its pump; the answer does
// not wait for it.
package dnsaddr

// Package unix carries Raw conduits over Unix sockets, between the programs of one machine.
//
//	/unix/run/app/node.sock   listens there, or dials who does
//	/unix/run/app             listens, if that is a directory, on a new name in it
//
// The data path is that of TCP, in transports/internal/sockets: readiness first, no buffer while
// nothing comes, one non-blocking write on the caller's goroutine.
//
// Who may connect is a matter of the socket file and its directory. Config.Mode is the file's; it is
// set on Linux before anybody can connect, elsewhere right after. Whoever may write to the directory
// can put another socket in its place, so that should be nobody else: the handshake finds that out,
// as it finds out everything that is not the peer that was wanted.
//
// A listener removes its socket file when it is closed, unless another one has taken its place. One
// that is left over from a program that was killed is removed by the next listener on that path; one
// that still answers is not, and neither is a file that is no socket. Listeners of several processes
// take turns in a directory with flock, where there is that.
//
// The end that dials has no name of its own. Both of its addresses are the listener's path.
//
// A path may have as many bytes as the system takes, 107 on Linux and 103 on macOS. In a multiaddr
// everything behind /unix is the path, a peer too; addrs.SplitPeer takes it off.
package unix

//go:build unix && !solaris && !aix

package unix

import (
	"io/fs"
	"syscall"
)

// premode sets the mode that the file of a socket will have. Linux looks at it when the socket is
// bound; others do not mind.
func premode(fd uintptr, mode fs.FileMode) { _ = syscall.Fchmod(int(fd), uint32(mode.Perm())) }

// flock takes the lock of an open directory, which is free again when that is closed.
func flock(fd uintptr) bool { return syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) == nil }

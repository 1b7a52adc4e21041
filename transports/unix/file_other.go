//go:build !unix || solaris || aix

package unix

import "io/fs"

func premode(uintptr, fs.FileMode) {}

func flock(uintptr) bool { return true }

//go:build !unix

package drive

import "errors"

func process() (cpu float64, rss uint64, err error) {
	return 0, 0, errors.New("the CPU time of a process is not known on this system")
}

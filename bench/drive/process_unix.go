//go:build unix

package drive

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// process tells the CPU seconds of this process and, on Linux, its resident memory.
func process() (cpu float64, rss uint64, err error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, 0, err
	}
	cpu = float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return cpu, 0, nil // not Linux
	}
	for line := range bytes.Lines(status) {
		var kb uint64
		if n, _ := fmt.Sscanf(string(line), "VmRSS: %d kB", &kb); n == 1 {
			return cpu, kb << 10, nil
		}
	}
	return cpu, 0, nil
}

package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// machine is where and when the benchmark ran, and how busy it was with other work.
type machine struct {
	cpu, kernel, commit, began, libp2p string
	load                               [2]string // before and after
	took                               time.Duration
	since                              time.Time
}

func look(ctx context.Context, cfg Config) *machine {
	now := time.Now()
	m := &machine{since: now, began: now.UTC().Format("2006-01-02 15:04 UTC"), cpu: runtime.GOARCH}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				m.cpu = strings.Trim(name, " \t:\n")
				break
			}
		}
	}
	m.kernel = said(ctx, cfg.Dir, "uname", "-sr")
	m.commit = said(ctx, cfg.Dir, "git", "rev-parse", "--short", "HEAD")
	if m.commit == "" {
		m.commit = "unknown"
	}
	// Only what the programs are made of: other files may be in the making.
	if said(ctx, cfg.Dir, "git", "status", "--porcelain", "--untracked-files=no") != "" {
		m.commit += ", with changes"
	}
	m.libp2p = said(ctx, cfg.Dir, "go", "list", "-m", "-f", "{{.Version}}", "github.com/libp2p/go-libp2p")
	m.load[0] = loadAverage()
	return m
}

func (m *machine) ends() {
	m.load[1] = loadAverage()
	m.took = time.Since(m.since)
}

func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(b), " ")
	return one
}

// said is what a command prints; nothing if it fails.
func said(ctx context.Context, dir, name string, args ...string) string {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func (m *machine) String() string {
	return fmt.Sprintf("%s, commit %s, %s, %d cores (%s), %s, go-libp2p %s. Took %s; load average %s before and %s after.\n",
		m.began, m.commit, runtime.Version(), runtime.NumCPU(), m.cpu, m.kernel, m.libp2p, m.took.Round(time.Second),
		m.load[0], m.load[1])
}

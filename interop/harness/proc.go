package harness

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

const (
	// startTimeout covers a cold start beside a busy test suite.
	startTimeout = 30 * time.Second
	// stopTimeout is what a program gets to end by itself before it is killed.
	stopTimeout = 15 * time.Second
	// stderrKept bounds what is remembered of a child's log for the failure report.
	stderrKept = 64 << 10
)

// Proc is one child process. Lines of its stdout go to a callback, on one goroutine.
type Proc struct {
	Name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	write sync.Mutex

	logMu sync.Mutex
	log   bytes.Buffer

	exited  chan struct{} // closed when the process is gone and its stdout is read to the end
	exitErr error         // valid after exited

	expectErr bool // the test has killed it or expects a failing exit
}

// start runs path. The child's own cleanup is registered on tb: stdin is closed, and who does
// not end by that is killed and reported.
func start(tb testing.TB, name, path string, args, env []string, line func([]byte)) *Proc {
	tb.Helper()
	p := &Proc{Name: name, cmd: exec.Command(path, args...), exited: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("start %s: %v", name, err)
	}
	var readers sync.WaitGroup
	readers.Go(func() {
		r := bufio.NewReader(stdout)
		for {
			b, err := r.ReadBytes('\n')
			if len(bytes.TrimSpace(b)) > 0 {
				line(bytes.TrimSpace(b))
			}
			if err != nil {
				return
			}
		}
	})
	readers.Go(func() { _, _ = io.Copy(logWriter{p}, stderr) })
	go func() {
		readers.Wait()
		p.exitErr = p.cmd.Wait()
		close(p.exited)
	}()
	tb.Cleanup(func() { p.finish(tb) })
	return p
}

func (p *Proc) finish(tb testing.TB) {
	_ = p.stdin.Close()
	if !p.wait(stopTimeout) {
		_ = p.cmd.Process.Kill()
		<-p.exited
		tb.Errorf("%s did not end within %v of the end of its input and was killed", p.Name, stopTimeout)
	} else if p.exitErr != nil && !p.expectErr {
		tb.Errorf("%s ended badly: %v", p.Name, p.exitErr)
	}
	if tb.Failed() {
		p.logMu.Lock()
		defer p.logMu.Unlock()
		if p.log.Len() > 0 {
			tb.Logf("--- log of %s\n%s", p.Name, p.log.Bytes())
		}
	}
}

func (p *Proc) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.exited:
		return true
	case <-t.C:
		return false
	}
}

// PID is the process ID of the child.
func (p *Proc) PID() int { return p.cmd.Process.Pid }

// Alive says whether the process still runs.
func (p *Proc) Alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// send writes one line to the child.
func (p *Proc) send(b []byte) error {
	p.write.Lock()
	defer p.write.Unlock()
	if _, err := p.stdin.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("%s takes no more commands: %w", p.Name, errors.Join(err, p.death()))
	}
	return nil
}

// death explains an exit, if there was one.
func (p *Proc) death() error {
	if p.Alive() {
		return nil
	}
	if p.exitErr == nil {
		return errors.New("it has exited")
	}
	return p.exitErr
}

type logWriter struct{ p *Proc }

func (w logWriter) Write(b []byte) (int, error) {
	w.p.logMu.Lock()
	defer w.p.logMu.Unlock()
	if excess := w.p.log.Len() + len(b) - stderrKept; excess > 0 {
		w.p.log.Next(excess)
	}
	w.p.log.Write(b[max(0, len(b)-stderrKept):])
	return len(b), nil
}

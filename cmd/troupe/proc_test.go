package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// soon bounds what takes milliseconds on an idle machine.
	soon = 20 * time.Second
	// promised is what the contract gives a node to stop.
	promised = 10 * time.Second
)

// proc is the program, run as its users run it.
type proc struct {
	cmd    *exec.Cmd
	lines  chan string // of stdout, closed at its end
	stderr *buffer
	ended  chan struct{}
	err    error // after ended
}

// buffer is what a program has said so far.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs the program in a home of its own. It is killed when the test ends before it does.
func start(t *testing.T, home string, args ...string) *proc {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	p := &proc{cmd: exec.Command(path, args...), lines: make(chan string, 1<<14), stderr: &buffer{}, ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "AppData="+home, tokenVar+"=")
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.read(out)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("troupe %s: %v\nstderr: %s", strings.Join(args, " "), p.err, p.stderr)
		}
	})
	return p
}

func (p *proc) read(out io.Reader) {
	in := bufio.NewScanner(out)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		p.lines <- in.Text()
	}
	close(p.lines)
	p.err = p.cmd.Wait()
	close(p.ended)
}

// next is the next line of stdout.
func (p *proc) next(t *testing.T, why string) string {
	t.Helper()
	l, ok := p.line(t, why)
	if !ok {
		t.Fatalf("%s: stdout has ended", why)
	}
	return l
}

func (p *proc) line(t *testing.T, why string) (string, bool) {
	t.Helper()
	select {
	case l, ok := <-p.lines:
		return l, ok
	case <-time.After(soon):
		t.Fatalf("%s: nothing on stdout for %v", why, soon)
		return "", false
	}
}

// event is a line of JSON.
type event map[string]any

func (e event) str(key string) string { s, _ := e[key].(string); return s }

func parse(t *testing.T, line string) event {
	t.Helper()
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		t.Fatalf("not JSON: %q", line)
	}
	return e
}

// want reads on until an event of that name.
func (p *proc) want(t *testing.T, why, name string) event {
	t.Helper()
	for {
		if e := parse(t, p.next(t, why)); e.str("event") == name {
			return e
		}
	}
}

// end waits for the process and returns its exit code and what was left on stdout.
func (p *proc) end(t *testing.T, within time.Duration) (code int, rest []string) {
	t.Helper()
	limit := time.After(within)
	for {
		select {
		case l, ok := <-p.lines:
			if ok {
				rest = append(rest, l)
				continue
			}
			<-p.ended
			var exit *exec.ExitError
			if errors.As(p.err, &exit) {
				return exit.ExitCode(), rest
			}
			if p.err != nil {
				t.Fatal(p.err)
			}
			return 0, rest
		case <-limit:
			t.Fatalf("the program did not end within %v", within)
		}
	}
}

// finish runs the program to its end.
func finish(t *testing.T, home string, args ...string) (code int, stdout []string, stderr string) {
	t.Helper()
	p := start(t, home, args...)
	code, stdout = p.end(t, soon)
	return code, stdout, p.stderr.String()
}

// upProc is a running node.
type upProc struct {
	*proc
	ready         string // the line
	id, addr, url string
}

// bringUp starts a node on loopback.
func bringUp(t *testing.T, args ...string) *upProc {
	t.Helper()
	args = append([]string{"up", "--json", "--ephemeral", "--listen", "/ip4/127.0.0.1/tcp/0", "--inspect", "127.0.0.1:0"}, args...)
	return upWith(t, t.TempDir(), args...)
}

func upWith(t *testing.T, home string, args ...string) *upProc {
	t.Helper()
	n := &upProc{proc: start(t, home, args...)}
	n.ready = n.next(t, "the node comes up")
	var l readyLine
	if err := json.Unmarshal([]byte(n.ready), &l); err != nil || l.Event != "ready" || len(l.Addrs) == 0 {
		t.Fatalf("the first line is %q", n.ready)
	}
	n.id, n.addr, n.url = l.Peer, l.Addrs[0], l.Inspect
	return n
}

// stop sends a signal and checks the end that it is promised to have.
func (n *upProc) stop(t *testing.T, sig os.Signal) (stragglers []any) {
	t.Helper()
	if err := n.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	code, rest := n.end(t, promised)
	if code != exitDone || len(rest) == 0 {
		t.Fatalf("after %v: exit %d, last lines %q", sig, code, rest)
	}
	t.Logf("stopped %v after %v", time.Since(began).Round(time.Millisecond), sig)
	last := parse(t, rest[len(rest)-1])
	stragglers, ok := last["stragglers"].([]any)
	if !ok || last.str("event") != "stopped" || len(last) != 2 {
		t.Fatalf("the last line is %q", rest[len(rest)-1])
	}
	return stragglers
}

// eventually asks again until it is so.
func eventually(t *testing.T, why string, is func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(soon)
	err := errors.New("not asked")
	for err != nil {
		if err = is(); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: %v", why, fmt.Errorf("after %v: %w", soon, err))
		}
	}
}

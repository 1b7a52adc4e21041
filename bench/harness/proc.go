package harness

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/bench/control"
)

// proc is one peer program.
type proc struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ready control.Reply

	mu      sync.Mutex
	next    int
	waiting map[int]chan control.Reply
	ended   chan struct{} // closed at the end of its stdout
}

// startTimeout covers a cold start on a busy machine.
const startTimeout = 30 * time.Second

func start(path, name string, args ...string) (*proc, error) {
	p := &proc{name: name, cmd: exec.Command(path, args...), waiting: map[int]chan control.Reply{}, ended: make(chan struct{})}
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	ready := p.expect(0)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.read(out)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if p.ready, err = p.wait(ctx, 0, ready); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

func (p *proc) read(out io.Reader) {
	in := bufio.NewScanner(out)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var r control.Reply
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			break
		}
		p.mu.Lock()
		c := p.waiting[r.ID]
		delete(p.waiting, r.ID)
		p.mu.Unlock()
		if c != nil {
			c <- r
		}
	}
	close(p.ended)
}

func (p *proc) expect(id int) chan control.Reply {
	c := make(chan control.Reply, 1)
	p.mu.Lock()
	p.waiting[id] = c
	p.mu.Unlock()
	return c
}

func (p *proc) wait(ctx context.Context, id int, c chan control.Reply) (control.Reply, error) {
	select {
	case r := <-c:
		if r.Event == "error" {
			return r, fmt.Errorf("%s: %s", p.name, r.Error)
		}
		return r, nil
	case <-p.ended:
		return control.Reply{}, fmt.Errorf("%s has ended", p.name)
	case <-ctx.Done():
		return control.Reply{}, fmt.Errorf("%s: no answer to command %d: %w", p.name, id, ctx.Err())
	}
}

// do runs one command.
func (p *proc) do(ctx context.Context, req control.Request) (control.Reply, error) {
	p.mu.Lock()
	p.next++
	req.ID = p.next
	p.mu.Unlock()
	c := p.expect(req.ID)
	b, err := json.Marshal(req)
	if err != nil {
		return control.Reply{}, err
	}
	if _, err := p.stdin.Write(append(b, '\n')); err != nil {
		return control.Reply{}, fmt.Errorf("%s takes no more commands: %w", p.name, err)
	}
	r, err := p.wait(ctx, req.ID, c)
	if err != nil {
		return r, fmt.Errorf("%s: %w", req.Cmd, err)
	}
	return r, nil
}

// stopTimeout is what a program gets to end by itself.
const stopTimeout = 5 * time.Second

func (p *proc) stop() error {
	_ = p.stdin.Close()
	kill := time.AfterFunc(stopTimeout, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	<-p.ended
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%s ended badly: %w", p.name, err)
	}
	return nil
}

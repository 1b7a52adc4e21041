package harness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/troupe-p2p/troupe/interop/contract"
	"github.com/troupe-p2p/troupe/interop/contract/matrix"
)

const (
	// contractSeconds is what a peer is told that it has.
	contractSeconds = 60
	// contractGrace is what it gets above that before it is killed.
	contractGrace = 15 * time.Second
)

// ListenIP is what listeners are told to listen on: everything, as in the official suites, where
// there is an address that another machine could reach.
func ListenIP(tb testing.TB) string {
	tb.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		tb.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return "0.0.0.0"
		}
	}
	return "127.0.0.1"
}

// ContractEnv is the environment of one peer in one cell.
func ContractEnv(d contract.Dialect, c matrix.Cell, dialer bool, ip, redis string) []string {
	role := fmt.Sprint(dialer)
	limit := fmt.Sprint(contractSeconds)
	if d == contract.UnifiedTesting {
		key := sha256.Sum256([]byte(c.String()))
		env := []string{
			"DEBUG=false", "IS_DIALER=" + role, "REDIS_ADDR=" + redis, "TEST_KEY=" + hex.EncodeToString(key[:4]),
			"TRANSPORT=" + c.Transport, "LISTENER_IP=" + ip, "TEST_TIMEOUT_SECS=" + limit,
		}
		if c.Security != "" {
			env = append(env, "SECURE_CHANNEL="+c.Security, "MUXER="+c.Muxer)
		}
		return env
	}
	env := []string{
		"transport=" + c.Transport, "is_dialer=" + role, "ip=" + ip, "redis_addr=" + redis, "test_timeout_seconds=" + limit,
	}
	if c.Security != "" {
		env = append(env, "security="+c.Security, "muxer="+c.Muxer)
	}
	return env
}

// Play is one run of a peer's program.
type Play struct {
	cmd            *exec.Cmd
	cancel         context.CancelFunc
	stdout, stderr bytes.Buffer // to be read after done
	done           chan struct{}
	err            error // valid after done: of its exit
}

// StartPlay runs a peer with that environment and next to nothing of ours.
func StartPlay(tb testing.TB, kind string, env []string) *Play {
	tb.Helper()
	var path string
	var args []string
	switch kind {
	case matrix.Troupe:
		path = binary(tb, "contract/troupeping")
	case matrix.Go:
		path = binary(tb, "contract/goping")
		// The peer of test-plans itself, which is no module that the go command can build from here,
		// can take the place of ours. It knows no plaintext.
		if own := os.Getenv("INTEROP_GO_PING"); own != "" && strings.HasPrefix(env[0], "transport=") &&
			!strings.Contains(strings.Join(env, " "), "plaintext") {
			path = own
		}
	case matrix.JS:
		var err error
		if path, err = nodeJS(); err != nil {
			tb.Fatal(err)
		}
		dir, err := moduleDir()
		if err != nil {
			tb.Fatal(err)
		}
		args = []string{dir + "/jspeer/contract.js"}
	default:
		tb.Fatalf("unknown peer %q", kind)
	}
	ctx, cancel := context.WithTimeout(context.Background(), contractSeconds*time.Second+contractGrace)
	p := &Play{cmd: exec.CommandContext(ctx, path, args...), cancel: cancel, done: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + tb.TempDir()}, env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if err := p.cmd.Start(); err != nil {
		cancel()
		tb.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	tb.Cleanup(p.kill)
	return p
}

func (p *Play) kill() {
	p.cancel()
	<-p.done
}

// End waits for the peer's own end.
func (p *Play) End() (stdout, stderr string, err error) {
	<-p.done
	return p.stdout.String(), p.stderr.String(), p.err
}

// Meet lets a pair meet in a cell, by a Redis of their own.
func Meet(tb testing.TB, d contract.Dialect, c matrix.Cell, pair matrix.Pair) (contract.Result, error) {
	tb.Helper()
	redis := miniredis.RunT(tb)
	ip := ListenIP(tb)
	listener := StartPlay(tb, pair.Listener, ContractEnv(d, c, false, ip, redis.Addr()))
	defer listener.kill()
	dialer := StartPlay(tb, pair.Dialer, ContractEnv(d, c, true, ip, redis.Addr()))
	defer dialer.kill()
	select {
	case <-dialer.done:
	case <-listener.done: // nobody will come
		dialer.kill()
		return contract.Result{}, fmt.Errorf("%s, who listens, has ended: %w: %s", pair.Listener, listener.err,
			last(listener.stderr.String()))
	}
	stdout, stderr, err := dialer.End()
	if err != nil {
		return contract.Result{}, fmt.Errorf("%s, who dials, by %s: %w: %s", pair.Dialer, d, err, last(stderr))
	}
	select {
	case <-listener.done:
		err = errors.New("the listener ended before it was told to: " + last(listener.stderr.String()))
	default:
	}
	result, bad := contract.ParseResult(d, stdout)
	return result, errors.Join(err, bad)
}

// last is the last line of a log: by the contract it is the reason.
func last(log string) string {
	log = strings.TrimSpace(log)
	return strings.TrimSpace(log[strings.LastIndexByte(log, '\n')+1:])
}

package interop_test

import (
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/interop/contract"
	"github.com/troupe-p2p/troupe/interop/contract/matrix"
	"github.com/troupe-p2p/troupe/interop/harness"
)

var dialects = []contract.Dialect{contract.TestPlans, contract.UnifiedTesting}

// TestSmokeContractGo and TestSmokeContractJS meet a foreign peer over every transport that both
// have, once in every direction and by either suite.
func TestSmokeContractGo(t *testing.T) { contractSmoke(t, matrix.Go) }
func TestSmokeContractJS(t *testing.T) { contractSmoke(t, matrix.JS) }

func contractSmoke(t *testing.T, foreign string) {
	seen := map[string]bool{}
	for _, c := range matrix.Cells() {
		pairs := []matrix.Pair{{Dialer: matrix.Troupe, Listener: foreign}, {Dialer: foreign, Listener: matrix.Troupe}}
		if seen[c.Transport] || len(matrix.Lacking(c, pairs[0])) > 0 {
			continue
		}
		seen[c.Transport] = true
		for i, pair := range pairs {
			cell := c
			if c.Security != "" {
				cell.Security = []string{"noise", "tls"}[i]
			}
			t.Run(cell.String()+", "+pair.String(), func(t *testing.T) {
				t.Parallel()
				meetBoth(t, cell, pair)
			})
		}
	}
	if len(seen) == 0 {
		t.Fatal("no transport in common")
	}
}

// meetBoth is a meeting by the words of both suites.
func meetBoth(t *testing.T, c matrix.Cell, p matrix.Pair) matrix.Outcome {
	t.Helper()
	for _, d := range dialects {
		if _, err := harness.Meet(t, d, c, p); err != nil {
			t.Errorf("%s by %s: %v", p, d, err)
			return matrix.Outcome{Why: err.Error()}
		}
	}
	return matrix.Outcome{Met: true}
}

// TestFullContract is the whole matrix. It is written down when all tests are over.
func TestFullContract(t *testing.T) {
	began := time.Now()
	page := matrix.Page{
		Date: began, Versions: versions(t), IP: harness.ListenIP(t), Outcomes: map[matrix.Cell]map[matrix.Pair]matrix.Outcome{},
	}
	var mu sync.Mutex
	t.Run("cell", func(t *testing.T) {
		for _, c := range matrix.Cells() {
			outcomes := map[matrix.Pair]matrix.Outcome{}
			page.Outcomes[c] = outcomes
			for _, p := range matrix.Pairs() {
				if len(matrix.Lacking(c, p)) > 0 {
					continue
				}
				t.Run(c.String()+", "+p.String(), func(t *testing.T) {
					t.Parallel()
					o := meetBoth(t, c, p)
					mu.Lock()
					defer mu.Unlock()
					outcomes[p] = o
				})
			}
		}
	})
	page.Took = time.Since(began)
	t.Log("\n" + page.Render())
	written.contract(page)
}

// written is the page that a run writes to the file that INTEROP_MATRIX names: TestFullContract makes it, and
// TestFullBrowser has a part in it.
var written record

type record struct {
	mu       sync.Mutex
	page     *matrix.Page
	browsers []matrix.Browser
}

func (r *record) contract(p matrix.Page) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.page = &p
}

func (r *record) browser(b matrix.Browser) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.browsers = append(r.browsers, b)
}

// write is called behind the last test. A run without the contract's matrix writes nothing.
func (r *record) write(path string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if path == "" || r.page == nil {
		return nil
	}
	r.page.Browsers = r.browsers
	return os.WriteFile(path, []byte(r.page.Render()), 0o644)
}

// versions says what the peers are made of.
func versions(t *testing.T) []string {
	t.Helper()
	out := []string{"T: this tree"}
	how := "`contract/goping`"
	if os.Getenv("INTEROP_GO_PING") != "" {
		how = "by test-plans its own `test-plans/cmd/ping`, else " + how
	}
	out = append(out, "G: go-libp2p "+harness.GoLibp2pVersion(t)+", "+how)
	return append(out, "J: js-libp2p "+harness.JSVersion(t, "libp2p")+" on Node "+harness.NodeVersion(t)+
		", QUIC by @chainsafe/libp2p-quic "+harness.JSVersion(t, "@chainsafe/libp2p-quic")+", a QUIC in Rust: `jspeer/contract.js`")
}

// TestSmokeContractRefusesGo and TestSmokeContractRefusesJS hold the peers to what they are said not
// to have, and to a clear word about it, and about all else that cannot be.
func TestSmokeContractRefusesGo(t *testing.T) {
	contractRefuses(t, matrix.Troupe)
	contractRefuses(t, matrix.Go)
}
func TestSmokeContractRefusesJS(t *testing.T) { contractRefuses(t, matrix.JS) }

func contractRefuses(t *testing.T, kind string) {
	nowhere := "127.0.0.1:1" // where no Redis is
	plain := matrix.Cell{Transport: "tcp", Security: "noise", Muxer: "yamux"}
	refuses := func(name string, env []string, words ...string) {
		t.Run(kind+", "+name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, err := harness.StartPlay(t, kind, env).End()
			if err == nil || stdout != "" {
				t.Errorf("ended with %v and said %q", err, stdout)
			}
			for _, w := range words {
				if !strings.Contains(stderr, w) {
					t.Errorf("says %q, without %q", stderr, w)
				}
			}
		})
	}
	lacks := slices.DeleteFunc(slices.Clone(matrix.Lacks), func(l matrix.Lack) bool { return l.Peer != kind })
	for i, l := range lacks {
		c := plain
		if slices.Contains(contract.Muxers, l.Word) {
			c.Muxer = l.Word
		} else {
			c = matrix.Cell{Transport: l.Word}
		}
		refuses("has no "+l.Word, harness.ContractEnv(dialects[i%2], c, true, "127.0.0.1", nowhere), l.Word, " has ")
	}
	for i, wrong := range []struct {
		matrix.Cell
		word string
	}{
		{matrix.Cell{Transport: "pigeon"}, "pigeon"},
		{matrix.Cell{Transport: "tcp", Security: "rot13", Muxer: "yamux"}, "rot13"},
		{matrix.Cell{Transport: "tcp", Security: "noise", Muxer: "spdy"}, "spdy"},
	} {
		refuses(wrong.Cell.String(), harness.ContractEnv(dialects[i%2], wrong.Cell, true, "127.0.0.1", nowhere), wrong.word)
	}
	for _, d := range dialects {
		env := harness.ContractEnv(d, plain, true, "127.0.0.1", nowhere)
		for i, v := range env {
			if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(strings.ToLower(name), "test_timeout") {
				env[i] = name + "=1"
			}
		}
		refuses("no Redis, "+d.String(), env, "within 1")
	}
}

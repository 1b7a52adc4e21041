package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// fake is a node that stands still.
type fake struct {
	tree  actors.Tree
	conns []*stream.Conn
	err   error
	enter chan struct{} // if set, Tree says here that it was called,
	leave chan struct{} // and waits here
	dumps int           // looks with stacks
}

const fakeID = "12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust"

func (f *fake) ID() identity.ID {
	id, err := identity.Decode(fakeID)
	if err != nil {
		panic(err)
	}
	return id
}

func (f *fake) ListenAddrs() []ma.Multiaddr { return []ma.Multiaddr{addr("/ip4/127.0.0.1/tcp/4001")} }

func (f *fake) Tree() actors.Tree {
	if f.enter != nil {
		f.enter <- struct{}{}
		<-f.leave
	}
	return f.tree
}

func (f *fake) TreeWithStacks() actors.Tree {
	f.dumps++
	return f.Tree()
}

func (f *fake) Conns(context.Context) ([]*stream.Conn, error) { return f.conns, f.err }

func addr(s string) ma.Multiaddr {
	a, err := ma.NewMultiaddr(s)
	if err != nil {
		panic(err)
	}
	return a
}

// fullNode has something in every field of a page.
func fullNode() *fake {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	failure := &actors.PanicError{Path: "node-1/a/b", Value: errors.New("a <bug>"), Message: "*x.Data", At: at, Stack: []byte("goroutine 7\n")}
	return &fake{
		tree: actors.Tree{
			At: at.Add(time.Minute), Pumps: 3,
			Roots: []actors.Node{{
				Path: "node-1", Name: "node-1", Kind: "node", Phase: "alive", Age: 90*time.Second + 1500*time.Nanosecond,
				Info: []actors.KeyValue{{Key: "peer", Value: "12D3"}},
				Children: []actors.Node{
					{
						Path: "node-1/a", Name: "a", Kind: "stream", Phase: "failed", Age: time.Second,
						Queued: 4, Oldest: 20 * time.Millisecond, Running: 30 * time.Millisecond, Restarts: 2, Failures: 3,
						Refused: 5, ParkedFor: 10 * time.Second, Last: failure,
						Info: []actors.KeyValue{{Key: "protocol", Value: "/echo"}, {Key: "direction", Value: "inbound"}},
					},
					{Path: "node-1/t", Name: "t", Kind: "task", Phase: "running"},
				},
			}},
			Abandoned: []actors.Node{{Path: "node-1/s", Name: "s", Kind: "stuck", Phase: "abandoned", Stack: "goroutine 8\n"}},
			Strays:    []actors.Node{{Path: "node-1/h/handler", Name: "handler", Kind: "task", Phase: "stray", Stack: "goroutine 9\n"}},
			Orphans:   []actors.Node{{Path: "node-1/s/o", Name: "o", Kind: "o", Phase: "stopping"}},
			Dead:      []actors.Grave{{Path: "node-1/d", Kind: "d", At: at, Lived: time.Millisecond, Restarts: 1, Err: failure}, {Path: "node-1/e", Kind: "e", At: at}},
			Failures:  []*actors.PanicError{failure},
		},
		conns: []*stream.Conn{
			{Endpoints: conduit.Endpoints{Remote: addr("/ip4/127.0.0.1/tcp/1"), Direction: conduit.Inbound}, Security: "/noise", Muxer: "/yamux/1.0.0"},
			{Endpoints: conduit.Endpoints{Remote: addr("/ip4/127.0.0.1/tcp/2"), Direction: conduit.Inbound}, Security: "/noise", Muxer: "/yamux/1.0.0"},
			{Endpoints: conduit.Endpoints{Remote: addr("/ip4/127.0.0.1/tcp/3"), Direction: conduit.Outbound}, Security: "/tls/1.0.0", Muxer: "/yamux/1.0.0"},
		},
	}
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "127.0.0.1:4002"
	h.ServeHTTP(w, r)
	return w
}

// The page is read by programs: these bytes are the contract.
const (
	failureJSON = `{"actor":"node-1/a/b","at":"2026-01-02T03:04:05Z","message":"*x.Data","error":"panic in node-1/a/b on *x.Data: a <bug>"STACK}`
	pageJSON    = `{"schema":1,"at":"2026-01-02T03:05:05Z","peer":"` + fakeID + `","listen":["/ip4/127.0.0.1/tcp/4001"],"pumps":3,` +
		`"roots":[{"path":"node-1","name":"node-1","kind":"node","phase":"alive","age_ms":90000.001,"queued":0,"oldest_ms":0,"running_ms":0,` +
		`"restarts":0,"failures":0,"refused":0,"parked_ms":0,"values":{"peer":"12D3"},"children":[` +
		`{"path":"node-1/a","name":"a","kind":"stream","phase":"failed","age_ms":1000,"queued":4,"oldest_ms":20,"running_ms":30,` +
		`"restarts":2,"failures":3,"refused":5,"parked_ms":10000,"last_failure":FAILURE,"values":{"direction":"inbound","protocol":"/echo"}},` +
		`{"path":"node-1/t","name":"t","kind":"task","phase":"running","age_ms":0,"queued":0,"oldest_ms":0,"running_ms":0,` +
		`"restarts":0,"failures":0,"refused":0,"parked_ms":0}]}],` +
		`"abandoned":[{"path":"node-1/s","name":"s","kind":"stuck","phase":"abandoned","age_ms":0,"queued":0,"oldest_ms":0,"running_ms":0,` +
		`"restarts":0,"failures":0,"refused":0,"parked_ms":0STACK8},` +
		`{"path":"node-1/h/handler","name":"handler","kind":"task","phase":"stray","age_ms":0,"queued":0,"oldest_ms":0,"running_ms":0,` +
		`"restarts":0,"failures":0,"refused":0,"parked_ms":0STACK9}],` +
		`"orphans":[{"path":"node-1/s/o","name":"o","kind":"o","phase":"stopping","age_ms":0,"queued":0,"oldest_ms":0,"running_ms":0,` +
		`"restarts":0,"failures":0,"refused":0,"parked_ms":0}],` +
		`"dead":[{"path":"node-1/d","kind":"d","at":"2026-01-02T03:04:05Z","lived_ms":1,"restarts":1,"error":"panic in node-1/a/b on *x.Data: a <bug>"},` +
		`{"path":"node-1/e","kind":"e","at":"2026-01-02T03:04:05Z","lived_ms":0,"restarts":0}],` +
		`"failures":[FAILURE]}` + "\n"
)

func wantPage(stack, stack8, stack9 string) string {
	return strings.NewReplacer(
		"FAILURE", strings.Replace(failureJSON, "STACK", stack, 1), "STACK8", stack8, "STACK9", stack9,
	).Replace(pageJSON)
}

func TestTreePageIsByteForByteTheSchema(t *testing.T) {
	h := New(fullNode(), Config{})
	w := get(h, "/tree")
	if got, want := w.Body.String(), wantPage("", "", ""); got != want || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("/tree, %s:\n%s\nwant\n%s", w.Header().Get("Content-Type"), got, want)
	}
	want := wantPage(`,"stack":"goroutine 7\n"`, `,"stack":"goroutine 8\n"`, `,"stack":"goroutine 9\n"`)
	if got := get(h, "/tree?stacks=1").Body.String(); got != want {
		t.Errorf("/tree?stacks=1:\n%s\nwant\n%s", got, want)
	}
	if w := get(h, "/tree?stacks=yes"); w.Code != http.StatusBadRequest {
		t.Errorf("/tree?stacks=yes answers %d", w.Code)
	}
}

func TestTreePageOfNothingStillHasItsFields(t *testing.T) {
	got := get(New(&fake{}, Config{}), "/tree").Body.String()
	want := `{"schema":1,"at":"0001-01-01T00:00:00Z","peer":"` + fakeID + `","listen":["/ip4/127.0.0.1/tcp/4001"],"pumps":0,"roots":[]}` + "\n"
	if got != want {
		t.Errorf("got %swant %s", got, want)
	}
}

// A look with stacks stops the whole process if anything is stuck.
func TestStacksAreTakenOnlyForWhoAsksForThem(t *testing.T) {
	n := fullNode()
	h := New(n, Config{})
	for _, page := range []string{"/tree", "/tree?stacks=0", "/metrics", "/healthz"} {
		if get(h, page); n.dumps != 0 {
			t.Errorf("%s takes stacks", page)
		}
	}
	if get(h, "/tree?stacks=1"); n.dumps != 1 {
		t.Errorf("%d looks with stacks for one that asks for them", n.dumps)
	}
}

func TestPageCanBeReadBack(t *testing.T) {
	var p Page
	if err := json.Unmarshal(get(New(fullNode(), Config{}), "/tree?stacks=1").Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	if p.Schema != Schema || len(p.Roots) != 1 || len(p.Roots[0].Children) != 2 || p.Roots[0].Children[0].Last.Stack == "" {
		t.Errorf("read back: %+v", p)
	}
}

func TestTextsOfOthersAreCutAndMadeValid(t *testing.T) {
	n := &fake{tree: actors.Tree{
		Roots:    []actors.Node{{Info: []actors.KeyValue{{Key: "k", Value: strings.Repeat("x", 9999)}}}},
		Failures: []*actors.PanicError{{Value: "payload \xff\x1b[2J\u202e" + strings.Repeat("y", 9999)}},
	}}
	p := NewPage(n, true)
	if v := p.Roots[0].Values["k"]; len(v) > maxText+10 {
		t.Errorf("a value of %d bytes is shown", len(v))
	}
	if e := p.Failures[0].Error; len(e) > maxText+10 || !strings.Contains(e, "payload ??[2J?yy") {
		t.Errorf("a failure is shown as %d bytes: %.60q", len(e), e)
	}
}

func TestIndexListsThePagesAndOthersAreNotFound(t *testing.T) {
	h := New(fullNode(), Config{})
	if body := get(h, "/").Body.String(); !strings.Contains(body, "/tree") || !strings.Contains(body, "/metrics") || !strings.Contains(body, "/healthz") {
		t.Errorf("the index is %q", body)
	}
	for _, path := range []string{"/debug/pprof/", "/tree/x", "/favicon.ico"} {
		if w := get(h, path); w.Code != http.StatusNotFound {
			t.Errorf("%s answers %d", path, w.Code)
		}
	}
}

func TestHealthTellsWhetherTheNodeServes(t *testing.T) {
	up, down, dumb := fullNode(), &fake{}, fullNode()
	dumb.err = errors.New("peers: no answer")
	stopping := fullNode()
	stopping.tree.Roots[0].Phase = "stopping"
	for why, c := range map[string]struct {
		n    *fake
		code int
		body string
	}{
		"up":                     {up, 200, "ok\n"},
		"not there":              {down, 503, "the node is not up\n"},
		"stopping":               {stopping, 503, "the node is not up\n"},
		"does not answer anyone": {dumb, 503, "the node does not answer: peers: no answer\n"},
	} {
		if w := get(New(c.n, Config{}), "/healthz"); w.Code != c.code || w.Body.String() != c.body {
			t.Errorf("%s: %d %q", why, w.Code, w.Body.String())
		}
	}
}

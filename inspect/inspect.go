// Package inspect shows a running node to people and programs over HTTP, and changes nothing.
//
//	GET /         what there is, as text
//	GET /tree     the live tree as JSON: see Page; ?stacks=1 adds the stacks
//	GET /metrics  the same in numbers, for Prometheus
//	GET /healthz  "ok", or 503 while the node does not serve
//
// A request passes these in order, each of which may refuse it: one of few at a time (503), the
// Host is this machine (403), the token (401), the method is GET or HEAD (405).
//
// The pages show names, numbers, addresses and the texts of failures; no payloads and no keys.
// Even so they tell strangers whom the node talks to: without a token, serve them on loopback.
package inspect

import (
	"context"
	"io"
	"net/http"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/stream"
)

// Source is what there is to see. A *troupe.System is one.
type Source interface {
	ID() identity.ID
	ListenAddrs() []ma.Multiaddr
	Tree() actors.Tree
	TreeWithStacks() actors.Tree
	Conns(ctx context.Context) ([]*stream.Conn, error)
}

// Config says who may look. The zero value is for a server on loopback.
type Config struct {
	// Token is wanted as "Authorization: Bearer TOKEN". Default: none is wanted.
	Token string
	// Host is a name under which the pages may be asked for, beside localhost and IP
	// addresses. Default: none. Any other Host is refused: it is how a page from the web, in a
	// browser on this machine, would get here (DNS rebinding).
	Host string
	// Limits tells what is used of the node's limits, for the metrics. Default: they are
	// left out.
	Limits func() []Limit
}

// Limit is one of a node's limits.
type Limit struct {
	Name      string // "conns"
	Used, Cap int64
}

// New makes the handler of all pages.
func New(src Source, cfg Config) http.Handler {
	pages := http.NewServeMux()
	pages.HandleFunc("/{$}", index)
	pages.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) { health(w, r, src) })
	pages.HandleFunc("/tree", func(w http.ResponseWriter, r *http.Request) { tree(w, r, src) })
	pages.Handle("/metrics", newMetrics(src, cfg.Limits))
	return newGuard(cfg, pages)
}

func index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", text)
	_, _ = io.WriteString(w, `troupe: a look at this node

/tree      the live tree of its actors, as JSON (?stacks=1: with stacks)
/metrics   numbers, for Prometheus
/healthz   whether it serves
`)
}

// health: the node serves when its root is up and the actor that knows all connections answers.
func health(w http.ResponseWriter, r *http.Request, src Source) {
	roots := src.Tree().Roots
	if len(roots) == 0 || roots[0].Phase != actors.Alive.String() {
		http.Error(w, "the node is not up", http.StatusServiceUnavailable)
		return
	}
	if _, err := src.Conns(r.Context()); err != nil {
		http.Error(w, "the node does not answer: "+clip(err.Error()), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", text)
	_, _ = io.WriteString(w, "ok\n")
}

const text = "text/plain; charset=utf-8"

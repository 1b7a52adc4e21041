package identify

import (
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/bound"

	ma "github.com/multiformats/go-multiaddr"
)

const (
	// maxObserved is how many different addresses of ours we remember that peers claim to
	// see. Attack: every peer invents another one.
	maxObserved = 64
	// showObserved is how many of them are on show.
	showObserved = 3
)

// Bounds lists what a remote can fill here; the core lists its own.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "protocols/identify: addresses of ours that peers observe", Cap: maxObserved, Attack: "every peer invents another one"},
	}
}

// observed counts the connections whose remote claims to see us at an address. They are claims:
// they are shown to people and told to nobody.
type observed struct{ list []claim }

type claim struct {
	addr  string // as text
	conns int
}

// add counts one claim. It returns what remove wants, or "" if there was no room.
func (o *observed) add(x ma.Multiaddr) string {
	text := x.String()
	i := slices.IndexFunc(o.list, func(c claim) bool { return c.addr == text })
	switch {
	case i >= 0:
		o.list[i].conns++
	case len(o.list) == maxObserved:
		return ""
	default:
		o.list = append(o.list, claim{text, 1})
	}
	return text
}

func (o *observed) remove(text string) {
	i := slices.IndexFunc(o.list, func(c claim) bool { return c.addr == text })
	if i < 0 {
		return
	}
	if o.list[i].conns--; o.list[i].conns == 0 {
		o.list = slices.Delete(o.list, i, i+1)
	}
}

// top are those with most claims.
func (o *observed) top() string {
	list := slices.Clone(o.list)
	slices.SortStableFunc(list, func(a, b claim) int { return b.conns - a.conns })
	var text []string
	for _, c := range list[:min(len(list), showObserved)] {
		text = append(text, c.addr)
	}
	return strings.Join(text, " ")
}

func (a *service) showObserved(ctx actor.Context) {
	if top := a.st.seen.top(); top != a.shown {
		a.shown = top
		actors.Publish(ctx, "observed", top)
	}
}

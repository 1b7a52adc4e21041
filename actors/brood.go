package actors

import "slices"

// brood is an actor's children by name: a list of the few that most actors have, a map of a crowd.
type brood struct {
	few  []*cell
	many map[string]*cell // instead of few
}

// fewKids is how many children are looked for one by one, and how many places are kept when all
// are gone.
const fewKids = 16

func (b *brood) len() int { return len(b.few) + len(b.many) }

func (b *brood) get(name string) *cell {
	if b.many != nil {
		return b.many[name]
	}
	for _, k := range b.few {
		if k.name == name {
			return k
		}
	}
	return nil
}

func (b *brood) add(k *cell) {
	if b.many == nil && len(b.few) == fewKids {
		b.many = make(map[string]*cell, 2*fewKids)
		for _, o := range b.few {
			b.many[o.name] = o
		}
		b.few = nil
	}
	if b.many != nil {
		b.many[k.name] = k
		return
	}
	b.few = append(b.few, k)
}

// remove gives the memory of a crowd back when the last of it has gone.
func (b *brood) remove(k *cell) {
	if b.many != nil {
		if delete(b.many, k.name); len(b.many) == 0 {
			b.many = nil
		}
		return
	}
	if i := slices.Index(b.few, k); i >= 0 {
		last := len(b.few) - 1
		b.few[i], b.few[last] = b.few[last], nil
		b.few = b.few[:last]
	}
}

// all lists them in no order.
func (b *brood) all() []*cell {
	out := append(make([]*cell, 0, b.len()), b.few...)
	for _, k := range b.many { // order-free: callers sort
		out = append(out, k)
	}
	return out
}

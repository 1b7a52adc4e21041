package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/troupe-p2p/troupe/inspect"
)

// recent is how many of the dead and of the failures are drawn; JSON has all of them.
const recent = 10

// draw is a page for people.
//
//	node-1                 alive 3m2s  peer=12D3...
//	├─ keepers             alive 3m2s
//	│  └─ router           alive 3m2s  queued 2, oldest 15ms  restarts 1  protocols=4
//	...
//	abandoned: stuck after their stop
//	failures, newest first
//	ended, newest first
func draw(p inspect.Page) string {
	d := drawing{}
	for _, a := range p.Roots {
		d.actor(a, "", "")
	}
	if len(p.Roots) == 0 {
		d.line("nothing lives here")
	}
	d.all("abandoned: they did not come back after their stop", p.Abandoned)
	d.all("orphans: children of the abandoned", p.Orphans)
	d.failures(p)
	d.dead(p)
	return strings.TrimSuffix(d.b.String(), "\n")
}

type drawing struct{ b strings.Builder }

func (d *drawing) line(format string, args ...any) {
	fmt.Fprintf(&d.b, format, args...)
	d.b.WriteByte('\n')
}

// actor draws one with all below it: before is in front of its own line, below of the others.
func (d *drawing) actor(a inspect.Actor, before, below string) {
	const column = 30
	head := before + plain(a.Name)
	d.line("%s%s %s", head, strings.Repeat(" ", max(0, column-len([]rune(head)))), facts(a))
	d.stack(a.Stack, below+"   ")
	for i, c := range a.Children {
		if i == len(a.Children)-1 {
			d.actor(c, below+"└─ ", below+"   ")
		} else {
			d.actor(c, below+"├─ ", below+"│  ")
		}
	}
}

// facts are what there is to say of an actor; what is as it should be is left out.
func facts(a inspect.Actor) string {
	f := []string{plain(a.Phase) + " " + age(a.AgeMS)}
	add := func(format string, args ...any) { f = append(f, fmt.Sprintf(format, args...)) }
	if a.Kind != "" && a.Kind != a.Name && !strings.HasPrefix(a.Name, a.Kind+"-") {
		f[0] = plain(a.Kind) + " " + f[0]
	}
	if a.Queued > 0 {
		add("queued %d, oldest %s", a.Queued, age(a.OldestMS))
	}
	if a.RunningMS > 0 {
		add("busy for %s", age(a.RunningMS))
	}
	if a.Restarts > 0 {
		add("restarts %d", a.Restarts)
	}
	if a.ParkedMS > 0 {
		add("parked for %s", age(a.ParkedMS))
	}
	if a.Refused > 0 {
		add("refused %d", a.Refused)
	}
	for _, k := range slices.Sorted(maps.Keys(a.Values)) {
		add("%s=%s", plain(k), plain(a.Values[k]))
	}
	if a.Failures > 0 {
		add("failures %d", a.Failures)
	}
	if a.Last != nil {
		add("last: %s", plain(a.Last.Error))
	}
	return strings.Join(f, "  ")
}

func (d *drawing) all(title string, as []inspect.Actor) {
	if len(as) == 0 {
		return
	}
	d.line("\n%s", title)
	for _, a := range as {
		a.Name = a.Path
		d.actor(a, "  ", "  ")
	}
}

func (d *drawing) failures(p inspect.Page) {
	if len(p.Failures) == 0 {
		return
	}
	d.line("\nfailures, newest first")
	for i, f := range p.Failures {
		if i == recent {
			d.line("  and %d more", len(p.Failures)-recent)
			return
		}
		d.line("  %s ago  %s", since(p.At, f.At), plain(f.Error))
		d.stack(f.Stack, "    ")
	}
}

func (d *drawing) dead(p inspect.Page) {
	if len(p.Dead) == 0 {
		return
	}
	d.line("\nended, newest first")
	for i, g := range p.Dead {
		if i == recent {
			d.line("  and %d more", len(p.Dead)-recent)
			return
		}
		why := ""
		if g.Error != "" {
			why = ": " + plain(g.Error)
		}
		what := ""
		if protocol := g.Values["protocol"]; protocol != "" {
			what = " " + plain(protocol)
		}
		d.line("  %s ago  %s%s, lived %s%s", since(p.At, g.At), plain(g.Path), what, age(g.LivedMS), why)
	}
}

func (d *drawing) stack(s, before string) {
	for l := range strings.Lines(s) {
		d.line("%s%s", before, plain(strings.ReplaceAll(strings.TrimRight(l, "\n"), "\t", "    ")))
	}
}

// age is a duration with as many digits as anybody reads.
func age(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond))
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func since(now, then time.Time) string { return age(float64(now.Sub(then)) / 1e6) }

package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// report prints what there is and writes it to the file.
func (e *env) report(m *machine) error {
	var b strings.Builder
	b.WriteString("# Troupe beside go-libp2p\n\n")
	b.WriteString(m.String())
	if e.cfg.Quick {
		b.WriteString("\n**Quick run: few rounds of short measures. The figures mean little.**\n")
	}
	e.mainTable(&b)
	e.otherSides(&b)
	plots := e.growthTables(&b)
	if _, err := fmt.Fprint(e.cfg.Table, b.String()); err != nil {
		return err
	}
	if e.cfg.Out == "" {
		return nil
	}
	if err := os.WriteFile(e.cfg.Out, []byte(b.String()), 0o644); err != nil {
		return err
	}
	return e.draw(plots, filepath.Dir(e.cfg.Out))
}

const explained = `
Medians of the rounds, with least and most. A ratio is the median of those of neighbouring rounds: for rates ours to
theirs, for latencies how many times as fast we are, for costs (memory, CPU, size) ours to theirs, where less is better.
`

func (e *env) mainTable(b *strings.Builder) {
	header := explained + "\n| measure | unit | Troupe | go-libp2p | ratio | floor | | aim | |\n|---|---|---|---|---|---|---|---|---|\n"
	for _, r := range rows {
		mine := e.all.series(r.experiment, us, r.value)
		their := e.all.series(r.experiment, them, r.value)
		if len(mine)+len(their) == 0 {
			continue
		}
		b.WriteString(header)
		header = ""
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.title, r.value, spread(mine), spread(their),
			spread(r.ratios(e.all)), r.floor, r.met(e.all, r.floor), r.aim, r.met(e.all, r.aim))
	}
}

// otherSides are the bare limit, those who meet the other implementation, and what else was weighed.
func (e *env) otherSides(b *strings.Builder) {
	header := "\n## Others in the same run\n\n| measure | unit | who | | of Troupe's |\n|---|---|---|---|---|\n"
	for _, r := range rows {
		for _, s := range []side{nobody, libraries, byHand, weToThem, theyToUs} {
			xs := e.all.series(r.experiment, s, r.value)
			if len(xs) == 0 {
				continue
			}
			b.WriteString(header)
			header = ""
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", r.title, r.value, s, spread(xs), spread(e.all.ratios(r.experiment, s, us, r.value)))
		}
	}
}

// growth is one value at several points.
type growth struct{ experiment, value, what, title, file string }

var growths = []growth{
	{"growth-streams", "MB/s", "streams", "throughput by streams of one connection, MB/s", "growth-streams-throughput.svg"},
	{"growth-streams", "p50 us", "streams", "ping p50 beside so many busy streams, us", "growth-streams-latency.svg"},
	{"growth-conns", "KB", "connections", "heap and stacks per connection, KB", "growth-conns-memory.svg"},
	{"growth-conns", "KB RSS", "connections", "resident memory per connection, KB", "growth-conns-resident.svg"},
	{"growth-conns", "connect us", "connections", "opening and closing one more connection, p50, us", "growth-conns-connect.svg"},
}

// curve is a growth with its points.
type curve struct {
	growth
	points []int
	ours   []float64
	theirs []float64
}

// growthTables writes a table for each growth and returns the curves.
func (e *env) growthTables(b *strings.Builder) (out []curve) {
	for _, g := range growths {
		c := curve{growth: g}
		points := slices.Sorted(slices.Values(slices.Concat(streamPoints(e.cfg.Quick), connPoints(e.cfg.Quick))))
		for _, n := range slices.Compact(points) {
			mine, their := e.all.series(g.experiment, us, at(g.value, n)), e.all.series(g.experiment, them, at(g.value, n))
			if len(mine) == 0 || len(their) == 0 {
				continue
			}
			c.points = append(c.points, n)
			c.ours, c.theirs = append(c.ours, median(mine)), append(c.theirs, median(their))
		}
		if len(c.points) == 0 {
			continue
		}
		if len(out) == 0 {
			b.WriteString("\n## Growth\n")
		}
		fmt.Fprintf(b, "\n%s\n\n| %s | Troupe | go-libp2p |\n|---|---|---|\n", g.title, g.what)
		for i, n := range c.points {
			fmt.Fprintf(b, "| %d | %s | %s |\n", n, figure(c.ours[i]), figure(c.theirs[i]))
		}
		if e.cfg.Out != "" {
			fmt.Fprintf(b, "\n![%s](%s)\n", g.title, g.file)
		}
		out = append(out, c)
	}
	for _, s := range mainSides {
		if n := e.all.series("growth-conns", s, "pings answered"); len(n) > 0 {
			fmt.Fprintf(b, "\n%s, with all those connections: %s of the peers were pinged and answered, p50 %s us.\n",
				s, figure(median(n)), figure(median(e.all.series("growth-conns", s, "ping p50 us"))))
		}
	}
	return out
}

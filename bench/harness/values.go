package harness

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// values are what one round of one side measured, by unit.
type values map[string]float64

func (v values) String() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(v)) {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %s", figure(v[k]), k)
	}
	return b.String()
}

// results are all rounds of all sides of all experiments.
type results map[string]map[side]map[int]values

func (r results) add(experiment string, s side, round int, v values) {
	if r[experiment] == nil {
		r[experiment] = map[side]map[int]values{}
	}
	if r[experiment][s] == nil {
		r[experiment][s] = map[int]values{}
	}
	r[experiment][s][round] = v
}

// series is one value of all rounds in which it was measured, in their order.
func (r results) series(experiment string, s side, value string) (out []float64) {
	rounds := r[experiment][s]
	for _, i := range slices.Sorted(maps.Keys(rounds)) {
		if x, ok := rounds[i][value]; ok {
			out = append(out, x)
		}
	}
	return out
}

// ratios are those of a over b in each round that has both: neighbours in time.
func (r results) ratios(experiment string, a, b side, value string) (out []float64) {
	for i, v := range r[experiment][a] {
		w, ok := r[experiment][b][i]
		if x, has := v[value]; ok && has && w[value] != 0 {
			out = append(out, x/w[value])
		}
	}
	return out
}

func median(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// spread is "median (least to most)".
func spread(xs []float64) string {
	switch len(xs) {
	case 0:
		return "-"
	case 1:
		return figure(xs[0])
	}
	return fmt.Sprintf("%s (%s to %s)", figure(median(xs)), figure(slices.Min(xs)), figure(slices.Max(xs)))
}

// figure has three digits that count.
func figure(x float64) string {
	switch a := max(x, -x); {
	case a >= 100:
		return fmt.Sprintf("%.0f", x)
	case a >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

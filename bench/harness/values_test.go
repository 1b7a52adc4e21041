package harness

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// two sides, three rounds, of which the second failed for them.
func someResults() results {
	all := results{}
	for i, x := range []float64{100, 300, 200} {
		all.add("x", us, i, values{"v": x})
	}
	all.add("x", them, 0, values{"v": 50})
	all.add("x", them, 2, values{"v": 400})
	all.add("x", nobody, 1, values{"v": 400})
	return all
}

func TestMedianOfEvenAndOdd(t *testing.T) {
	for _, c := range []struct {
		xs   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{3, 1}, 2}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		before := slices.Clone(c.xs)
		if got := median(c.xs); got != c.want || !slices.Equal(before, c.xs) {
			t.Errorf("median of %v is %v, and they are %v now", before, got, c.xs)
		}
	}
}

func TestRatiosAreOfTheSameRoundOnly(t *testing.T) {
	all := someResults()
	if got := all.ratios("x", us, them, "v"); !slices.Equal(slices.Sorted(slices.Values(got)), []float64{0.5, 2}) {
		t.Errorf("%v: want those of rounds 0 and 2", got)
	}
	if got := all.ratios("x", us, them, "w"); len(got) != 0 {
		t.Errorf("%v for a value that nobody measured", got)
	}
}

func TestFiguresHaveThreeDigits(t *testing.T) {
	for x, want := range map[float64]string{1234.5: "1234", 99.96: "100.0", 12.34: "12.3", 1.234: "1.23", -0.02: "-0.02"} {
		if got := figure(x); got != want {
			t.Errorf("%v is shown as %s, want %s", x, got, want)
		}
	}
	if got := spread([]float64{3, 1, 2}); got != "2.00 (1.00 to 3.00)" {
		t.Error(got)
	}
}

func TestBoundsAreJudgedTheRightWayRound(t *testing.T) {
	all := someResults() // our medians: 200, 225 where they have one; theirs 225; ratio 1.25
	for why, c := range map[string]struct {
		kind  kind
		bound bound
		want  string
	}{
		"a rate above its floor":           {rate, times(1.2), "met"},
		"a rate below its floor":           {rate, times(1.3), "**not met**"},
		"a latency: as fast in the median": {latency, times(1), "met"},
		"a latency that is not":            {latency, times(1.3), "**not met**"},
		"a cost below its bound":           {cost, times(1.3), "met"},
		"a cost above its bound":           {cost, times(1.2), "**not met**"},
		"part of the bare limit":           {rate, ofBare(0.7), "met"},
		"too little of it":                 {rate, ofBare(0.8), "**not met**"},
		"at most":                          {cost, most(200), "met"},
		"more than that":                   {cost, most(199), "**not met**"},
		"at least":                         {rate, least(200), "met"},
		"less than that":                   {rate, least(201), "**not met**"},
		"no bound":                         {rate, bound{}, ""},
	} {
		r := row{experiment: "x", value: "v", kind: c.kind}
		if got := r.met(all, c.bound); got != c.want {
			t.Errorf("%s: %q", why, got)
		}
	}
	if got := (row{experiment: "y", value: "v"}).met(all, times(1)); got != "" {
		t.Errorf("%q for what was not measured", got)
	}
}

func TestEveryRowIsMeasured(t *testing.T) {
	names := map[string]bool{}
	for _, x := range experiments(false) {
		names[x.name] = true
		if x.rounds < few && !strings.HasPrefix(x.name, "binary") && !strings.HasPrefix(x.name, "growth") {
			t.Errorf("%s: %d rounds", x.name, x.rounds)
		}
	}
	for _, r := range rows {
		if !names[r.experiment] {
			t.Errorf("%q is of %q, which does not exist", r.title, r.experiment)
		}
	}
}

func TestCostsArePerPiece(t *testing.T) {
	before, after := usage(1000, 500, 10_000, 4), usage(11_000, 1500, 40_000, 14)
	v := each(&before, &after, 10)
	for k, want := range map[string]float64{"KB": 1.1, "KB RSS": 3, "goroutines": 1} {
		if math.Abs(v[k]-want) > 1e-9 {
			t.Errorf("%s: %v, want %v", k, v[k], want)
		}
	}
}

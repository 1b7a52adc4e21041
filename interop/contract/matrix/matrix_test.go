package matrix

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/interop/contract"
)

func TestEveryCellIsThereOnce(t *testing.T) {
	cells := Cells()
	standalone := 0
	for _, row := range contract.Transports {
		if row.Standalone {
			standalone++
		}
	}
	want := standalone + (len(contract.Transports)-standalone)*len(contract.Securities)*len(contract.Muxers)
	seen := map[Cell]bool{}
	for _, c := range cells {
		seen[c] = true
	}
	if len(cells) != want || len(seen) != want {
		t.Errorf("%d cells, %d different, want %d", len(cells), len(seen), want)
	}
	pairs := Pairs()
	if len(pairs) != len(Peers)*len(Peers) || pairs[0] != (Pair{Troupe, Troupe}) {
		t.Errorf("pairs %v", pairs)
	}
}

// TestLacksNameWhatTheContractKnows: a word with a typo in it would explain nothing.
func TestLacksNameWhatTheContractKnows(t *testing.T) {
	words := slices.Concat(contract.Securities, contract.Muxers)
	for _, row := range contract.Transports {
		words = append(words, row.Name)
	}
	for _, l := range Lacks {
		if !slices.Contains(Peers, l.Peer) || !slices.Contains(words, l.Word) || l.Why == "" {
			t.Errorf("%+v", l)
		}
	}
}

func TestPageSaysWhatBecameOfEachCell(t *testing.T) {
	met := Cell{"tcp", "noise", "yamux"}
	failed := Cell{"tcp", "tls", "yamux"}
	p := Page{
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Took: 61 * time.Second, IP: "0.0.0.0", Versions: []string{"T: this tree"},
		Outcomes: map[Cell]map[Pair]Outcome{},
	}
	for _, c := range Cells() {
		p.Outcomes[c] = map[Pair]Outcome{}
		for _, pair := range Pairs() {
			p.Outcomes[c][pair] = Outcome{Met: c != failed, Why: "the earth is flat"}
		}
	}
	delete(p.Outcomes[met], Pair{JS, JS})
	if !strings.Contains(p.Render(), "| none | | **not run** |\n") {
		t.Error("does not say that no browser took part")
	}
	p.Browsers = []Browser{{"Mosaic 2.6", "ws", Outcome{Met: true}}, {"Mosaic 2.6", "wss", Outcome{Why: "no TLS"}}}
	page := p.Render()
	for _, want := range []string{
		"on 2026-01-02 03:04 UTC, in 1m1s.", "- T: this tree\n", "listen on 0.0.0.0.",
		"| transport | security | muxer | T→T | T→G | T→J | G→T | J→T | G→G | G→J | J→G | J→J |\n",
		"| tcp | noise | yamux | met | met | met | met | met | met | met | met | **not run** |\n",
		"| tcp | tls | yamux | **FAILED** (1) |",
		"1. troupe to troupe over tcp, tls, yamux: `the earth is flat`\n",
		"| quic-v1 | its own | its own | met |",
		"troupe, mplex: has no flow control",
		" 10 failed, ",
		"| Mosaic 2.6 | ws | met |\n", "| Mosaic 2.6 | wss | **FAILED** (", ". Mosaic 2.6 over wss: `no TLS`\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
}

package matrix

import (
	"fmt"
	"strings"
	"time"
)

// Outcome is what became of a pair in a cell.
type Outcome struct {
	Met bool
	Why string // if not
}

// Page is what is written down of a run.
type Page struct {
	Date     time.Time
	Versions []string // of the peers
	IP       string   // that listeners were told to listen on
	Took     time.Duration
	Outcomes map[Cell]map[Pair]Outcome
	Browsers []Browser
}

// Browser is what became of Troupe and a page over one transport. The contract has no part in it.
type Browser struct {
	Version   string // of the browser, and of what is in the page
	Transport string
	Outcome
}

// letters stand for the peers in the head of the table, which is wide enough.
var letters = map[string]string{Troupe: "T", Go: "G", JS: "J"}

func (p Pair) String() string { return letters[p.Dialer] + "→" + letters[p.Listener] }

// Render writes the page.
func (p Page) Render() string {
	var b strings.Builder
	notes := &notes{}
	table := p.table(notes)
	browsers := p.browsers(notes)
	met, lacking, failed := p.count()
	fmt.Fprintf(&b, "# Who has met whom\n\n")
	fmt.Fprintf(&b, "Written by `make interop` on %s, in %v. What the peers were told, and how they met, is the contract of\n",
		p.Date.UTC().Format("2006-01-02 15:04 UTC"), p.Took.Round(time.Second))
	b.WriteString("libp2p's official tests (`contract/doc.go`). Every pair met twice in a cell: once by the words of\n" +
		"test-plans/transport-interop and once by those of unified-testing. To meet is to dial, to shake hands with nothing on\n" +
		"offer but the cell's security and muxer, to ping once, and to report both times.\n\n")
	fmt.Fprintf(&b, "T is Troupe, G go-libp2p, J js-libp2p in Node; T→G: Troupe dials. Listeners were told to listen on %s.\n\n", p.IP)
	for _, v := range p.Versions {
		fmt.Fprintf(&b, "- %s\n", v)
	}
	fmt.Fprintf(&b, "\n%d met, %d failed, %d cannot.\n\n", met, failed, lacking)
	b.WriteString(table)
	b.WriteString("\n" + browsers)
	if len(notes.list) > 0 {
		b.WriteString("\nWhy not:\n\n")
		for i, why := range notes.list {
			fmt.Fprintf(&b, "%d. %s\n", i+1, why)
		}
	}
	return b.String()
}

func (p Page) table(notes *notes) string {
	var b strings.Builder
	b.WriteString("| transport | security | muxer |")
	rule := "|---|---|---|"
	for _, pair := range Pairs() {
		fmt.Fprintf(&b, " %s |", pair)
		rule += "---|"
	}
	b.WriteString("\n" + rule + "\n")
	for _, c := range Cells() {
		security, muxer := c.Security, c.Muxer
		if security == "" {
			security, muxer = "its own", "its own"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |", c.Transport, security, muxer)
		for _, pair := range Pairs() {
			fmt.Fprintf(&b, " %s |", p.say(c, pair, notes))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (p Page) browsers(notes *notes) string {
	var b strings.Builder
	b.WriteString("In browsers, which dial and do not listen, more is asked for than the contract does: pings and identify from\n" +
		"either side, 8 MiB echoed by either, parallel streams, half-closed ones, resets, a second dial, a page that is\n" +
		"left (`browser_test.go`).\n\n| browser | transport | dials Troupe |\n|---|---|---|\n")
	if len(p.Browsers) == 0 {
		b.WriteString("| none | | **not run** |\n")
	}
	for _, r := range p.Browsers {
		said := "met"
		if !r.Met {
			said = "**FAILED** " + notes.ref(fmt.Sprintf("%s over %s: `%s`", r.Version, r.Transport, r.Why))
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.Version, r.Transport, said)
	}
	return b.String()
}

func (p Page) say(c Cell, pair Pair, notes *notes) string {
	if lacks := Lacking(c, pair); len(lacks) > 0 {
		var refs []string
		for _, l := range lacks {
			refs = append(refs, notes.ref(fmt.Sprintf("%s, %s: %s.", l.Peer, l.Word, l.Why)))
		}
		return strings.Join(refs, " ")
	}
	o, ran := p.Outcomes[c][pair]
	switch {
	case !ran:
		return "**not run**"
	case o.Met:
		return "met"
	}
	return "**FAILED** " + notes.ref(fmt.Sprintf("%s to %s over %s: `%s`", pair.Dialer, pair.Listener, c, o.Why))
}

func (p Page) count() (met, lacking, failed int) {
	for _, c := range Cells() {
		for _, pair := range Pairs() {
			switch {
			case len(Lacking(c, pair)) > 0:
				lacking++
			case p.Outcomes[c][pair].Met:
				met++
			default:
				failed++
			}
		}
	}
	return met, lacking, failed
}

// notes numbers the reasons as they first appear.
type notes struct{ list []string }

func (n *notes) ref(why string) string {
	for i, w := range n.list {
		if w == why {
			return fmt.Sprintf("(%d)", i+1)
		}
	}
	n.list = append(n.list, why)
	return fmt.Sprintf("(%d)", len(n.list))
}

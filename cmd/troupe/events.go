package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/addrs"

	ma "github.com/multiformats/go-multiaddr"
)

// readyLine is up's first line.
type readyLine struct {
	Event   string   `json:"event"`
	Peer    string   `json:"peer"`
	Addrs   []string `json:"addrs"`
	Inspect string   `json:"inspect,omitempty"`
}

// stoppedLine is up's last line.
type stoppedLine struct {
	Event      string   `json:"event"`
	Stragglers []string `json:"stragglers"`
}

// eventLine is every line between. Fields that an event does not have are left out.
type eventLine struct {
	Event     string    `json:"event"`
	At        time.Time `json:"at"`
	Peer      string    `json:"peer,omitempty"`
	Addr      string    `json:"addr,omitempty"` // of the remote; of a listener its own
	Direction string    `json:"direction,omitempty"`
	Transport string    `json:"transport,omitempty"`
	Security  string    `json:"security,omitempty"`
	Muxer     string    `json:"muxer,omitempty"`
	Path      string    `json:"path,omitempty"` // the actor, as in the tree
	Error     string    `json:"error,omitempty"`
	Code      uint32    `json:"code,omitempty"`   // with which a connection was closed
	Remote    bool      `json:"remote,omitempty"` // closed by the remote
	Addrs     []string  `json:"addrs,omitzero"`
	Protocols []string  `json:"protocols,omitempty"`
	Agent     string    `json:"agent,omitempty"`
	// Lost is how many events were dropped before this one because stdout was not read in
	// time.
	Lost uint64 `json:"lost,omitempty"`
}

func newEventLine(e troupe.Event, lost uint64, now time.Time) eventLine {
	l := eventLine{
		Event: string(e.Kind), At: e.At, Path: e.Path, Code: e.Code, Remote: e.Remote,
		Addrs: texts(e.Addrs), Protocols: e.Protocols, Agent: e.Agent, Lost: lost,
	}
	if l.At.IsZero() {
		l.At = now
	}
	if e.Peer != "" {
		l.Peer = e.Peer.String()
	}
	if c := e.Conn; c != nil {
		l.Direction, l.Transport = c.Direction.String(), addrs.Transport(c.Remote)
		l.Security, l.Muxer = c.Security, c.Muxer
		if len(c.Remote) > 0 {
			l.Addr = c.Remote.String()
		}
	}
	switch e.Kind {
	case troupe.EventAddrs:
		l.Addrs = append([]string{}, l.Addrs...) // none is an answer, too
	case troupe.EventListening, troupe.EventListenError, troupe.EventUpgradeError:
		if len(l.Addrs) > 0 { // these are about one address
			l.Addr, l.Addrs = l.Addrs[0], nil
		}
	default:
	}
	if e.Err != nil {
		l.Error = plain(e.Err.Error())
	}
	return l
}

func texts(as []ma.Multiaddr) []string {
	var out []string
	for _, a := range as {
		out = append(out, a.String())
	}
	return out
}

// human is the event for people, of which one look is enough.
func (l eventLine) human() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-13s", l.At.Local().Format(time.TimeOnly), strings.ReplaceAll(l.Event, "_", " "))
	word := func(s string) {
		if s != "" {
			b.WriteString(" " + plain(s))
		}
	}
	word(l.Peer)
	word(l.Direction)
	word(l.Addr)
	word(l.Security)
	word(l.Muxer)
	word(l.Agent)
	word(l.Path)
	if l.Code != 0 {
		fmt.Fprintf(&b, " code %#x", l.Code)
	}
	if len(l.Protocols) > 0 {
		fmt.Fprintf(&b, " %d protocols", len(l.Protocols))
	} else {
		word(strings.Join(l.Addrs, " "))
	}
	if l.Error != "" {
		b.WriteString(": " + plain(l.Error))
	}
	if l.Lost > 0 {
		fmt.Fprintf(&b, " (%d events before this one were lost)", l.Lost)
	}
	return b.String()
}

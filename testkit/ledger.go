package testkit

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strings"
	"sync"
)

// Ledger keeps account of byte streams: what honest senders gave away, and what honest receivers
// got. Each record on the wire carries its stream, sequence number, length and hash:
//
//	stream 8 | sequence 8 | length 4 | FNV-1a of the payload 8 | payload
//
// A stream that has broken may have lost its end; nothing may be missing in the middle, come twice,
// or come changed, and a stream that was closed in order has lost nothing.
type Ledger struct {
	mu      sync.Mutex
	next    uint64
	streams map[uint64]*account
	faults  []string
}

// account is one direction of one stream.
type account struct {
	name     string
	sent     []uint64 // hashes by sequence number
	got      uint64
	finished bool // the sender closed in order
	ended    bool // the receiver saw an orderly end
	acked    bool // the sender knows that all has come: nothing may be lost
}

const ledgerHeader = 28

// maxRecord bounds what a damaged length can allocate.
const maxRecord = 1 << 20

// NewLedger makes an empty ledger.
func NewLedger() *Ledger { return &Ledger{streams: map[uint64]*account{}} }

// Sender writes records of one stream.
type Sender struct {
	l  *Ledger
	id uint64
	w  io.Writer
	b  []byte
}

// Sender opens the account of a stream that is written to w. name shows in reports.
func (l *Ledger) Sender(name string, w io.Writer) *Sender {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	l.streams[l.next] = &account{name: name}
	return &Sender{l: l, id: l.next, w: w}
}

// ID is what stands for the stream on the wire.
func (s *Sender) ID() uint64 { return s.id }

// Write sends p as one record.
func (s *Sender) Write(p []byte) (int, error) {
	if len(p) > maxRecord {
		return 0, fmt.Errorf("testkit: a record of %d bytes: at most %d", len(p), maxRecord)
	}
	s.l.mu.Lock()
	a := s.l.streams[s.id]
	seq, sum := uint64(len(a.sent)), hashOf(p)
	a.sent = append(a.sent, sum)
	s.l.mu.Unlock()
	s.b = binary.BigEndian.AppendUint64(s.b[:0], s.id)
	s.b = binary.BigEndian.AppendUint64(s.b, seq)
	s.b = binary.BigEndian.AppendUint32(s.b, uint32(len(p)))
	s.b = binary.BigEndian.AppendUint64(s.b, sum)
	s.b = append(s.b, p...)
	if _, err := s.w.Write(s.b); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Finished notes that the stream was closed in order after the last record.
func (s *Sender) Finished() {
	s.l.mu.Lock()
	s.l.streams[s.id].finished = true
	s.l.mu.Unlock()
}

// Acknowledged notes that the receiver has said that all has come.
func (s *Sender) Acknowledged() {
	s.l.mu.Lock()
	s.l.streams[s.id].acked = true
	s.l.mu.Unlock()
}

// Receiver reads records of one stream and holds them against the ledger.
type Receiver struct {
	l  *Ledger
	id uint64 // 0: not known yet
	r  io.Reader
}

// Receiver reads from r what some Sender of the same ledger has written.
func (l *Ledger) Receiver(r io.Reader) *Receiver { return &Receiver{l: l, r: r} }

// Next reads one record. At an orderly end it returns io.EOF; a stream that breaks gives its error.
// A fault is noted in the ledger, and ends the stream here.
func (r *Receiver) Next() ([]byte, error) {
	var h [ledgerHeader]byte
	if _, err := io.ReadFull(r.r, h[:]); err != nil {
		if err == io.EOF && r.id != 0 {
			r.l.mu.Lock()
			r.l.streams[r.id].ended = true
			r.l.mu.Unlock()
		}
		if err == io.ErrUnexpectedEOF {
			return nil, r.l.fault("stream %d: an orderly end within a header", r.id)
		}
		return nil, err
	}
	id, seq := binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])
	n, sum := binary.BigEndian.Uint32(h[16:]), binary.BigEndian.Uint64(h[20:])
	r.l.mu.Lock()
	a := r.l.streams[id]
	r.l.mu.Unlock()
	switch {
	case a == nil:
		return nil, r.l.fault("corrupt: a record of stream %d, which nobody sends", id)
	case r.id != 0 && r.id != id:
		return nil, r.l.fault("%s: a record of stream %d in stream %d", a.name, id, r.id)
	case n > maxRecord:
		return nil, r.l.fault("%s: corrupt: a record of %d bytes", a.name, n)
	}
	r.id = id
	p := make([]byte, n)
	if _, err := io.ReadFull(r.r, p); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil, r.l.fault("%s: an orderly end within record %d", a.name, seq)
		}
		return nil, err
	}
	return p, r.l.receive(a, seq, sum, p)
}

func (l *Ledger) receive(a *account, seq, sum uint64, p []byte) error {
	l.mu.Lock()
	want, sent := a.got, uint64(len(a.sent))
	ok := seq < sent && a.sent[seq] == sum
	if seq == want {
		a.got++
	}
	l.mu.Unlock()
	switch {
	case seq < want:
		return l.fault("%s: record %d has come twice", a.name, seq)
	case seq > want:
		return l.fault("%s: record %d has come where %d was due: reordered or lost", a.name, seq, want)
	case !ok || hashOf(p) != sum:
		return l.fault("%s: record %d of %d bytes is corrupt", a.name, seq, len(p))
	}
	return nil
}

// LedgerError is a fault of a byte stream.
type LedgerError struct{ What string }

func (e *LedgerError) Error() string { return "ledger: " + e.What }

func (l *Ledger) fault(format string, args ...any) error {
	e := &LedgerError{fmt.Sprintf(format, args...)}
	l.mu.Lock()
	l.faults = append(l.faults, e.What)
	l.mu.Unlock()
	return e
}

// Faults is what has been wrong so far, also at the ends of streams: an orderly end before all
// records have come, and a loss that the sender was told did not happen.
func (l *Ledger) Faults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := slices.Clone(l.faults)
	for id := uint64(1); id <= l.next; id++ {
		a := l.streams[id]
		sent := uint64(len(a.sent))
		switch {
		case a.got < sent && a.acked:
			out = append(out, fmt.Sprintf("%s: %d of %d records were lost, and acknowledged", a.name, sent-a.got, sent))
		case a.got < sent && a.ended && a.finished:
			out = append(out, fmt.Sprintf("%s: %d of %d records were lost before an orderly end", a.name, sent-a.got, sent))
		case a.ended && !a.finished:
			out = append(out, fmt.Sprintf("%s: the receiver saw an orderly end that the sender did not make", a.name))
		}
	}
	return out
}

// Records is how many records were sent and received.
func (l *Ledger) Records() (sent, received uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := uint64(1); id <= l.next; id++ {
		sent += uint64(len(l.streams[id].sent))
		received += l.streams[id].got
	}
	return sent, received
}

func (l *Ledger) String() string {
	sent, got := l.Records()
	text := fmt.Sprintf("%d records sent, %d received", sent, got)
	if f := l.Faults(); len(f) > 0 {
		text += "\n\t" + strings.Join(f, "\n\t")
	}
	return text
}

func hashOf(p []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(p)
	return h.Sum64()
}

package tls

import (
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"io"

	"github.com/troupe-p2p/troupe/internal/buf"
)

const (
	maxRecord  = 16 << 10   // plaintext of a record, RFC 8446, 5.1
	recordOver = 5 + 1 + 16 // header, inner content type, tag: the same for all ciphers of TLS 1.3
)

// Opener turns received bytes into plaintext. It belongs to one reader.
type Opener struct {
	conn   *stdtls.Conn
	queues *queues
	plain  *buf.Buf // what the last Next returned
	err    error
}

// Feed lends p to the opener until Next has returned false.
func (o *Opener) Feed(p []byte) {
	if err := o.queues.lend(p); err != nil && o.err == nil {
		o.err = err
	}
}

// Next returns the next piece of plaintext, borrowed until the following call; false when more
// bytes are needed. Errors are sticky; io.EOF means that the remote ended the connection in order.
func (o *Opener) Next() ([]byte, bool, error) {
	if o.plain == nil {
		o.plain = buf.Get(maxRecord)
	}
	if o.err == nil {
		n, err := o.conn.Read(o.plain.B)
		o.err = o.failure(err)
		if n > 0 {
			return o.plain.B[:n], true, nil
		}
	}
	o.drop()
	if o.err != nil {
		o.queues.reclaim()
	}
	return nil, false, o.err
}

// Close gives back what the last plaintext lies in. Nothing can be opened afterwards.
func (o *Opener) Close() {
	o.drop()
	o.queues.reclaim()
	if o.err == nil {
		o.err = fmt.Errorf("%w: opener is closed", ErrLocal)
	}
}

func (o *Opener) failure(err error) error {
	if err == nil || errors.Is(err, errNoData{}) {
		// What is pending now came from crypto/tls itself and waits for our next Seal.
		if n := o.queues.pending(); n > MaxPending {
			return fmt.Errorf("%w: %d bytes of key updates wait to be sent", ErrLimit, n)
		}
		return nil
	}
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("%w: %w", ErrRecord, err)
}

func (o *Opener) drop() {
	if o.plain != nil {
		o.plain.Release()
		o.plain = nil
	}
}

// Sealer turns plaintext into bytes to send. It belongs to one writer.
type Sealer struct {
	conn   *stdtls.Conn
	queues *queues
}

// Seal appends p as records, behind what TLS itself has to send. With an empty p only that is
// appended.
func (s *Sealer) Seal(dst, p []byte) ([]byte, error) {
	s.queues.collect(dst, len(p)+records(len(p))*recordOver)
	var err error
	if len(p) > 0 {
		if _, err = s.conn.Write(p); err != nil {
			err = fmt.Errorf("%w: %w", ErrRecord, err)
		}
	}
	return s.queues.collected(), err
}

// SealedSize is the number of bytes that Seal appends for n bytes of plaintext now.
func (s *Sealer) SealedSize(n int) int {
	return n + records(n)*recordOver + s.queues.pending()
}

func records(n int) int { return (n + maxRecord - 1) / maxRecord }

package perfcore

import (
	"encoding/binary"
	"time"
)

// Result is what one run measured.
type Result struct {
	Uploaded, Downloaded uint64
	// Upload lasts from the start to the hand-over of the last uploaded byte, Download
	// from there to the end of the answer.
	Upload, Download time.Duration
}

// Client is the dialing side of one stream. It is owned by one actor.
type Client struct {
	progress
	header   [headerSize]byte
	sent     int // bytes of the header that the stream has taken
	upload   uint64
	up       uint64
	wanted   uint64
	down     uint64
	began    time.Time
	uploaded time.Time
	ended    time.Time
}

// NewClient returns a Client that uploads and wants the given numbers of bytes.
func NewClient(cfg Config, now time.Time, upload, download uint64) *Client {
	c := &Client{progress: progress{cfg: cfg, at: now}, upload: upload, wanted: download, began: now}
	binary.BigEndian.PutUint64(c.header[:], download)
	return c
}

// NextWrite returns what should be written now, borrowed and not to be changed; nothing when
// the upload is complete.
func (c *Client) NextWrite() []byte {
	if c.err != nil {
		return nil
	}
	if c.sent < headerSize {
		return c.header[c.sent:]
	}
	return block(c.upload - c.up)
}

// Wrote says that the stream took n bytes of what NextWrite returned.
func (c *Client) Wrote(now time.Time, n int) {
	if n <= 0 {
		return
	}
	c.at = now
	if c.sent < headerSize {
		c.sent += min(n, headerSize-c.sent)
	} else {
		c.up += min(uint64(n), c.upload-c.up)
	}
	if c.Uploaded() && c.uploaded.IsZero() {
		c.uploaded = now
	}
}

// Moved is how many bytes the stream has taken and the server has sent so far, without the header.
func (c *Client) Moved() (up, down uint64) { return c.up, c.down }

// Uploaded says that everything is written: time to end our direction.
func (c *Client) Uploaded() bool {
	return c.err == nil && c.sent == headerSize && c.up == c.upload
}

// HandleBytes takes what the server sent. An error ends the stream with a reset.
func (c *Client) HandleBytes(now time.Time, b []byte) error {
	switch {
	case c.err != nil || len(b) == 0:
		return c.err
	case !c.ended.IsZero():
		return c.fail(ErrAfterEnd)
	case !c.Uploaded():
		return c.fail(ErrEarly)
	case uint64(len(b)) > c.wanted-c.down:
		return c.fail(ErrLong)
	}
	c.at = now
	c.down += uint64(len(b))
	return nil
}

// HandleEnd says that the server ended its direction in order.
func (c *Client) HandleEnd(now time.Time) error {
	switch {
	case c.err != nil || !c.ended.IsZero():
		return c.err
	case !c.Uploaded() || c.down < c.wanted:
		return c.fail(ErrShort)
	}
	c.ended = now
	return nil
}

// Done says that the answer is complete and Result is valid.
func (c *Client) Done() bool { return c.err == nil && !c.ended.IsZero() }

// Result returns what was measured; false before the end of the answer.
func (c *Client) Result() (Result, bool) {
	if !c.Done() {
		return Result{}, false
	}
	return Result{
		Uploaded: c.up, Downloaded: c.down,
		Upload: c.uploaded.Sub(c.began), Download: c.ended.Sub(c.uploaded),
	}, true
}

// Deadline is when HandleTimeout is due.
func (c *Client) Deadline() (time.Time, bool) { return c.deadline(c.Done()) }

// HandleTimeout fails a server that neither reads nor sends.
func (c *Client) HandleTimeout(now time.Time) error {
	if at, ok := c.Deadline(); ok && !now.Before(at) {
		return c.fail(ErrStalled)
	}
	return c.err
}

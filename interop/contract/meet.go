package contract

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// meeting is where a listener leaves its address for a dialer.
type meeting struct {
	redis   *redis.Client
	key     string
	dialect Dialect
}

const (
	// pingEvery is the pause between two looks for a Redis that is not up yet.
	pingEvery = 100 * time.Millisecond
	// popFor is the longest that one BLPOP waits: a dialer comes back to see whether somebody has
	// left a string where a list belongs.
	popFor = time.Second
)

// meet waits until Redis answers.
func meet(ctx context.Context, p Params) (*meeting, error) {
	m := &meeting{key: p.Key, dialect: p.Dialect, redis: redis.NewClient(&redis.Options{
		Addr:                  p.Redis,
		Protocol:              2, // the suites put a proxy in between that knows no other
		DisableIdentity:       true,
		ContextTimeoutEnabled: true,
		MaxRetries:            -1, // a push that is repeated leaves two addresses
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	})}
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	var why error
	for {
		err := m.redis.Ping(ctx).Err()
		if err == nil {
			return m, nil
		}
		if why == nil || !errors.Is(err, context.DeadlineExceeded) { // which hides what went wrong before
			why = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("no Redis at %s within %v: %w", p.Redis, p.Timeout, why), m.redis.Close())
		}
	}
}

func (m *meeting) close() { _ = m.redis.Close() }

// leave puts the listener's address where the dialer looks.
func (m *meeting) leave(ctx context.Context, addr string) error {
	if m.dialect == UnifiedTesting {
		// Its Redis outlives a run: an address of the last one would lead nowhere.
		if err := m.redis.Del(ctx, m.key).Err(); err != nil {
			return fmt.Errorf("DEL %s: %w", m.key, err)
		}
	}
	if err := m.redis.RPush(ctx, m.key, addr).Err(); err != nil {
		return fmt.Errorf("RPUSH %s: %w", m.key, err)
	}
	return nil
}

// find waits for a listener's address. What unified-testing has written down says SET and GET, what
// its peers do is RPUSH and BLPOP: a peer that keeps to the letter is understood too.
func (m *meeting) find(ctx context.Context) (string, error) {
	for {
		got, err := m.redis.BLPop(ctx, popFor, m.key).Result()
		switch {
		case err == nil && len(got) == 2:
			return got[1], nil
		case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded): // the socket's comes first
			return "", fmt.Errorf("no listener has left its address in %s in time", m.key)
		case errors.Is(err, redis.Nil):
			continue
		case err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE") && m.dialect == UnifiedTesting:
			return m.redis.Get(ctx, m.key).Result()
		}
		return "", fmt.Errorf("BLPOP %s: %q, %w", m.key, got, err)
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-p2p/troupe/inspect"
)

// defaultInspect is where tree looks when it is not told.
const defaultInspect = "http://127.0.0.1:4002"

const (
	// watchEvery is the time between two looks of --watch.
	watchEvery = time.Second
	// pageTimeout bounds one look.
	pageTimeout = 10 * time.Second
	// maxPage bounds a page: whatever answers at the URL may send for ever.
	maxPage = 256 << 20
)

func newTree() *cobra.Command {
	l := looker{}
	var at string
	cmd := &cobra.Command{
		Use:   "tree",
		Short: "Show the live tree of a node that runs with --inspect",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			page, err := pageURL(at, l.stacks)
			if err != nil {
				return err
			}
			l.page, l.base = page, at
			if l.token == "" {
				l.token = os.Getenv(tokenVar)
			}
			l.out = &output{json: l.json, w: cmd.OutOrStdout()}
			l.clear = l.watch && isTerminal(cmd.OutOrStdout())
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return failed(l.run(ctx))
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&at, "inspect", defaultInspect, "`URL` of the node's inspection pages")
	fs.StringVar(&l.token, "inspect-token", "", "`TOKEN` that the node was started with (default $"+tokenVar+")")
	fs.BoolVar(&l.json, "json", false, "print the tree as one line of JSON")
	fs.BoolVar(&l.watch, "watch", false, "look again every second until interrupted")
	fs.BoolVar(&l.stacks, "stacks", false, "show the stacks of failures and of what is stuck")
	return cmd
}

func pageURL(at string, stacks bool) (string, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("--inspect %q: wanted is a URL like %s", at, defaultInspect)
	}
	u = u.JoinPath("tree")
	if stacks {
		u.RawQuery = "stacks=1"
	}
	return u.String(), nil
}

// looker fetches and shows pages.
type looker struct {
	page, base, token   string
	json, watch, stacks bool
	clear               bool // each page takes the place of the last
	out                 *output
}

func (l *looker) run(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := l.look(ctx); err != nil {
			if l.watch && ctx.Err() != nil {
				return nil
			}
			return err
		}
		if !l.watch {
			return l.out.Err()
		}
		select {
		case <-ctx.Done():
			return l.out.Err()
		case <-tick.C:
		}
		if err := l.out.Err(); err != nil {
			return err
		}
	}
}

func (l *looker) look(ctx context.Context) error {
	b, err := l.fetch(ctx)
	if err != nil {
		return err
	}
	var page inspect.Page
	if err := json.Unmarshal(b, &page); err != nil || page.Schema == 0 {
		return fmt.Errorf("remote: what answers at %s is not a troupe node", l.base)
	}
	if page.Schema != inspect.Schema {
		return fmt.Errorf("local: the node speaks schema %d of the tree and this program %d: use the node's version", page.Schema, inspect.Schema)
	}
	text := ""
	if !l.json {
		text = draw(page)
	}
	if l.clear {
		text = clearScreen + text
	}
	l.out.say(json.RawMessage(b), "%s", text)
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// clearScreen puts the next page where the last one was.
const clearScreen = "\x1b[H\x1b[2J\x1b[3J"

func (l *looker) fetch(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.page, nil)
	if err != nil {
		return nil, err
	}
	if l.token != "" {
		req.Header.Set("Authorization", "Bearer "+l.token)
	}
	// No proxy and no redirect: neither has any business with the token.
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, fmt.Errorf("remote: nothing answers at %s: %w; start the node with --inspect HOST:PORT and give its URL here", l.base, err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxPage+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("remote: reading %s: %w", l.page, err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("remote: %s answers %s: %s", l.base, resp.Status, plain(strings.TrimSpace(string(b[:min(len(b), maxText)]))))
	case len(b) > maxPage:
		return nil, fmt.Errorf("remote: %s answers with more than %d bytes", l.base, maxPage)
	}
	return b, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/websocket"

	ma "github.com/multiformats/go-multiaddr"
)

// perfFlags are the flags of perf. Those of libp2p's benchmarks (libp2p/test-plans, perf) keep the
// names that its runner uses.
type perfFlags struct {
	runServer        bool
	serverAddress    string
	transport        string
	upload, download uint64
	security, psk    string
	timeout          time.Duration
	json             bool
}

// perfLine is a line of the benchmark's contract. An intermediary line counts from the one before
// it, the final one from before the dial.
type perfLine struct {
	Type     string  `json:"type"` // intermediary, final
	Seconds  float64 `json:"timeSeconds"`
	Upload   uint64  `json:"uploadBytes"`
	Download uint64  `json:"downloadBytes"`
}

// defaultPerfAddress is where the benchmark's runner has its server.
const defaultPerfAddress = "0.0.0.0:4001"

func newPerf() *cobra.Command {
	var f perfFlags
	cmd := &cobra.Command{
		Use:   "perf (MULTIADDR | --server-address HOST:PORT | --run-server)",
		Short: "Measure the throughput to a node that serves perf, or serve it",
		Long: `Measure the throughput to a node that serves perf: first the upload, then the download.

With a MULTIADDR the result is for people, or with --json for programs. With --server-address the
command keeps to the contract of libp2p's benchmarks: JSON on stdout, one line a second and a final
one, and a server whose identity is the one that everybody knows. --run-server is that server.`,
		Args: cobra.ArbitraryArgs, // plan says what is wrong
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := f.plan(args)
			if err != nil {
				return err
			}
			p.out = &output{json: p.json, w: cmd.OutOrStdout()}
			p.bar = !p.json && isTerminal(cmd.OutOrStdout())
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if f.runServer {
				return failed(p.serve(ctx))
			}
			return failed(p.run(ctx))
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Uint64Var(&f.upload, "upload-bytes", 0, "`NUMBER` of bytes to send")
	fs.Uint64Var(&f.download, "download-bytes", 0, "`NUMBER` of bytes to have sent")
	fs.BoolVar(&f.runServer, "run-server", false, "serve at --server-address until interrupted, with the identity that everybody knows")
	fs.StringVar(&f.serverAddress, "server-address", "", "`HOST:PORT` of a --run-server (default for --run-server "+defaultPerfAddress+")")
	fs.StringVar(&f.transport, "transport", "tcp", "`TRANSPORT` to --server-address: tcp or quic-v1")
	fs.StringVar(&f.security, "security", "", "security `PROTOCOLS`, the preferred first (default noise,tls)")
	fs.StringVar(&f.psk, "psk", "", pskHelp)
	fs.DurationVar(&f.timeout, "timeout", 10*time.Second, "`TIME` to wait for the connection")
	fs.BoolVar(&f.json, "json", false, "print lines of JSON, also for a MULTIADDR")
	return cmd
}

// plan finds what is wrong with the flags before anything is started.
func (f perfFlags) plan(args []string) (*perfRun, error) {
	p := &perfRun{perfFlags: f}
	var err error
	switch {
	case len(args) > 1:
		return nil, fmt.Errorf("one MULTIADDR is wanted, %d were given", len(args))
	case len(args) == 1 && (f.runServer || f.serverAddress != ""):
		return nil, errors.New("MULTIADDR excludes --server-address and --run-server")
	case perfPaths[f.transport] == "":
		return nil, fmt.Errorf("--transport %q: there are tcp and quic-v1", f.transport)
	case f.transport == quicTransport && f.security != "":
		return nil, errors.New("--security: " + quicTransport + " has one of its own")
	case f.transport == quicTransport && f.psk != "":
		return nil, errors.New("--psk: a private network does not go over " + quicTransport)
	case f.timeout <= 0:
		return nil, fmt.Errorf("--timeout %v: wanted is more than 0", f.timeout)
	case f.runServer && (f.upload > 0 || f.download > 0):
		return nil, errors.New("--upload-bytes and --download-bytes are the client's to say")
	case len(args) == 1:
		err = p.toAnybody(args[0])
	case f.runServer || f.serverAddress != "":
		err = p.toServer()
	default:
		return nil, errors.New("no MULTIADDR given, nor --server-address, nor --run-server")
	}
	if err != nil {
		return nil, err
	}
	p.cfg.DialTimeout = f.timeout
	if p.cfg.Security, err = parseSecurity(f.security); err != nil {
		return nil, err
	}
	return p, setNetwork(&p.cfg, f.psk, websocket.Config{})
}

// toAnybody is the form for people.
func (p *perfRun) toAnybody(addr string) error {
	var err error
	p.addr, p.peer, err = parseTarget(addr, p.security, p.psk)
	switch {
	case err != nil:
		return err
	case p.upload == 0 && p.download == 0:
		return errors.New("--upload-bytes and --download-bytes are both 0: there is nothing to measure")
	}
	return nil
}

// toServer is the form of the benchmark's contract: stdout is JSON, and the server is known.
func (p *perfRun) toServer() error {
	p.json = !p.runServer
	if p.serverAddress == "" {
		p.serverAddress = defaultPerfAddress
	}
	a, err := hostPort(p.serverAddress, p.transport, p.runServer)
	if err != nil {
		return fmt.Errorf("--server-address %q: %w", p.serverAddress, err)
	}
	key, err := perfIdentity()
	if err != nil {
		return err
	}
	p.addr = a
	if p.runServer {
		p.cfg.Key = key
		return nil
	}
	p.peer, err = identity.IDFromKey(key.Public())
	return err
}

// perfPaths are what the multiaddr of a transport has behind the host, around the port.
var perfPaths = map[string]string{"tcp": "/tcp/%s", "quic-v1": "/udp/%s/quic-v1"}

// hostPort makes a multiaddr of HOST:PORT. A server listens on an address, not on a name.
func hostPort(s, transport string, listen bool) (ma.Multiaddr, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return nil, errors.New("wanted is HOST:PORT")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 && !listen {
		return nil, fmt.Errorf("%q is no port", port)
	}
	kind := "dns"
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		kind = "ip4"
	} else if err == nil && ip.Zone() == "" {
		kind = "ip6"
	} else if listen || host == "" {
		return nil, fmt.Errorf("%q is no IP address", host)
	}
	return addrs.ParseString("/" + kind + "/" + host + fmt.Sprintf(perfPaths[transport], port))
}

// perfIdentity is the server's of all implementations: the Ed25519 key of a seed of zeros, so that
// clients know its peer ID, 12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN. It proves nothing.
func perfIdentity() (identity.PrivateKey, error) {
	return identity.GenerateKey(identity.Ed25519, zeros{})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// closePerf says goodbye to a node.
func closePerf(sys *troupe.System) {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	_ = sys.Close(ctx)
}

package harness

import "fmt"

// kind says what is good.
type kind int

const (
	rate    kind = iota // more is better; the ratio is ours to theirs
	latency             // less is better; the ratio is how many times as fast we are
	cost                // less is better; the ratio is ours to theirs
)

// bound is a floor or an aim.
type bound struct {
	ratio  float64 // to go-libp2p; 0: none
	ofBare float64 // to the bare limit instead
	most   *float64
	least  *float64
}

func times(x float64) bound  { return bound{ratio: x} }
func ofBare(x float64) bound { return bound{ofBare: x} }
func most(x float64) bound   { return bound{most: &x} }
func least(x float64) bound  { return bound{least: &x} }

// row is one line of the report: one value of one experiment.
type row struct {
	experiment, value, title string
	kind                     kind
	floor, aim               bound
}

// rows in the order of the design's table; what it does not have comes after.
var rows = []row{
	{"throughput-noise-1", "MB/s", "TCP+Noise+yamux, one stream, 64 KiB writes", rate, times(1.6), ofBare(0.8)},
	{"throughput-noise-8", "MB/s", "the same with 8 streams", rate, times(1.2), times(1.5)},
	{"delay", "MB/s", "one stream through a proxy with 25 ms each way", rate, times(0.95), times(1.2)},
	{"requests-32", "/s", "request/response streams, 32 in flight, 100 B", rate, times(1.5), times(3)},
	{"requests-1", "/s", "the same, one in flight", rate, times(1.3), times(2)},
	{"connects-4", "/s", "full connects (Noise, muxer, identify), 4 in flight", rate, times(2), times(4)},
	{"ping", "p50 us", "ping round trip, p50", latency, times(0.95), times(1.4)},
	{"ping-loaded", "p99 us", "ping p99 beside one bulk stream", latency, times(1), times(2)},
	{"throughput-noise-1", "CPU s/GB", "CPU seconds per GB, both sides", cost, bound{}, times(0.6)},
	{"memory-conns", "KB", "memory per idle TCP+Noise connection, server: heap and stacks", cost, times(0.5), times(0.25)},
	{"memory-conns", "KB RSS", "the same, resident", cost, times(0.5), times(0.25)},
	{"memory-conns", "goroutines", "goroutines per idle connection", cost, most(1), bound{}},
	{"memory-streams", "KB", "memory per open stream with a waiting actor handler: heap and stacks", cost, times(0.5), times(0.35)},
	{"memory-streams", "goroutines", "goroutines per such stream", cost, most(0), bound{}},
	{"throughput-quic-1", "MB/s", "QUIC, one stream, 64 KiB writes", rate, times(0.95), times(1.3)},
	{"binary", "MB", "stripped echo node: TCP+Noise+TLS", cost, times(0.7), times(0.5)},
	{"binary-quic", "MB", "stripped echo node: the same with QUIC", cost, times(0.8), times(0.6)},

	{"stalled", "of the speed", "one stream beside a stalled one, of its speed alone", rate, least(0.9), bound{}},
	{"throughput-noise-1-down", "MB/s", "one stream, the server sends", rate, bound{}, bound{}},
	{"throughput-noise-8-down", "MB/s", "8 streams, the server sends", rate, bound{}, bound{}},
	{"throughput-noise-1-blocking", "MB/s", "one stream, goroutines as handlers on both sides", rate, bound{}, bound{}},
	{"throughput-tls-1", "MB/s", "TLS instead of Noise, one stream", rate, bound{}, bound{}},
	{"throughput-tls-8", "MB/s", "TLS, 8 streams", rate, bound{}, bound{}},
	{"throughput-ws-1", "MB/s", "WebSocket+Noise+yamux, one stream", rate, bound{}, bound{}},
	{"throughput-ws-1", "CPU s/GB", "CPU seconds per GB over WebSocket", cost, bound{}, bound{}},
	{"throughput-webtransport-1", "MB/s", "WebTransport, one stream", rate, bound{}, bound{}},
	{"throughput-webtransport-1", "CPU s/GB", "CPU seconds per GB over WebTransport", cost, bound{}, bound{}},
	{"throughput-webrtc-1", "MB/s", "WebRTC-direct, one stream", rate, bound{}, bound{}},
	{"throughput-webrtc-1", "CPU s/GB", "CPU seconds per GB over WebRTC-direct", cost, bound{}, bound{}},
	{"throughput-unix-1", "MB/s", "Unix socket+Noise+yamux, one stream; go-libp2p has none", rate, bound{}, bound{}},
	{"throughput-quic-1", "CPU s/GB", "CPU seconds per GB over QUIC", cost, bound{}, bound{}},
	{"throughput-noise-8", "CPU s/GB", "CPU seconds per GB with 8 streams", cost, bound{}, bound{}},
	{"throughput-noise-1", "allocs/MiB", "allocations per MiB, both sides", cost, bound{}, bound{}},
	{"requests-32", "p99 us", "request p99, 32 in flight", latency, bound{}, bound{}},
	{"requests-32", "CPU us", "CPU per request, both sides", cost, bound{}, bound{}},
	{"requests-32", "allocs", "allocations per request, both sides", cost, bound{}, bound{}},
	{"connects-4", "p50 us", "one full connect and disconnect, p50", latency, bound{}, bound{}},
	{"ping", "p99 us", "ping round trip, p99", latency, bound{}, bound{}},
	{"ping-loaded", "p50 us", "ping p50 beside one bulk stream", latency, bound{}, bound{}},
	{"memory-conns", "base MB", "a listening node with nobody: heap and stacks", cost, bound{}, bound{}},
	{"memory-conns", "base MB RSS", "the same, resident", cost, bound{}, bound{}},
	{"memory-streams", "KB RSS", "memory per open stream, resident", cost, bound{}, bound{}},
	{"memory-quic-conns", "KB", "memory per idle QUIC connection, server: heap and stacks", cost, bound{}, bound{}},
	{"memory-quic-conns", "KB RSS", "the same, resident", cost, bound{}, bound{}},
	{"memory-quic-conns", "goroutines", "goroutines per idle QUIC connection", cost, bound{}, bound{}},
}

// String is a bound as the report shows it.
func (b bound) String() string {
	switch {
	case b.ratio != 0:
		return fmt.Sprintf("%gx", b.ratio)
	case b.ofBare != 0:
		return fmt.Sprintf("%g of bare", b.ofBare)
	case b.most != nil:
		return fmt.Sprintf("%g", *b.most)
	case b.least != nil:
		return fmt.Sprintf("%g", *b.least)
	}
	return ""
}

// ratio is the median of the rounds' ratios, oriented by the kind.
func (r row) ratios(all results) []float64 {
	if r.kind == latency {
		return all.ratios(r.experiment, them, us, r.value)
	}
	return all.ratios(r.experiment, us, them, r.value)
}

// met judges a bound: "" when there is none, or nothing to judge.
func (r row) met(all results, b bound) string {
	mine := all.series(r.experiment, us, r.value)
	if len(mine) == 0 {
		return ""
	}
	ok := false
	switch {
	case b.ratio != 0:
		rs := r.ratios(all)
		if len(rs) == 0 {
			return ""
		}
		if ok = median(rs) >= b.ratio; r.kind == cost {
			ok = median(rs) <= b.ratio
		}
	case b.ofBare != 0:
		rs := all.ratios(r.experiment, us, nobody, r.value)
		if len(rs) == 0 {
			return ""
		}
		ok = median(rs) >= b.ofBare
	case b.most != nil:
		const slack = 0.02 // a goroutine of the runtime's that came or went meanwhile
		ok = median(mine) <= *b.most+slack
	case b.least != nil:
		ok = median(mine) >= *b.least
	default:
		return ""
	}
	if ok {
		return "met"
	}
	return "**not met**"
}

package inspect

import (
	"context"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/stream"
)

// metrics serves GET /metrics. Everything of the node is counted anew for each request, from one
// tree, so that counting costs nothing while nobody looks.
type metrics struct {
	src    Source
	limits func() []Limit
	static *prometheus.Registry // of the process
}

func newMetrics(src Source, limits func() []Limit) *metrics {
	static := prometheus.NewRegistry()
	static.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &metrics{src, limits, static}
}

// ServeHTTP implements http.Handler.
func (m *metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(&snapshot{m, r.Context()})
	promhttp.HandlerFor(prometheus.Gatherers{m.static, reg}, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("troupe_"+name, help, labels, nil)
}

var (
	descActors = gauge("actors", "Live actors and tasks.", "kind", "phase")
	descQueued = gauge("mailbox_messages", "Messages that wait in mailboxes.", "kind")
	descDeep   = gauge("mailbox_messages_max", "Messages that wait in the fullest mailbox.", "kind")
	descOldest = gauge("mailbox_oldest_seconds_max", "Age of the oldest message that waits, at most.", "kind")
	descTurn   = gauge("turn_seconds_max", "Time that the longest turn under way has taken so far.", "kind")
	descStarts = gauge("actor_restarts", "Restarts of the actors that live now.", "kind")
	descFails  = gauge("actor_failures", "Failures of the actors that live now.", "kind")
	descRefuse = gauge("mailbox_refused_messages", "Messages that found the mailbox of an actor that lives now full.", "kind")
	descParked = gauge("actors_parked", "Actors that rest after too many failures.", "kind")

	descAbandoned = gauge("abandoned_actors", "Actors that are stuck in a message after their stop.")
	descOrphans   = gauge("orphaned_actors", "Children of abandoned actors that have not ended.")
	descStrays    = gauge("stray_tasks", "Tasks that have outlived their owner.")
	descPumps     = gauge("pumps", "Goroutines that read sockets.")
	descRecent    = gauge("recent_failures", "Panics that the tree remembers, the last few only.")

	descHealthy = gauge("healthy", "1 when the actor that knows all connections answers.")
	descConns   = gauge("connections", "Established connections.", "direction", "transport", "security", "muxer")
	descStreams = gauge("streams", "Open streams; the protocol is empty while it is negotiated.", "direction", "protocol")
	descUsed    = gauge("limit_used", "What is used of a limit.", "limit")
	descCap     = gauge("limit_cap", "A limit.", "limit")
)

// snapshot collects for one request.
type snapshot struct {
	m   *metrics
	ctx context.Context
}

// Describe implements prometheus.Collector: which kinds of actors there are is known only later.
func (s *snapshot) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s *snapshot) Collect(out chan<- prometheus.Metric) {
	t := s.m.src.Tree()
	c := count(t)
	for _, k := range c.kinds {
		emit(out, descQueued, float64(k.queued), k.kind)
		emit(out, descDeep, float64(k.deepest), k.kind)
		emit(out, descOldest, k.oldest.Seconds(), k.kind)
		emit(out, descTurn, k.turn.Seconds(), k.kind)
		emit(out, descStarts, float64(k.restarts), k.kind)
		emit(out, descFails, float64(k.failures), k.kind)
		emit(out, descRefuse, float64(k.refused), k.kind)
		emit(out, descParked, float64(k.parked), k.kind)
		for _, p := range k.phases {
			emit(out, descActors, float64(p.n), k.kind, p.labels[0])
		}
	}
	for _, p := range c.streams {
		emit(out, descStreams, float64(p.n), p.labels...)
	}
	emit(out, descAbandoned, float64(len(t.Abandoned)))
	emit(out, descOrphans, float64(len(t.Orphans)))
	emit(out, descStrays, float64(len(t.Strays)))
	emit(out, descPumps, float64(t.Pumps))
	emit(out, descRecent, float64(len(t.Failures)))
	s.conns(out)
	if s.m.limits == nil {
		return
	}
	for _, l := range s.m.limits() {
		emit(out, descUsed, float64(l.Used), l.Name)
		emit(out, descCap, float64(l.Cap), l.Name)
	}
}

// conns says by healthy whether no connections means that there are none, or that nobody knows.
func (s *snapshot) conns(out chan<- prometheus.Metric) {
	conns, err := s.m.src.Conns(s.ctx)
	if err != nil {
		emit(out, descHealthy, 0)
		return
	}
	emit(out, descHealthy, 1)
	var by tally
	for _, c := range conns {
		by.add(1, labelsOf(c)...)
	}
	for _, p := range by {
		emit(out, descConns, float64(p.n), p.labels...)
	}
}

func labelsOf(c *stream.Conn) []string {
	return []string{c.Direction.String(), addrs.Transport(c.Remote), c.Security, c.Muxer}
}

func emit(out chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	for i := range labels {
		labels[i] = strings.ToValidUTF8(labels[i], "\uFFFD")
	}
	if m, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, v, labels...); err == nil {
		out <- m
	}
}

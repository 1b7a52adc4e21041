package inspect

import (
	"errors"
	"strings"
	"testing"
)

func TestMetricsCountTheTreeAndTheConnections(t *testing.T) {
	limits := func() []Limit { return []Limit{{Name: "conns", Used: 3, Cap: 4096}} }
	body := get(New(fullNode(), Config{Limits: limits}), "/metrics").Body.String()
	for _, line := range []string{
		`troupe_actors{kind="node",phase="alive"} 1`,
		`troupe_actors{kind="stream",phase="failed"} 1`,
		`troupe_actors{kind="task",phase="running"} 1`,
		`troupe_mailbox_messages{kind="stream"} 4`,
		`troupe_mailbox_messages_max{kind="stream"} 4`,
		`troupe_mailbox_oldest_seconds_max{kind="stream"} 0.02`,
		`troupe_turn_seconds_max{kind="stream"} 0.03`,
		`troupe_actor_restarts{kind="stream"} 2`,
		`troupe_actor_failures{kind="stream"} 3`,
		`troupe_mailbox_refused_messages{kind="stream"} 5`,
		`troupe_actors_parked{kind="stream"} 1`,
		`troupe_actors_parked{kind="node"} 0`,
		`troupe_abandoned_actors 1`,
		`troupe_orphaned_actors 1`,
		`troupe_stray_tasks 1`,
		`troupe_pumps 3`,
		`troupe_recent_failures 1`,
		`troupe_healthy 1`,
		`troupe_connections{direction="inbound",muxer="/yamux/1.0.0",security="/noise",transport="tcp"} 2`,
		`troupe_connections{direction="outbound",muxer="/yamux/1.0.0",security="/tls/1.0.0",transport="tcp"} 1`,
		`troupe_streams{direction="inbound",protocol="/echo"} 1`,
		`troupe_limit_used{limit="conns"} 3`,
		`troupe_limit_cap{limit="conns"} 4096`,
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if !strings.Contains(body, "\ngo_goroutines ") {
		t.Error("nothing about the process")
	}
	if t.Failed() {
		t.Log(body)
	}
}

func TestMetricsOfANodeThatDoesNotAnswerSaySo(t *testing.T) {
	n := fullNode()
	n.err = errors.New("no answer")
	body := get(New(n, Config{}), "/metrics").Body.String()
	if !strings.Contains(body, "\ntroupe_healthy 0\n") || strings.Contains(body, "troupe_connections{") {
		t.Errorf("want troupe_healthy 0 and no connections:\n%s", body)
	}
	if !strings.Contains(body, "\ntroupe_abandoned_actors 1\n") {
		t.Error("the tree, which needs no answer, is not counted")
	}
}

func TestMetricsTakeNamesThatAreNotText(t *testing.T) {
	n := fullNode()
	n.tree.Roots[0].Kind = "a\xffb"
	body := get(New(n, Config{}), "/metrics").Body.String()
	if !strings.Contains(body, "troupe_actors{kind=\"a\uFFFDb\",phase=\"alive\"} 1") {
		t.Errorf("a kind that is not UTF-8 is lost:\n%s", body)
	}
}

// Package harness starts the programs of an interop test, talks to them and ends them.
//
//	Build    go build of gopeer, hostile and cmd/troupe, once a test run, into a temporary folder
//	Proc     one child: JSON lines in and out, stderr kept for the failure report, killed at the end
//	Peer     a foreign node (gopeer or jspeer) that answers commands of package control
//	Browser  a Peer that is a page in headless Chromium
//	Node     `troupe up`: its ready line, its events, its inspection pages, its end by signal
//	Attack   a run of the hostile program
//	Meet     two programs of the official contract, by a Redis in this process
//
// Every wait has a deadline, and nothing sleeps to synchronise. A missing program fails the
// test: an interop test that is skipped proves nothing. INTEROP_CHROMIUM names a browser that is not in the path.
package harness

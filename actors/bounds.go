package actors

// Bound is a container of the kit that a remote can fill, by way of the actors that it makes
// work. It has the fields of the node's own bound registry, of which this package knows nothing.
type Bound struct {
	Name   string // where it is and what it holds
	Cap    int    // the most it holds, in what Name counts
	Attack string // what the cap stops
}

// Bounds lists them. What a caller sizes itself (a Spec's Mailbox, a Feed, a Budget, the window
// in front of a Pipe) stands here with its default or not at all: its owner lists it.
func Bounds() []Bound {
	return []Bound{
		{"actors/mailbox: data messages that wait for one actor, by default", defaultData,
			"frames, requests and events faster than their actor handles them"},
		{"actors/mailbox: control messages that wait for one actor, by default", defaultControl,
			"many dials, tasks or children of one actor that end at once because a remote says so"},
		{"actors/lane: places that an empty lane keeps", laneKeep,
			"one burst to each of many actors, whose rings would stay"},
		{"actors/supervisor: places of children kept when all are gone", fewKids,
			"one burst of connections or streams"},
		{"actors/tree: actors remembered after their end", graves,
			"connections and streams that come and go"},
		{"actors/tree: panics remembered with their stacks", failures,
			"a byte sequence that makes a handler panic, sent again and again"},
		{"actors/dispatcher: idle workers kept, by default", defaultWorkers,
			"waking many actors at once, each on a goroutine"},
		{"actors/reaper: entries of one actor", 1,
			"an event that stops an actor which is stuck, again and again"},
		{"actors/mailbox: stops that wait for one actor whose mailbox is full", 1,
			"overrunning a mailbox whose rule is to stop the actor"},
	}
}

// Package actors is Troupe's kit over proto.actor: it makes actors safe to build a network node
// on. It knows nothing of networks.
//
// The life of a message:
//
//  1. Ref.Send (data lane, bounded), Ref.Control (control lane) or Ref.Offer (on the caller's
//     goroutine if the actor is idle) puts it into the actor's cell, which is its mailbox.
//  2. The host (live or simulated) gives the cell a turn: system messages first, then control,
//     then data; one at a time.
//  3. The actor's Receive runs. A panic in it is caught with its stack, the message is
//     discarded, and the supervisor's Strategy decides: restart, park, stop or escalate.
//  4. A message that is not received, for whatever reason, has its Discard called.
//
// What proto.actor does by itself and the kit repairs is listed, with the test that proves it,
// in docs/kit.md.
package actors

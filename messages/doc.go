// Package messages is what the node's actors tell each other: data only, one file and one closed
// set for each receiving actor.
//
// A set is a sealed interface. A message joins it by embedding the interface (which stays nil),
// so that actors.Ref[messages.Session] takes nothing else. Messages that never leave a package
// are private to it and join in the same way.
//
// Commands are imperatives (OpenStream), events past tense (ConnEnded). A command that will be
// answered carries an actors.Reply.
package messages

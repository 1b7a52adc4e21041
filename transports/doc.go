// Package transports holds the actors that own addresses and attempts to reach them.
//
//	listeners               keeps what is to be listened on and which ports were bound
//	└─ listener             one address: binds it, and binds the same port again after a failure
//
//	dial                    one attempt: a conduit from the adapter, then its upgrade
//	└─ upgrade              see package negotiation
//
// Adapters live in the sub-packages; conduit is the contract with them.
package transports

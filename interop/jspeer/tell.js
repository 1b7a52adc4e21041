// What a peer tells of a connection and of who is at its other end. The page of ../browser has this module too, so it
// needs no package and nothing of Node.

// connectionOf tells of a connection. Whether the muxer came out of the handshake is early.
export function connectionOf (node, connection, early) {
  return {
    peer: connection.remotePeer.toString(),
    conn: {
      local: '', // js-libp2p does not show it
      remote: connection.remoteAddr.toString(),
      direction: connection.direction,
      security: connection.encryption ?? '',
      muxer: connection.multiplexer ?? '',
      early: early ?? false,
      count: node.getConnections(connection.remotePeer).length
    }
  }
}

// identityOf tells what the peer said of itself in identify, with its public key as libp2p parses it.
export function identityOf (it, publicKey) {
  return {
    peer: it.peerId.toString(),
    key_type: publicKey.type.toLowerCase(),
    protocol_version: it.protocolVersion ?? '',
    agent_version: it.agentVersion ?? '',
    protocols: it.protocols.toSorted(),
    listen_addrs: it.listenAddrs.map(String),
    observed_addr: it.observedAddr?.toString() ?? '',
    // js-libp2p has checked the signature; whose record it is remains to be said
    signed_record: it.signedPeerRecord != null
  }
}

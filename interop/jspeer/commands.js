// The commands of ../control/control.go that this peer knows.
import { once, setMaxListeners } from 'node:events'
import { publicKeyFromProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { echoOnce, open, received, sendAll } from './streams.js'
import { connectionOf, identityOf } from './tell.js'

export const commands = { connect, disconnect, ping, echo, 'half-close': halfClose, reset, sequence, identify, poke, stats }

// reach returns the connection that a request names: dialled by addr, or present by peer.
async function reach ({ node }, req, signal) {
  setMaxListeners(Infinity, signal)
  if (req.addr != null) {
    return node.dial(multiaddr(req.addr), { signal })
  }
  const connection = node.getConnections(peerIdFromString(req.peer))[0]
  if (connection == null) {
    throw new Error(`not connected to ${req.peer}`)
  }
  return connection
}

function describe ({ node, early }, connection) {
  return connectionOf(node, connection, early.get(`${connection.direction} ${connection.remotePeer}`))
}

async function connect (peer, req, signal) {
  return describe(peer, await reach(peer, req, signal))
}

async function disconnect ({ node }, req) {
  await node.hangUp(peerIdFromString(req.peer))
  return {}
}

async function ping (peer, req, signal) {
  const connection = await reach(peer, req, signal)
  const rtts = []
  for (let i = 0; i < req.count; i++) {
    const start = performance.now()
    await peer.node.services.ping.ping(connection.remotePeer, { signal })
    rtts.push(performance.now() - start)
  }
  return { ...describe(peer, connection), rtts_ms: rtts }
}

async function echo (peer, req, signal) {
  const connection = await reach(peer, req, signal)
  const each = Math.floor(req.bytes / req.streams)
  const start = performance.now()
  const sums = await Promise.all(Array.from({ length: req.streams }, async (_, i) => {
    return echoOnce(await open(connection, req.protocol, signal), i, each, signal)
  }))
  return {
    ...describe(peer, connection),
    transfer: { bytes: each * req.streams, streams: req.streams, ms: performance.now() - start, sha256: sums[0] }
  }
}

// halfClose writes everything and FIN before it looks at what came back, so the bytes must fit
// the windows.
async function halfClose (peer, req, signal) {
  const connection = await reach(peer, req, signal)
  const start = performance.now()
  const stream = await open(connection, req.protocol, signal)
  const ended = received(stream)
  stream.pause()
  const sent = await sendAll(stream, 1, req.bytes, signal)
  let refused = false
  try { stream.send(new Uint8Array(1)) } catch { refused = true }
  if (!refused) {
    throw new Error('a write after close was taken')
  }
  stream.resume()
  const got = await ended
  if (got.bytes !== req.bytes || got.sha256 !== sent) {
    throw new Error(`${got.bytes} bytes came back for ${req.bytes}, or they differ`)
  }
  return { ...describe(peer, connection), transfer: { bytes: got.bytes, streams: 1, ms: performance.now() - start } }
}

// reset breaks one stream in use and shows that its connection does not mind.
async function reset (peer, req, signal) {
  const connection = await reach(peer, req, signal)
  const stream = await open(connection, req.protocol, signal)
  await new Promise((resolve, reject) => {
    stream.addEventListener('message', resolve, { once: true })
    stream.addEventListener('close', (evt) => reject(evt.error ?? new Error('closed before the echo')), { once: true })
    stream.send(Uint8Array.of(1))
  })
  stream.abort(new Error('reset as asked'))
  await echoOnce(await open(connection, req.protocol, signal), 7, 1024, signal)
  return describe(peer, connection)
}

async function sequence (peer, req, signal) {
  const connection = await reach(peer, req, signal)
  const start = performance.now()
  for (let i = 0; i < req.count; i++) {
    try {
      await echoOnce(await open(connection, req.protocol, signal), 7, req.bytes, signal)
    } catch (err) {
      throw new Error(`stream ${i + 1} of ${req.count}: ${err.message}`)
    }
  }
  return {
    ...describe(peer, connection),
    transfer: { bytes: req.bytes * req.count, streams: req.count, ms: performance.now() - start }
  }
}

// identify reports what the peer said on a new connection: js-libp2p asks once a connection.
async function identify (peer, req, signal) {
  const id = peerIdFromString(req.addr.split('/p2p/').at(-1))
  if (peer.node.getConnections(id).length > 0) {
    await peer.node.hangUp(id, { signal })
  }
  const connection = await reach(peer, req, signal)
  while (!peer.identified.has(connection.id)) {
    await once(peer.node, 'peer:identify', { signal })
  }
  const it = peer.identified.get(connection.id)
  return { ...describe(peer, connection), identify: identityOf(it, publicKeyFromProtobuf(it.publicKey)) }
}

// poke provokes a handler on many streams and hears how each of them ends. js-libp2p shows a
// reset, but not its code.
async function poke (peer, req, signal) {
  const connection = await reach(peer, req, signal)
  const endings = { opened: 0, remote_reset: {}, eof: 0, other: {}, conn_alive: true }
  const count = (kind, key) => { endings[kind][key] = (endings[kind][key] ?? 0) + 1 }
  const bait = new Uint8Array(Math.max(req.bytes, 1)).fill(1)
  let left = req.count
  const worker = async () => {
    while (left-- > 0) {
      try {
        const stream = await open(connection, req.protocol, signal)
        endings.opened++
        const ended = received(stream)
        stream.send(bait)
        await ended
        stream.abort(new Error('heard its end'))
        endings.eof++
      } catch (err) {
        err.name === 'StreamResetError' ? count('remote_reset', 'unknown') : count('other', `${err.name}: ${err.message}`)
      }
    }
  }
  await Promise.all(Array.from({ length: req.concurrency }, worker))
  endings.conn_alive = connection.status === 'open'
  return { ...describe(peer, connection), endings }
}

async function stats ({ node, identifySent }) {
  return { stats: { goroutines: 0, connections: node.getConnections().length, identify_sent: identifySent } }
}

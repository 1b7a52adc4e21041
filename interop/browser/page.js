// A js-libp2p node in a page, as libp2p has it in browsers: it dials, and nobody can dial it. It knows the commands listed
// below, of the language in ../control/control.go; driver.js hands them over by window.answer.
import { publicKeyFromProtobuf } from '@libp2p/crypto/keys'
import { identify, identifyPush } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { webRTCDirect } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import { webTransport } from '@libp2p/webtransport'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { MAX_STREAMS, echo } from '../jspeer/serve.js'
import { connectionOf, identityOf } from '../jspeer/tell.js'
import { echoOnce, halfCloseOnce, heard } from './streams.js'

const ECHO = '/troupe/echo/1.0.0'
const DEFAULT_TIMEOUT_MS = 60_000

// All that js-libp2p has for browsers. Those that Troupe has are rows in browser_test.go.
const transports = [webSockets(), webRTCDirect(), webTransport()]

const early = new Map() // by peer: whether the last handshake agreed on the muxer too
const identified = new Map() // by connection

// watched is Noise, and sees whether the muxer came out of the handshake.
function watched (components) {
  const encrypter = noise()(components)
  const secure = encrypter.secureOutbound.bind(encrypter)
  encrypter.secureOutbound = async (connection, options) => {
    const secured = await secure(connection, options)
    early.set(secured.remotePeer.toString(), secured.streamMuxer != null)
    return secured
  }
  return encrypter
}

async function startNode () {
  const node = await createLibp2p({
    nodeInfo: { name: 'browser', userAgent: 'browser/1' },
    transports,
    connectionEncrypters: [watched],
    streamMuxers: [yamux()],
    // One stream at a time, the default, is refused while the last one is still closing.
    services: {
      identify: identify({ maxInboundStreams: 64, maxOutboundStreams: 64 }),
      identifyPush: identifyPush(),
      ping: ping({ maxInboundStreams: 64, maxOutboundStreams: 64 })
    },
    // In a browser it would refuse loopback addresses, and WebSockets without TLS.
    connectionGater: { denyDialMultiaddr: () => false },
    connectionMonitor: { enabled: false },
    start: false
  })
  node.addEventListener('peer:identify', (evt) => { identified.set(evt.detail.connection.id, evt.detail) })
  await node.handle(ECHO, (stream, connection) => {
    // Only yamux bears a pause in js-libp2p: over WebRTC nobody holds the sender back, and more than 4 MiB reset the stream;
    // @libp2p/webtransport 6.0.39 reads on with a reader that it has let go of, and so loses it.
    if (connection.multiplexer !== '/yamux/1.0.0') {
      stream.pause = () => {}
    }
    echo(stream)
  }, { maxInboundStreams: MAX_STREAMS })
  await node.start()
  return node
}

// reach returns the connection to the peer at an address, dialled if there is none.
const reach = (node, req, signal) => node.dial(multiaddr(req.addr), { signal })

const open = (connection, signal) => {
  return connection.newStream(ECHO, { signal, maxOutboundStreams: MAX_STREAMS })
}

const describe = (node, connection) => connectionOf(node, connection, early.get(connection.remotePeer.toString()))

const commands = {
  async connect (node, req, signal) {
    return describe(node, await reach(node, req, signal))
  },

  async disconnect (node, req, signal) {
    await node.hangUp(peerIdFromString(req.peer), { signal })
    return {}
  },

  async ping (node, req, signal) {
    const connection = await reach(node, req, signal)
    const rtts = []
    for (let i = 0; i < req.count; i++) {
      rtts.push(await node.services.ping.ping(connection.remotePeer, { signal }))
    }
    return { ...describe(node, connection), rtts_ms: rtts }
  },

  async echo (node, req, signal) {
    const connection = await reach(node, req, signal)
    const each = Math.floor(req.bytes / req.streams)
    const start = performance.now()
    await Promise.all(Array.from({ length: req.streams }, async () => {
      await echoOnce(await open(connection, signal), each, signal)
    }))
    const ms = performance.now() - start
    return { ...describe(node, connection), transfer: { bytes: each * req.streams, streams: req.streams, ms } }
  },

  async 'half-close' (node, req, signal) {
    const connection = await reach(node, req, signal)
    await halfCloseOnce(await open(connection, signal), req.bytes, signal)
    return describe(node, connection)
  },

  // reset breaks one stream in use and shows that its connection does not mind.
  async reset (node, req, signal) {
    const connection = await reach(node, req, signal)
    const stream = await open(connection, signal)
    const back = heard(stream, 'message', signal)
    stream.send(Uint8Array.of(1))
    await back
    stream.abort(new Error('reset as asked'))
    await echoOnce(await open(connection, signal), 1024, signal)
    return describe(node, connection)
  },

  async sequence (node, req, signal) {
    const connection = await reach(node, req, signal)
    for (let i = 0; i < req.count; i++) {
      await echoOnce(await open(connection, signal), req.bytes, signal)
    }
    return describe(node, connection)
  },

  // identify reports what the peer said on a new connection: js-libp2p asks once a connection.
  async identify (node, req, signal) {
    await node.hangUp(peerIdFromString(req.addr.split('/p2p/').at(-1)), { signal })
    const connection = await reach(node, req, signal)
    while (!identified.has(connection.id)) {
      await heard(node, 'peer:identify', signal)
    }
    const it = identified.get(connection.id)
    return { ...describe(node, connection), identify: identityOf(it, publicKeyFromProtobuf(it.publicKey)) }
  }
}

const started = startNode()

window.ready = async () => ({ event: 'ready', peer: (await started).peerId.toString(), addrs: [] })

window.answer = async (req) => {
  const command = commands[req.cmd]
  if (command == null) {
    return { id: req.id, event: 'error', error: `unknown command ${req.cmd}` }
  }
  try {
    const signal = AbortSignal.timeout(req.timeout_ms ?? DEFAULT_TIMEOUT_MS)
    const reply = await command(await started, { streams: 1, bytes: 0, count: 1, ...req }, signal)
    return { id: req.id, event: 'result', ...reply }
  } catch (err) {
    return { id: req.id, event: 'error', error: `${err.name}: ${err.message}` }
  }
}

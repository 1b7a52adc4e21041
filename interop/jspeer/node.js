// The node itself: TCP, WebSockets, QUIC and WebRTC-direct, the wanted security, yamux, identify and ping, and the test
// protocols. It refuses nothing, because the limits under test are Troupe's.
import { readFileSync } from 'node:fs'
import { quic } from '@chainsafe/libp2p-quic'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify, identifyPush } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { webRTCDirect } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { serve } from './serve.js'

const KEY_TYPES = { ed25519: 'Ed25519', secp256k1: 'secp256k1', ecdsa: 'ECDSA', rsa: 'RSA' }
const RSA_BITS = 2048

// cert is a file with a certificate and its key, to show over /tls/ws; psk one with the key of a private
// network.
export async function startNode ({ listen, security, key, cert, psk, noEarly }) {
  if (KEY_TYPES[key] == null) {
    throw new Error(`unknown key type ${key}: ed25519, secp256k1, ecdsa or rsa`)
  }
  const encrypters = { noise: [noise()], tls: [tls()], both: [noise(), tls()] }[security]
  if (encrypters == null) {
    throw new Error(`unknown security ${security}: noise, tls or both`)
  }
  const shown = cert === '' ? undefined : readFileSync(cert)
  // By peer and direction: whether the last handshake agreed on the muxer too.
  const early = new Map()
  const node = await createLibp2p({
    privateKey: await generateKeyPair(KEY_TYPES[key], key === 'rsa' ? RSA_BITS : undefined),
    nodeInfo: { name: 'jspeer', userAgent: 'jspeer/1' },
    addresses: { listen },
    transports: [tcp(), webSockets({ https: { cert: shown, key: shown } }), quic(), webRTCDirect()],
    connectionEncrypters: encrypters.map((make) => watched(make, early, noEarly)),
    streamMuxers: [yamux()],
    connectionProtector: psk === '' ? undefined : preSharedKey({ psk: readFileSync(psk) }),
    // One stream at a time, the default, is refused while the last one is still closing.
    services: {
      identify: identify({ maxInboundStreams: 64, maxOutboundStreams: 64 }),
      identifyPush: identifyPush(),
      ping: ping({ maxInboundStreams: 64, maxOutboundStreams: 64 })
    },
    connectionGater: { denyDialMultiaddr: () => false },
    connectionManager: { inboundConnectionThreshold: Infinity, maxConnections: 10_000 },
    connectionMonitor: { enabled: false },
    start: false
  })
  const peer = { node, early, identified: new Map(), identifySent: 0 }
  node.addEventListener('peer:identify', (evt) => { peer.identified.set(evt.detail.connection.id, evt.detail) })
  await serve(peer)
  countIdentifyAnswers(peer)
  await node.start()
  return peer
}

// countIdentifyAnswers stands in the way of the identify handler, before it is registered. (A
// middleware of the registrar would do, but js-libp2p 3.3 then runs the handler for its own
// outbound streams as well.)
function countIdentifyAnswers (peer) {
  const service = peer.node.services.identify
  const answer = service.handleProtocol.bind(service)
  service.handleProtocol = (stream, connection) => {
    peer.identifySent++
    return answer(stream, connection)
  }
}

// watched wraps an encrypter to see whether the muxer came out of the handshake, and to forbid
// it when the multistream fallback is wanted.
function watched (make, early, noEarly) {
  return (components) => {
    const encrypter = make(components)
    const secure = (direction, run) => async (connection, options) => {
      const secured = await run(connection, noEarly ? { ...options, skipStreamMuxerNegotiation: true } : options)
      early.set(`${direction} ${secured.remotePeer}`, secured.streamMuxer != null)
      return secured
    }
    return {
      protocol: encrypter.protocol,
      secureInbound: secure('inbound', encrypter.secureInbound.bind(encrypter)),
      secureOutbound: secure('outbound', encrypter.secureOutbound.bind(encrypter))
    }
  }
}

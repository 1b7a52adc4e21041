// js-libp2p's peer of the official interoperability tests. It keeps to ../contract/doc.go, and
// shares no code with the peers in Go, so that they cannot all be wrong in the same way.
//
//   environment -> node -> Redis -> a listener waits to be killed, a dialer pings once and prints
import { webcrypto } from 'node:crypto'
import { identify } from '@libp2p/identify'
import { mplex } from '@libp2p/mplex'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { plaintext } from '@libp2p/plaintext'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createClient } from '@redis/client'
import { createLibp2p } from 'libp2p'

const env = process.env

// What js-libp2p in Node has of the contract's tables. A transport without own: true is secured and
// multiplexed. Those with native code are loaded when they are wanted.
const TRANSPORTS = {
  tcp: { make: () => tcp(), listen: '/tcp/0' },
  ws: { make: () => webSockets(), listen: '/tcp/0/ws' },
  wss: { make: async () => webSockets({ https: await selfSigned() }), listen: '/tcp/0/wss' },
  'quic-v1': { make: async () => (await import('@chainsafe/libp2p-quic')).quic(), listen: '/udp/0/quic-v1', own: true },
  'webrtc-direct': { make: async () => (await import('@libp2p/webrtc')).webRTCDirect(), listen: '/udp/0/webrtc-direct', own: true }
}
const SECURITIES = { noise, tls, plaintext }
const MUXERS = { yamux, mplex }

// The two spellings of the contract.
const SUITES = {
  testPlans: {
    transport: 'transport', security: 'security', muxer: 'muxer', dialer: 'is_dialer', ip: 'ip',
    redis: () => env.redis_addr ?? 'redis:6379',
    key: () => 'listenerAddr',
    seconds: () => env.test_timeout_seconds ?? env.test_timeout_secs,
    print: (handshake, rtt) => JSON.stringify({ handshakePlusOneRTTMillis: handshake, pingRTTMilllis: rtt }) + '\n'
  },
  unifiedTesting: {
    transport: 'TRANSPORT', security: 'SECURE_CHANNEL', muxer: 'MUXER', dialer: 'IS_DIALER', ip: 'LISTENER_IP',
    redis: () => required('REDIS_ADDR'),
    key: () => `${required('TEST_KEY')}_listener_multiaddr`,
    seconds: () => env.TEST_TIMEOUT_SECS,
    print: (handshake, rtt) => `latency:\n  handshake_plus_one_rtt: ${handshake}\n  ping_rtt: ${rtt}\n  unit: ms\n`
  }
}

function required (name) {
  if (!env[name]) {
    throw new Error(`${name} is not set`)
  }
  return env[name]
}

function oneOf (table, name) {
  const value = required(name)
  if (!Object.hasOwn(table, value)) {
    throw new Error(`${name}: unsupported ${JSON.stringify(value)}: js-libp2p has ${Object.keys(table).join(', ')}`)
  }
  return table[value]
}

// selfSigned makes a certificate that nobody has a reason to trust: the contract has none to give.
async function selfSigned () {
  await import('reflect-metadata') // which x509 expects to be there
  const x509 = await import('@peculiar/x509')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=libp2p interop', signingAlgorithm: algorithm, keys
  }, webcrypto)
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
  const lines = key.match(/.{1,64}/g).join('\n')
  return { cert: cert.toString('pem'), key: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n` }
}

async function startNode (suite, dialer) {
  const transport = oneOf(TRANSPORTS, suite.transport)
  const secured = transport.own
    ? {}
    : { connectionEncrypters: [oneOf(SECURITIES, suite.security)()], streamMuxers: [oneOf(MUXERS, suite.muxer)()] }
  const ip = env[suite.ip] || '0.0.0.0'
  return createLibp2p({
    ...secured,
    transports: [await transport.make()],
    addresses: { listen: dialer ? [] : [`/${ip.includes(':') ? 'ip6' : 'ip4'}/${ip}${transport.listen}`] },
    services: { identify: identify(), ping: ping() },
    connectionGater: { denyDialMultiaddr: () => false },
    connectionMonitor: { enabled: false }
  })
}

// reachable is the first address that does not lead back to the container that dials.
function reachable (node) {
  const all = node.getMultiaddrs().map(String)
  return all.find((a) => !/^\/ip4\/127\.|^\/ip6\/(::1|fe80:)/.test(a)) ?? all[0]
}

async function play () {
  if (env.transport && env.TRANSPORT) {
    throw new Error('both transport and TRANSPORT are set: one of them is of another suite')
  }
  const suite = env.TRANSPORT ? SUITES.unifiedTesting : SUITES.testPlans
  const dialer = { true: true, false: false }[required(suite.dialer)]
  if (dialer == null) {
    throw new Error(`${suite.dialer} is ${env[suite.dialer]}: want true or false`)
  }
  const seconds = Number(suite.seconds() ?? 180)
  if (!(seconds > 0)) {
    throw new Error(`the timeout is ${suite.seconds()}: want seconds`)
  }
  setTimeout(() => fail(new Error(`not done within ${seconds} s`)), seconds * 1000)

  const node = await startNode(suite, dialer)
  const redis = createClient({ url: `redis://${suite.redis()}`, RESP: 2, disableClientInfo: true })
  redis.on('error', (err) => console.error(`redis: ${err.message || err.code}`)) // it tries again by itself
  await redis.connect()

  if (!dialer) {
    const addr = reachable(node)
    await redis.rPush(suite.key(), addr)
    console.error(`listening on ${addr}`)
    return // and wait
  }
  const { element } = await redis.blPop(suite.key(), seconds)
  // js-libp2p knows the short form better: https://github.com/multiformats/js-multiaddr-to-uri/pull/120
  const addr = multiaddr(element.replace('/tls/ws', '/wss'))
  console.error(`dialling ${addr}`)
  const signal = AbortSignal.timeout(seconds * 1000)
  const start = performance.now()
  await node.dial(addr, { signal })
  const before = performance.now()
  await node.services.ping.ping(addr, { signal })
  const end = performance.now()
  process.stdout.write(suite.print(end - start, end - before), () => process.exit(0))
}

function fail (err) {
  console.error(`contract.js: ${(env.DEBUG === 'true' && err.stack) || err.message || err}`)
  process.exit(1)
}

// A dialer over wss checks the peer inside, and no certificate.
env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
play().catch(fail)

// A js-libp2p node that does what a test tells it, line by line. The language is that of
// ../control/control.go; this program knows the commands listed in commands.js and answers the
// others with an error.
//
//   flags -> node -> {"event":"ready"} -> one promise a command -> end of stdin -> stop
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { commands } from './commands.js'
import { startNode } from './node.js'

const { values: flags } = parseArgs({
  options: {
    listen: { type: 'string', default: '' },
    security: { type: 'string', default: 'both' },
    key: { type: 'string', default: 'ed25519' },
    cert: { type: 'string', default: '' },
    psk: { type: 'string', default: '' },
    'no-early': { type: 'boolean', default: false }
  }
})

const DEFAULT_TIMEOUT_MS = 60_000

const print = (reply) => process.stdout.write(JSON.stringify(reply) + '\n')

async function answer (peer, req) {
  const command = commands[req.cmd]
  if (command == null) {
    return { id: req.id, event: 'error', error: `unknown command ${req.cmd}` }
  }
  const signal = AbortSignal.timeout(req.timeout_ms ?? DEFAULT_TIMEOUT_MS)
  try {
    const reply = await command(peer, { protocol: '/troupe/echo/1.0.0', streams: 1, concurrency: 1, bytes: 0, count: 1, ...req }, signal)
    return { id: req.id, event: 'result', ...reply }
  } catch (err) {
    return { id: req.id, event: 'error', error: `${err.name}: ${err.message}` }
  }
}

const peer = await startNode({
  listen: flags.listen === '' ? [] : flags.listen.split(','),
  security: flags.security,
  key: flags.key,
  cert: flags.cert,
  psk: flags.psk,
  noEarly: flags['no-early']
})
print({ event: 'ready', peer: peer.node.peerId.toString(), addrs: peer.node.getMultiaddrs().map(String) })

const running = new Set()
for await (const line of createInterface({ input: process.stdin })) {
  const done = answer(peer, JSON.parse(line)).then(print).finally(() => running.delete(done))
  running.add(done)
}
await peer.node.stop()
await Promise.allSettled(running)
process.exit(0)

// Helpers that read and write one stream without holding more than its windows.
import { createHash, createCipheriv } from 'node:crypto'
import { MAX_STREAMS, whenRead } from './serve.js'

const CHUNK = 64 * 1024

export async function open (connection, protocol, signal) {
  return connection.newStream(protocol, { signal, maxOutboundStreams: MAX_STREAMS })
}

// payload yields bytes that no codec can guess, the same for the same seed.
function * payload (seed, size) {
  const key = Buffer.alloc(32)
  key.writeUInt32LE(seed)
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  const zeros = Buffer.alloc(CHUNK)
  for (let left = size; left > 0; left -= CHUNK) {
    yield cipher.update(zeros.subarray(0, Math.min(left, CHUNK)))
  }
}

// received resolves at the orderly end of the stream, with what came. It must be called in the
// turn in which the stream was opened, before anything can arrive unheard.
export function received (stream) {
  const hash = createHash('sha256')
  let bytes = 0
  return new Promise((resolve, reject) => {
    stream.addEventListener('close', (evt) => { if (evt.error != null) reject(evt.error) }, { once: true })
    whenRead(stream, (data) => {
      bytes += data.byteLength
      hash.update(data.subarray())
    }, () => {
      // After a reset js-libp2p reports the end of data first and the reset behind it.
      if (stream.status !== 'reset' && stream.status !== 'aborted') {
        resolve({ bytes, sha256: hash.digest('hex') })
      }
    })
  })
}

// sendAll writes size bytes and ends our direction.
export async function sendAll (stream, seed, size, signal) {
  const hash = createHash('sha256')
  for (const part of payload(seed, size)) {
    hash.update(part)
    if (!stream.send(part)) {
      await stream.onDrain({ signal })
    }
  }
  await stream.close({ signal })
  return hash.digest('hex')
}

// echoOnce sends size bytes while it reads them back and compares the two.
export async function echoOnce (stream, seed, size, signal) {
  const abort = () => stream.abort(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    const [got, sent] = await Promise.all([received(stream), sendAll(stream, seed, size, signal)])
    if (got.bytes !== size || got.sha256 !== sent) {
      throw new Error(`${got.bytes} bytes came back for ${size}, or they differ`)
    }
    return sent
  } catch (err) {
    stream.abort(err)
    throw err
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

// Helpers that have one stream echo bytes, and compare what comes back as it comes.
import { whenRead } from '../jspeer/serve.js'

const CHUNK = 64 * 1024 // no more random bytes are given at once

// heard resolves with the next event of a type.
export function heard (target, type, signal) {
  return new Promise((resolve, reject) => {
    target.addEventListener(type, resolve, { once: true })
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

// payload is bytes that no codec can guess.
function payload (size) {
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; at += CHUNK) {
    crypto.getRandomValues(bytes.subarray(at, at + CHUNK))
  }
  return bytes
}

// returned resolves at the orderly end of the stream, if it brought those bytes and no others. What came before it was
// called waits in the stream, but a reset does not.
function returned (stream, sent) {
  let got = 0
  return new Promise((resolve, reject) => {
    stream.addEventListener('close', (evt) => { if (evt.error != null) reject(evt.error) }, { once: true })
    whenRead(stream, (data) => {
      const bytes = data.subarray()
      const wrong = bytes.findIndex((byte, i) => byte !== sent[got + i])
      if (wrong >= 0) {
        reject(new Error(`byte ${got + wrong} of ${sent.length} came back as another`))
      }
      got += bytes.length
    }, () => {
      // After a reset js-libp2p reports the end of data first and the reset behind it.
      if (stream.status === 'reset' || stream.status === 'aborted') {
        return
      }
      got === sent.length ? resolve() : reject(new Error(`${got} bytes of ${sent.length} came back`))
    })
  })
}

// sendAll writes bytes and ends our direction.
async function sendAll (stream, bytes, signal) {
  for (let at = 0; at < bytes.length; at += CHUNK) {
    if (!stream.send(bytes.subarray(at, at + CHUNK))) {
      await stream.onDrain({ signal })
    }
  }
  await stream.close({ signal })
}

// guarded ends a stream with the time that it has, or with a failure.
async function guarded (stream, signal, run) {
  const abort = () => stream.abort(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await run()
  } catch (err) {
    stream.abort(err)
    throw err
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

// echoOnce sends size bytes while it reads them back.
export function echoOnce (stream, size, signal) {
  const bytes = payload(size)
  return guarded(stream, signal, () => Promise.all([returned(stream, bytes), sendAll(stream, bytes, signal)]))
}

// halfCloseOnce writes everything and FIN before it looks at what came back, so the bytes must fit the windows.
export function halfCloseOnce (stream, size, signal) {
  const bytes = payload(size)
  return guarded(stream, signal, async () => {
    await sendAll(stream, bytes, signal)
    let refused = false
    try { stream.send(new Uint8Array(1)) } catch { refused = true }
    if (!refused) {
      throw new Error('a write after close was taken')
    }
    if (stream.status === 'reset' || stream.status === 'aborted') {
      throw new Error(`the stream is ${stream.status}`)
    }
    await returned(stream, bytes)
  })
}

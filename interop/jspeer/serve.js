// The test protocols. Reading is paused while the other direction is full, so that this peer
// holds no more than its windows.
export const MAX_STREAMS = 4096

export async function serve (peer) {
  const options = { maxInboundStreams: MAX_STREAMS, maxOutboundStreams: MAX_STREAMS }
  await peer.node.handle('/troupe/echo/1.0.0', echo, options)
  await peer.node.handle('/troupe/reset/1.0.0', reset, options)
}

export function echo (stream) {
  whenRead(stream, (data) => {
    if (!stream.send(data)) {
      stream.pause()
      stream.onDrain().then(() => { if (stream.readStatus === 'paused') stream.resume() }, () => {})
    }
  }, () => { stream.close().catch((err) => stream.abort(err)) })
}

// whenRead calls each for what arrives and end once behind the last of it. The event 'end' alone
// does not say that: if a short message and its end were read together with the negotiation of
// the protocol, then the end has been told already and the message is still to come.
export function whenRead (stream, each, end) {
  const drained = () => stream.readableEnded && stream.readBufferLength === 0
  let told = false
  const tell = () => {
    if (!told && drained()) {
      told = true
      end()
    }
  }
  stream.addEventListener('message', (evt) => {
    each(evt.data)
    tell()
  })
  stream.addEventListener('end', tell, { once: true })
  tell()
}

// js-libp2p cannot put a code on the wire: the four bytes of the code are read and forgotten.
function reset (stream) {
  let got = 0
  stream.addEventListener('message', (evt) => {
    got += evt.data.byteLength
    if (got >= 4) {
      stream.abort(new Error('reset as asked'))
    }
  })
}

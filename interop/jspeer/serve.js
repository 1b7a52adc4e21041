// The test protocols. Reading is paused while the other direction is full, so that this peer
// holds no more than its windows.
export const MAX_STREAMS = 4096

export async function serve (peer) {
  const options = { maxInboundStreams: MAX_STREAMS, maxOutboundStreams: MAX_STREAMS }
  await peer.node.handle('/troupe/echo/1.0.0', echo, options)
  await peer.node.handle('/troupe/reset/1.0.0', reset, options)
}

function echo (stream) {
  stream.addEventListener('message', (evt) => {
    if (!stream.send(evt.data)) {
      stream.pause()
      stream.onDrain().then(() => { if (stream.readStatus === 'paused') stream.resume() }, () => {})
    }
  })
  const close = () => { stream.close().catch((err) => stream.abort(err)) }
  if (stream.readableEnded) {
    close()
  } else {
    stream.addEventListener('end', close, { once: true })
  }
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

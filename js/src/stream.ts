// Streams and buffers as async iterables of pieces. In Safari, streams are none by themselves.

export type Pieces<T> = AsyncIterable<T>;

const PIECE_BYTES = 1 << 20;

/** The chunks of a stream; leaving the loop cancels it. */
export async function* streamPieces<T>(stream: ReadableStream<T>): AsyncGenerator<T> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** The stream, with the iterator that some browsers leave out. */
export function iterable<T>(stream: ReadableStream<T>): ReadableStream<T> & AsyncIterable<T> {
  if (!(Symbol.asyncIterator in stream)) {
    Object.defineProperty(stream, Symbol.asyncIterator, { value: () => streamPieces(stream as ReadableStream<T>) });
  }
  return stream as ReadableStream<T> & AsyncIterable<T>;
}

/** The bytes of a buffer. */
export async function* bytePieces(data: ArrayBuffer | ArrayBufferView): Pieces<Uint8Array> {
  const all = ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
  for (let at = 0; at < all.length; at += PIECE_BYTES) yield all.subarray(at, at + PIECE_BYTES);
}

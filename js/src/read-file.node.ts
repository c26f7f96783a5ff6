import fs from 'node:fs/promises';

const BUFFER_BYTES = 1 << 20;

/** The bytes of a file, in one buffer over and over: a piece is gone when the next is asked for. */
export async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  const handle = await fs.open(path);
  try {
    const buffer = new Uint8Array(BUFFER_BYTES);
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, BUFFER_BYTES);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

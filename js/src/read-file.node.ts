import fs from 'node:fs/promises';

const BUFFER_BYTES = 2 << 20;

/** The bytes of a file, in two buffers by turns: one is read while the other is used. A piece is gone when the next is asked for. */
export async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  const handle = await fs.open(path);
  const read = (buffer: Uint8Array): Promise<{ bytesRead: number; buffer: Uint8Array }> => {
    const result = handle.read(buffer, 0, BUFFER_BYTES);
    result.catch(() => {}); // who awaits it is told; nobody may
    return result;
  };
  let ahead = read(new Uint8Array(BUFFER_BYTES));
  try {
    let spare = new Uint8Array(BUFFER_BYTES);
    for (;;) {
      const { bytesRead, buffer } = await ahead;
      if (bytesRead === 0) return;
      ahead = read(spare);
      yield buffer.subarray(0, bytesRead);
      spare = buffer as Uint8Array<ArrayBuffer>;
    }
  } finally {
    await ahead.catch(() => {});
    await handle.close();
  }
}

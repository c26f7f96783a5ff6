// Recordings other than WAV in Node (mp3, flac, ogg): the decoders of the native command, in a WebAssembly module of
// their own. The file is held as it is; its samples come as they are asked for.
import fs from 'node:fs/promises';
import { SottoError } from './errors.js';
import type { Decoded } from './host.js';

interface Exports {
  memory: WebAssembly.Memory;
  sotto_audio_open(): number;
  sotto_audio_read(): number;
  sotto_audio_samples(): number;
  sotto_audio_problem(): number;
  sotto_audio_close(): void;
}

let compiled: Promise<WebAssembly.Module> | undefined;
const compile = async (): Promise<WebAssembly.Module> =>
  WebAssembly.compile(await fs.readFile(new URL('./audio-decoders.wasm', import.meta.url)));

export async function decode(file: Blob): Promise<Decoded> {
  const rest = new Uint8Array(await file.arrayBuffer());
  let at = 0;
  const read = (to: number, size: number): number => {
    const part = rest.subarray(at, at + (size >>> 0));
    new Uint8Array(x.memory.buffer).set(part, to >>> 0);
    at += part.length;
    return part.length;
  };
  const instance = await WebAssembly.instantiate(await (compiled ??= compile()), { env: { read } });
  const x = instance.exports as unknown as Exports;
  const check = (): void => {
    const p = x.sotto_audio_problem() >>> 0;
    if (p === 0) return;
    const bytes = new Uint8Array(x.memory.buffer);
    throw new SottoError('format', new TextDecoder().decode(bytes.subarray(p, bytes.indexOf(0, p))));
  };
  if (x.sotto_audio_open() === 0) check();

  async function* pieces(): AsyncGenerator<Float32Array> {
    for (let n; (n = x.sotto_audio_read()) > 0;) {
      yield new Float32Array(x.memory.buffer, x.sotto_audio_samples() >>> 0, n).slice();
    }
    check();
    x.sotto_audio_close();
  }
  return { pieces: pieces(), rate: 16000 };
}

// The engine's WebAssembly on a GPU or on the CPU, called directly: for tests that compare both.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { openDevice } from '../../js/src/gpu/device.ts';
import { Player } from '../../js/src/gpu/player.ts';
import { readSources } from './harness.mjs';

export const root = path.join(import.meta.dirname, '../..');
const file = path.join(root, 'js/dist/sotto-relaxed-single.wasm');
export const hasEngine = existsSync(file);

const AGAIN = 1;

export class Engine {
  /** device: as openDevice takes it; undefined: on the CPU. */
  static async open(device) {
    const player = device && new Player(await openDevice(device), { sources: readSources() });
    const noGpu = Object.fromEntries(
      ['traits', 'buffer_open', 'buffer_close', 'write', 'kernel_open', 'play', 'read_open', 'read_take', 'read_drop'].map(
        (name) => [`gpu_${name}`, () => 0],
      ),
    );
    const env = { now_ms: () => performance.now(), ...(player?.imports ?? noGpu) };
    const { exports: x } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), { env });
    player?.attach(x.memory);
    return new Engine(x, player);
  }

  constructor(x, player) {
    Object.assign(this, { x, player, row: x.sotto_wasm_alloc(320) });
    this.engine = x.sotto_wasm_engine_open(1, player ? 1 : 0);
    if (!this.engine) throw new Error('the engine could not be opened');
  }

  get backend() {
    return this.text(this.x.sotto_wasm_engine_backend(this.engine));
  }

  text(p) {
    return Buffer.from(new Uint8Array(this.x.memory.buffer, p >>> 0, 4000)).toString('utf8').split('\0')[0];
  }

  put(bytes) {
    const p = this.x.sotto_wasm_alloc(bytes.length + 1) >>> 0;
    new Uint8Array(this.x.memory.buffer, p, bytes.length).set(bytes);
    return p;
  }

  with(bytes, fn) {
    const p = this.put(bytes);
    const result = fn(p, bytes.length);
    this.x.sotto_wasm_free(p);
    return result;
  }

  values(n) {
    return Array.from(new Float64Array(this.x.memory.buffer, this.row >>> 0, n));
  }

  check(status) {
    if (status < 0) throw new Error(this.text(this.x.sotto_wasm_error(this.engine)) || `status ${status}`);
    return status;
  }

  /** Calls fn until it gives something else than AGAIN. */
  async finish(fn) {
    for (;;) {
      const status = this.check(fn());
      if (status !== AGAIN) return status;
      await this.player?.settled();
      this.player?.check();
    }
  }

  /** Files of one model; those with another name than the first byte tells are named. */
  load(files, named = true) {
    const model = this.x.sotto_wasm_model_open(this.engine);
    for (const name of files) {
      if (named) this.with(Buffer.from(`${path.basename(name)}\0`), (p) => this.check(this.x.sotto_wasm_model_file(model, p)));
      const bytes = readFileSync(name);
      for (let at = 0; at < bytes.length; at += 1 << 20)
        this.with(bytes.subarray(at, at + (1 << 20)), (p, n) => this.check(this.x.sotto_wasm_model_feed(model, p, n)));
    }
    this.check(this.x.sotto_wasm_model_finish(model));
    return model;
  }

  session(model, options) {
    const o = this.x.sotto_wasm_session_options();
    for (const [name, value] of Object.entries(options))
      this.with(Buffer.from(`${name}\0`), (p) => this.x.sotto_wasm_session_option(o, p, value));
    this.check(this.x.sotto_wasm_session_open(model, o, this.row));
    this.x.sotto_wasm_free(o);
    return this.values(1)[0];
  }

  /** Logits of the last token, or of the one `back` before. */
  logits(session, nVocab, back = 0) {
    const p = this.x.sotto_wasm_session_logits(session, back) >>> 0;
    return p && Float32Array.from(new Float32Array(this.x.memory.buffer, p, nVocab));
  }

  /** Evaluates ids. */
  async sync(session, ids) {
    this.with(new Uint8Array(Int32Array.from(ids).buffer), (p) =>
      this.check(this.x.sotto_wasm_session_sync(session, p, ids.length)),
    );
    await this.finish(() => this.x.sotto_wasm_session_step(session));
  }

  /** The likeliest n tokens after `ids`, one after the other. */
  async greedy(session, ids, n, nVocab) {
    const out = [];
    for (let i = 0; i < n; i++) {
      await this.sync(session, [...ids, ...out]);
      const logits = this.logits(session, nVocab);
      out.push(logits.indexOf(Math.max(...logits)));
    }
    return out;
  }

  async save(session) {
    const n = this.x.sotto_wasm_session_save_bytes(session);
    const p = this.x.sotto_wasm_alloc(n) >>> 0;
    await this.finish(() => this.x.sotto_wasm_session_save(session, p, n, this.row));
    const bytes = new Uint8Array(this.x.memory.buffer, p, n).slice();
    this.x.sotto_wasm_free(p);
    return bytes;
  }

  restore(session, bytes) {
    this.with(bytes, (p, n) => this.check(this.x.sotto_wasm_session_restore(session, p, n)));
  }

  async fork(session) {
    await this.finish(() => this.x.sotto_wasm_session_fork(session, this.row));
    return this.values(1)[0];
  }

  /** The text of samples at 16 kHz, of half a minute at most. */
  async transcribe(model, samples) {
    const t = this.x.sotto_wasm_transcription_open(model, 0);
    if (!t) throw new Error(this.text(this.x.sotto_wasm_error(this.engine)));
    const pushed = this.with(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength), (p) =>
      this.x.sotto_wasm_transcription_push(t, p, samples.length),
    );
    if (pushed < samples.length) throw new Error('more than half a minute of samples');
    this.x.sotto_wasm_transcription_end(t);
    let text = '';
    const segments = () => {
      while (this.x.sotto_wasm_segment(t, this.row)) text += this.text(this.values(3)[2]);
    };
    await this.finish(() => {
      const status = this.x.sotto_wasm_transcription_step(t);
      segments();
      return status === 2 ? AGAIN : status;
    });
    this.x.sotto_wasm_transcription_close(t);
    return text.trim();
  }

  async close() {
    this.x.sotto_wasm_engine_close(this.engine);
    const left = this.player?.bufferBytes ?? 0;
    await this.player?.finished();
    this.player?.close();
    if (left > 0) throw new Error(`${left} bytes are left on the GPU`);
  }
}

/** A NumPy array of little-endian float32 in C order. */
export function readNpy(name) {
  const bytes = readFileSync(name);
  const header = bytes.subarray(10, 10 + bytes.readUInt16LE(8)).toString('latin1');
  const shape = /'shape': \(([\d, ]*)\)/.exec(header)[1].split(',').filter((s) => s.trim()).map(Number);
  if (!/'<f4'/.test(header)) throw new Error(`${name}: not float32`);
  return { shape, data: new Float32Array(bytes.buffer.slice(bytes.byteOffset + 10 + header.length, bytes.byteOffset + bytes.length)) };
}

/** Samples of a 16-bit mono WAV file, of 16 kHz, scaled to [-1, 1). */
export function readWav(name) {
  const bytes = readFileSync(name);
  const at = bytes.indexOf('data') + 8;
  return Float32Array.from({ length: (bytes.length - at) >> 1 }, (_, i) => bytes.readInt16LE(at + 2 * i) / 32768);
}

export function relativeError(is, should) {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < should.length; i++) {
    difference += (is[i] - should[i]) ** 2;
    norm += should[i] ** 2;
  }
  return Math.sqrt(difference / norm);
}

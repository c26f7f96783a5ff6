// Runs of native engines: a process for each ─> load ─> once to warm up ─> the measurements, as run.js has them for pages.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { peakOf, root } from '../../places.mjs';
import { digitsOf } from '../adapters/digits.js';
import { MODELS, PEERS } from '../peers.js';
import { contextOf, measureWith } from '../run.js';

/** { program, backends, version } of a native peer; undefined: it is not built. */
export function builtPeer(name) {
  const file = path.join(root, PEERS[name].native);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

/** A program of llama.c or whisper.c. One request at a time; all reject when it ends. */
export class Engine {
  #child;
  #kept = Buffer.alloc(0);
  #waiting;
  #ended;
  #messages = '';

  constructor(program, args) {
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdout.on('data', (part) => {
      this.#kept = Buffer.concat([this.#kept, part]);
      this.#look();
    });
    this.#child.stderr.on('data', (part) => (this.#messages = (this.#messages + part).slice(-2000)));
    this.#child.stdin.on('error', () => {}); // it has ended: 'close' tells why
    this.#child.on('error', (error) => this.#end(error.message));
    this.#child.on('close', (code, signal) => this.#end(`${path.basename(program)} ended with ${signal ?? code}: ${this.#messages.trim().split('\n').at(-1)}`));
  }

  get pid() {
    return this.#child.pid;
  }

  #end(message) {
    this.#ended ??= new Error(message);
    this.#waiting?.reject(this.#ended);
    this.#waiting = undefined;
  }

  /** Hands over the answer when it is whole. */
  #look() {
    const line = this.#kept.indexOf(10);
    if (line < 0 || !this.#waiting) return;
    const [bytes, ...numbers] = this.#kept.toString('latin1', 0, line).split(' ').map(Number);
    if (this.#kept.length < line + 1 + bytes) return;
    const text = this.#kept.toString('utf8', line + 1, line + 1 + bytes);
    this.#kept = this.#kept.subarray(line + 1 + bytes);
    this.#waiting.resolve({ text, numbers });
    this.#waiting = undefined;
  }

  /** The next answer: { text, numbers }. */
  next() {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      this.#waiting = { resolve, reject };
      this.#look();
    });
  }

  ask(body, ...numbers) {
    const answered = this.next();
    this.#child.stdin.write([body.length, ...numbers].join(' ') + '\n');
    this.#child.stdin.write(body);
    return answered;
  }

  stop() {
    this.#child.kill('SIGKILL');
  }
}

/** Instruction sets that an engine tells of: those of 512 bits, or else the others with vectors. */
export function instructionSets(system) {
  const all = [...system.matchAll(/(\w+) = 1\b/g)].map(([, name]) => name);
  const wide = all.filter((name) => name.startsWith('AVX512'));
  return wide.length > 0 ? wide : all.filter((name) => /^(AVX|FMA|F16C|NEON|DOTPROD|MATMUL_INT8|SVE|SSE3)/.test(name));
}

/** What adapters have (peers.js), around an engine; closing it is the run's, which first looks at its memory. */
const ADAPTERS = {
  whisper: (engine) => ({
    transcribe: async ({ samples }) => (await engine.ask(Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength))).text,
    close() {},
  }),

  gemma: (engine) => ({
    async generate({ prefill, decode, seed }) {
      const [prefill_us, decode_us, n_decode, n_prompt] = (await engine.ask(Buffer.from(digitsOf(prefill, seed)), decode, 0)).numbers;
      if (n_prompt !== prefill + 1) throw new Error(`it evaluated ${n_prompt} tokens of a prompt of ${prefill + 1}`);
      return { prefill_ms: prefill_us / 1e3, decode_ms: decode_us / 1e3, n_decode };
    },
    complete: async (text, n) => (await engine.ask(Buffer.from(text), n, 1)).text,
    close() {},
  }),
};

const fileOf = (address) => path.join(root, address);
const read = async (address) => new Blob([readFileSync(fileOf(address))]);

/**
 * One run as run.js has it, in a process of its own that is ended after `limit_s`. Never rejects: what went wrong is `error`, beside what was told until
 * then. The model is read from its file, which is in the system's memory.
 */
export async function runNative(what, limit_s) {
  const { kind, address } = MODELS[what.model] ?? what;
  const { program, backends } = builtPeer(what.peer);
  const result = { measures: [] };
  const tell = ({ measure, ...rest }) => {
    Object.assign(result, rest);
    if (measure) result.measures.push(measure);
  };
  readFileSync(fileOf(address)); // into the system's memory, before the time of loading
  const start = performance.now();
  const engine = new Engine(program, [fileOf(address), String(what.threads), ...(kind === 'gemma' ? [String(contextOf(what)), backends] : [])]);
  const timer = setTimeout(() => engine.stop(), limit_s * 1e3);
  const stop = () => engine.stop();
  process.once('exit', stop); // interrupted, too
  try {
    const { text: system } = await engine.next();
    tell({ load_ms: performance.now() - start, build: ['native', ...instructionSets(system)].join(' '), threads: what.threads, system });
    await measureWith(ADAPTERS[kind](engine), kind, what, read, tell);
  } catch (error) {
    result.error = performance.now() - start > limit_s * 1e3 ? `it took more than ${limit_s} s` : error.message;
  } finally {
    clearTimeout(timer);
    result.peak_bytes = peakOf(engine.pid);
    engine.stop();
    process.off('exit', stop);
  }
  return result;
}

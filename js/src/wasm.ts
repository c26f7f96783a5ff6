// The engine's WebAssembly module, instantiated: typed calls, and strings and numbers in and out of its memory.
import { codeOfStatus, SottoError } from './errors.js';

/** An address in linear memory; 0 is none. */
export type Pointer = number;

/** What src/wasm.c exports. */
interface Exports {
  memory?: WebAssembly.Memory;
  __stack_pointer?: WebAssembly.Global<'i32'>;
  sotto_wasm_alloc(size: number): Pointer;
  sotto_wasm_free(p: Pointer): void;
  sotto_wasm_engine_open(nThreads: number, backend: number): Pointer;
  sotto_wasm_engine_threads(engine: Pointer): number;
  sotto_wasm_engine_isa(engine: Pointer): Pointer;
  sotto_wasm_error(engine: Pointer): Pointer;
  sotto_wasm_thread(engine: Pointer, index: number): void;
  sotto_wasm_model_open(engine: Pointer): Pointer;
  sotto_wasm_model_file(model: Pointer, name: Pointer): number;
  sotto_wasm_model_feed(model: Pointer, bytes: Pointer, size: number): number;
  sotto_wasm_model_finish(model: Pointer): number;
  sotto_wasm_model_close(model: Pointer): void;
  sotto_wasm_model_describe(model: Pointer, out: Pointer): void;
  sotto_wasm_model_tensor(model: Pointer, index: number, out: Pointer): number;
  sotto_wasm_language(index: number, out: Pointer): number;
  sotto_wasm_options(): Pointer;
  sotto_wasm_option(options: Pointer, name: Pointer, value: number): number;
  sotto_wasm_transcription_open(model: Pointer, options: Pointer): Pointer;
  sotto_wasm_transcription_close(t: Pointer): void;
  sotto_wasm_transcription_push(t: Pointer, samples: Pointer, n: number): number;
  sotto_wasm_transcription_end(t: Pointer): void;
  sotto_wasm_transcription_step(t: Pointer): number;
  sotto_wasm_segment(t: Pointer, out: Pointer): number;
  sotto_wasm_token(tokens: Pointer, index: number, out: Pointer): void;
  sotto_wasm_transcription_language(t: Pointer, out: Pointer): Pointer;
  sotto_wasm_transcription_language_p(t: Pointer, index: number): number;
  sotto_wasm_transcription_progress(t: Pointer, out: Pointer): void;
  sotto_wasm_transcription_timings(t: Pointer, out: Pointer): void;
  sotto_wasm_sampler_options(): Pointer;
  sotto_wasm_sampler_option(options: Pointer, name: Pointer, value: number): number;
  sotto_wasm_logit_biases(n: number): Pointer;
  sotto_wasm_logit_bias(biases: Pointer, index: number, id: number, bias: number): void;
  sotto_wasm_session_options(): Pointer;
  sotto_wasm_session_option(options: Pointer, name: Pointer, value: number): number;
  sotto_wasm_tokenize(
    model: Pointer,
    bytes: Pointer,
    size: number,
    flags: number,
    ids: Pointer,
    capacity: number,
    out: Pointer,
  ): number;
  sotto_wasm_token_piece(model: Pointer, id: number, showControl: number, out: Pointer): Pointer;
  sotto_wasm_token_ends(model: Pointer, id: number): number;
  sotto_wasm_turns(n: number): Pointer;
  sotto_wasm_turn(turns: Pointer, index: number, role: number, bytes: Pointer, size: number): void;
  sotto_wasm_chat_tokens(
    model: Pointer,
    turns: Pointer,
    nTurns: number,
    ids: Pointer,
    capacity: number,
    out: Pointer,
  ): number;
  sotto_wasm_chat_fit(
    model: Pointer,
    turns: Pointer,
    nTurns: number,
    maxTokens: number,
    ids: Pointer,
    capacity: number,
    out: Pointer,
  ): number;
  sotto_wasm_session_bytes(model: Pointer, options: Pointer): number;
  sotto_wasm_session_open(model: Pointer, options: Pointer, out: Pointer): number;
  sotto_wasm_session_fork(session: Pointer, out: Pointer): number;
  sotto_wasm_session_save_bytes(s: Pointer): number;
  sotto_wasm_session_save(s: Pointer, bytes: Pointer, capacity: number, out: Pointer): number;
  sotto_wasm_session_restore(s: Pointer, bytes: Pointer, n: number): number;
  sotto_wasm_session_close(s: Pointer): void;
  sotto_wasm_session_capacity(s: Pointer): number;
  sotto_wasm_session_length(s: Pointer): number;
  sotto_wasm_session_sync(s: Pointer, tokens: Pointer, n: number): number;
  sotto_wasm_session_step(s: Pointer): number;
  sotto_wasm_session_next(s: Pointer, sampler: Pointer, out: Pointer): number;
  sotto_wasm_session_speculation(s: Pointer, out: Pointer): void;
  sotto_wasm_session_n_logits(s: Pointer): number;
  sotto_wasm_session_logits(s: Pointer, back: number): Pointer;
  sotto_wasm_sampler_open(model: Pointer, options: Pointer): Pointer;
  sotto_wasm_sampler_close(s: Pointer): void;
  sotto_wasm_sampler_accept(s: Pointer, id: number): void;
  sotto_wasm_sampler_sample(s: Pointer, logits: Pointer, out: Pointer): number;
  sotto_wasm_sampler_top(s: Pointer, logits: Pointer, n: number, out: Pointer): number;
  sotto_wasm_logprob(logits: Pointer, nVocab: number, id: number): number;
  sotto_wasm_text_stream_open(stops: Pointer, n: number): Pointer;
  sotto_wasm_text_stream_close(s: Pointer): void;
  sotto_wasm_text_stream_push(s: Pointer, bytes: Pointer, size: number, out: Pointer): number;
  sotto_wasm_quantize_options(): Pointer;
  sotto_wasm_quantize_option(options: Pointer, name: Pointer, value: number): number;
  sotto_wasm_quantizer_open(engine: Pointer, options: Pointer): Pointer;
  sotto_wasm_quantizer_close(q: Pointer): void;
  sotto_wasm_quantizer_file(q: Pointer, name: Pointer, bytes: number): number;
  sotto_wasm_quantizer_wants(q: Pointer, out: Pointer): number;
  sotto_wasm_quantizer_give(q: Pointer, file: number, offset: number, bytes: Pointer, n: number): number;
  sotto_wasm_quantizer_describe(q: Pointer, out: Pointer): void;
  sotto_wasm_quantizer_warning(q: Pointer, index: number): Pointer;
  sotto_wasm_quantizer_tensor(q: Pointer, index: number, out: Pointer): number;
  sotto_wasm_quantizer_piece(q: Pointer, index: number, out: Pointer): Pointer;
  sotto_wasm_quantizer_rows(
    q: Pointer,
    index: number,
    first: number,
    n: number,
    source: Pointer,
    out: Pointer,
  ): number;
  sotto_wasm_vad_options(): Pointer;
  sotto_wasm_vad_option(options: Pointer, name: Pointer, value: number): number;
  sotto_wasm_vad_open(engine: Pointer, bytes: Pointer, size: number, options: Pointer): Pointer;
  sotto_wasm_vad_close(v: Pointer): void;
  sotto_wasm_vad_reset(v: Pointer): void;
  sotto_wasm_vad_push(v: Pointer, samples: Pointer, n: number, out: Pointer): number;
  sotto_wasm_vad_next(v: Pointer, out: Pointer): number;
  sotto_wasm_vad_now(v: Pointer, out: Pointer): number;
  sotto_wasm_transcription_skip_silence(t: Pointer, v: Pointer): number;
  sotto_wasm_imatrix_open(model: Pointer): Pointer;
  sotto_wasm_imatrix_close(x: Pointer): void;
  sotto_wasm_imatrix_write(x: Pointer, bytes: Pointer, capacity: number, out: Pointer): number;
  sotto_wasm_resampler_open(rate: number, channels: number): Pointer;
  sotto_wasm_resampler_close(r: Pointer): void;
  sotto_wasm_resampler_run(
    r: Pointer,
    frames: Pointer,
    nFrames: number,
    out: Pointer,
    samples: Pointer,
    capacity: number,
  ): number;
  sotto_wasm_wav_open(): Pointer;
  sotto_wasm_wav_close(w: Pointer): void;
  sotto_wasm_wav_read(
    w: Pointer,
    bytes: Pointer,
    size: number,
    out: Pointer,
    frames: Pointer,
    capacity: number,
  ): number;
  sotto_wasm_wav_format(w: Pointer, out: Pointer): number;
  sotto_wasm_wav_error(w: Pointer): Pointer;
  sotto_wasm_sha256_open(): Pointer;
  sotto_wasm_sha256_update(h: Pointer, bytes: Pointer, size: number): void;
  sotto_wasm_sha256_close(h: Pointer, out: Pointer): void;
}

const PAGE_BYTES = 65536;
/** What a shared memory starts with: enough for the module's data and the first stack. */
const FIRST_PAGES = (8 << 20) / PAGE_BYTES;
/** Tried in order: devices differ in how large a shared memory they let a page reserve. */
const MOST_PAGES = [65536, 32768, 16384, 8192];
/** Stack of a worker thread: kernels keep small tiles there. */
const STACK_BYTES = 256 << 10;
/** Doubles that src/wasm.c writes at most in one row. */
const ROW_DOUBLES = 40;

/** The GPU as the engine knows it: js/src/gpu/player.ts. */
export interface GpuHost {
  /** What it imports for that, by name. */
  readonly imports: object;
  /** Why it can be used no more. */
  readonly error: SottoError | undefined;
  attach(memory: WebAssembly.Memory): void;
  /** Resolves when the oldest read that is pending is there. */
  settled(): Promise<void>;
  /** Resolves when not too much of what was written is still on its way. Throws what failed. */
  drained(): Promise<void>;
  /** Resolves when it has done all that it was given. Throws what failed. */
  finished(): Promise<void>;
}

/** Where there is no GPU: nothing is done, and reads fail. */
const withoutGpu = (name: string) => (): number => (name === 'gpu_read_take' ? -1 : 0);

function importsOf(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory | undefined,
  gpu: GpuHost | undefined,
): WebAssembly.Imports {
  const imports: Record<string, Record<string, WebAssembly.ImportValue>> = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    const group = (imports[from] ??= {});
    if (kind === 'memory') group[name] = memory!;
    else if (name === 'now_ms') group[name] = () => performance.now();
    else if (name.startsWith('gpu_'))
      group[name] = (gpu?.imports as Record<string, () => number> | undefined)?.[name] ?? withoutGpu(name);
    else throw new SottoError('internal', `The engine imports ${from}.${name}, which this version does not provide.`);
  }
  return imports;
}

/** What a thread worker needs to join. */
export interface ThreadSeat {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  engine: Pointer;
  index: number;
  stackTop: Pointer;
}

/** The life of a thread worker: returns when the engine is closed. */
export function runThread({ module, memory, engine, index, stackTop }: ThreadSeat): void {
  const x = new WebAssembly.Instance(module, importsOf(module, memory, undefined)).exports as unknown as Exports;
  x.__stack_pointer!.value = stackTop;
  x.sotto_wasm_thread(engine, index);
}

/** Reserves a shared memory, as large as the device lets us. undefined: it lets us none. */
function sharedMemory(): { memory: WebAssembly.Memory; maxPages: number } | undefined {
  for (const maximum of MOST_PAGES) {
    try {
      return { memory: new WebAssembly.Memory({ initial: FIRST_PAGES, maximum, shared: true }), maxPages: maximum };
    } catch {
      // a smaller one, then
    }
  }
  return undefined;
}

export class Wasm {
  readonly x: Exports;
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
  /** What the memory can grow to. */
  readonly maxBytes: number;
  /** Where the engine computes on it. */
  readonly gpu: GpuHost | undefined;
  readonly #row: Pointer;
  readonly #decoder = new TextDecoder();

  private constructor(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    maxPages: number,
    x: Exports,
    gpu: GpuHost | undefined,
  ) {
    gpu?.attach(memory);
    this.gpu = gpu;
    this.module = module;
    this.maxBytes = maxPages * PAGE_BYTES;
    this.memory = memory;
    this.x = x;
    this.#row = this.alloc(ROW_DOUBLES * 8);
  }

  /** undefined: the module wants a shared memory, and the device gives none. */
  static async instantiate(module: WebAssembly.Module, gpu?: GpuHost): Promise<Wasm | undefined> {
    const wantsMemory = WebAssembly.Module.imports(module).some((i) => i.kind === 'memory');
    const shared = wantsMemory ? sharedMemory() : undefined;
    if (wantsMemory && !shared) return undefined;
    const instance = await WebAssembly.instantiate(module, importsOf(module, shared?.memory, gpu));
    const x = instance.exports as unknown as Exports;
    return new Wasm(module, shared?.memory ?? x.memory!, shared?.maxPages ?? MOST_PAGES[0], x, gpu);
  }

  /** Zeroed memory. */
  alloc(size: number): Pointer {
    const p = this.x.sotto_wasm_alloc(Math.max(size, 1));
    if (p === 0) throw new SottoError('memory', 'Memory ran out; close other tabs or choose a smaller model.');
    return p >>> 0;
  }

  free(p: Pointer): void {
    this.x.sotto_wasm_free(p);
  }

  // Views are made for each use: the memory may grow, and then older ones end.
  bytes(p: Pointer, n: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.memory.buffer, p, n);
  }

  floats(p: Pointer, n: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.memory.buffer, p, n);
  }

  /** Calls fn with the address of a row of doubles and gives the row, as src/wasm.c wrote it, and what fn returned. */
  row<T>(n: number, fn: (out: Pointer) => T): { values: number[]; result: T } {
    const result = fn(this.#row);
    return { values: Array.from(new Float64Array(this.memory.buffer, this.#row, n)), result };
  }

  /** Text of `n` bytes; without `n` up to the closing NUL. */
  text(p: Pointer, n?: number): string {
    if (p === 0) return '';
    p >>>= 0; // the upper half of memory comes as negative numbers
    const all = new Uint8Array(this.memory.buffer);
    const end = n === undefined ? all.indexOf(0, p) : p + n;
    return this.#decoder.decode(all.slice(p, end)); // a copy, as decoders refuse shared memory
  }

  /** A copy of the string with a closing NUL, to be freed. */
  put(text: string): Pointer {
    const encoded = new TextEncoder().encode(text);
    const p = this.alloc(encoded.length + 1);
    this.bytes(p, encoded.length).set(encoded);
    return p;
  }

  /** Calls fn with the bytes of a text in the engine's memory. */
  withText<T>(text: string | Uint8Array, fn: (p: Pointer, size: number) => T): T {
    const encoded = typeof text === 'string' ? new TextEncoder().encode(text) : text;
    const p = this.alloc(encoded.length);
    try {
      this.bytes(p, encoded.length).set(encoded);
      return fn(p, encoded.length);
    } finally {
      this.free(p);
    }
  }

  /** Sets options by name. */
  setOptions(options: [string, number][], set: (name: Pointer, value: number) => number): void {
    for (const [name, value] of options) {
      const p = this.put(name);
      const known = set(p, value);
      this.free(p);
      if (!known) throw new SottoError('argument', `There is no option ${name}.`);
    }
  }

  /** A seat for thread `index`. Its stack is never given back: threads live as long as the memory. */
  seat(engine: Pointer, index: number): ThreadSeat {
    const stackTop = (this.alloc(STACK_BYTES) + STACK_BYTES) & ~15;
    return { module: this.module, memory: this.memory, engine, index, stackTop: stackTop >>> 0 };
  }

  fail(status: number, engine: Pointer): never {
    if (this.gpu?.error) throw this.gpu.error; // what the engine says then only follows from it
    throw new SottoError(
      codeOfStatus(status),
      this.text(this.x.sotto_wasm_error(engine)) || `The engine failed with status ${status}.`,
    );
  }
}

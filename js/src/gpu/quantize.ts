// Weights to smaller types on a GPU: bytes of whole rows in, bytes as they lie in a GGUF file out.
//
//   piece ──cut──> upload (mapped) ──copy──> source ──kernel──> blocks ──copy──> readback (mapped) ──> result
//                 └────────────────────────────── a lane ──────────────────────────────┘
//
// There are three lanes: while one is filled, the GPU works on another, and a third is read. A piece is cut on boundaries of blocks, not of
// rows, so that rows may be of any length.
import { abortError, SottoError } from '../errors.ts';
import type { Sources } from './compose.ts';
import type { AdapterAbout, OpenedDevice } from './device.ts';
import { BUFFER, MAP_READ, MAP_WRITE } from './flags.ts';
import { EXPLAIN_MS, firstLines, type Health } from './health.ts';
import { Kernels, PARAM_BYTES } from './kernels.ts';
import type { Profile } from './profile.ts';
import { Profiler } from './profiler.ts';

/** Bytes of an element. */
const SOURCES = { f32: 4, f16: 2, bf16: 2 } as const;

interface Format {
  /** Elements of a block, and its bytes. */
  elements: number;
  bytes: number;
  /** Its scales are searched for: always, or where columns differ in importance. */
  searched?: 'always' | 'weighted';
}

const dense: Format = { elements: 1, bytes: 2 };
const block = (bytes: number): Format => ({ elements: 32, bytes, searched: 'weighted' });
const superblock = (bytes: number): Format => ({ elements: 256, bytes, searched: 'always' });

const TARGETS = {
  ...{ f16: dense, bf16: dense },
  ...{ q8_0: { elements: 32, bytes: 34 }, q4_0: block(18), q4_1: block(20), q5_0: block(22), q5_1: block(24) },
  ...{ q4_K: superblock(144), q5_K: superblock(176), q6_K: superblock(210) },
};

export type Source = keyof typeof SOURCES;
export type Target = keyof typeof TARGETS;

/** Types that can be read. */
export const isSource = (type: string): type is Source => Object.hasOwn(SOURCES, type);
/** Types that can be made. */
export const isTarget = (type: string): type is Target => Object.hasOwn(TARGETS, type);
/** Some rows of a tensor. */
export interface Piece {
  /** The tensor's, for messages. */
  name: string;
  from: Source;
  to: Target;
  /** Elements of a row: a multiple of 32, for k-quants of 256, for f16 and bf16 any. */
  cols: number;
  /** Whole rows, little-endian. It must not change until the promise settles. */
  data: Uint8Array;
  /**
   * [cols]: how much errors in a column weigh, which is of no use for f16, bf16 and q8_0. It must not change either; the same array is sent once for
   * all pieces.
   */
  weights?: Float32Array | undefined;
}

export interface QuantizerOptions {
  /** WGSL of src/gpu/wgsl, by name. */
  sources: Sources;
  /** Measures each dispatch. */
  profile?: boolean | undefined;
}

/** Of the source; a multiple of what a workgroup takes. */
const CUT_BYTES = 8 << 20;
const LANES = 3;
/** A word that is not 0 where a value cannot be; cleared and copied as four. */
const STATUS_BYTES = 16;
const LEAST_BYTES = 64 << 10;
/** The binding of weights; those before it are a lane's. */
const WEIGHTS = 4;
/** How long a driver may take to give everything back. */
const CLOSE_MS = 9000;

/** Buffers of a cut that is under way. Between two cuts `upload` is mapped. */
interface Lane {
  upload: GPUBuffer;
  source: GPUBuffer;
  blocks: GPUBuffer;
  /** The blocks, then the status. */
  readback: GPUBuffer;
  status: GPUBuffer;
  params: GPUBuffer;
}

interface Cut {
  /** Elements before it in the piece. */
  first: number;
  elements: number;
  data: Uint8Array;
  out: Uint8Array;
}

/**
 * Quantizes on a GPU. f16, bf16 and blocks of 32 get the same bytes as on the processor; what is searched for (k-quants, and blocks of 32
 * with weights, but for q8_0) is as good, but not the same.
 *
 * Calls of quantize() overlap: keep AHEAD of them open, of 4 MB or more. Buffers take 100 MB at most, whatever the size of the pieces. After an error with
 * code `gpu` or `memory` every call rejects: go on with the processor, from the piece that was rejected.
 */
export class GpuQuantizer {
  /** Calls of quantize() that are worth keeping open. */
  static readonly AHEAD = LANES;
  readonly about: AdapterAbout;
  readonly #opened: OpenedDevice;
  readonly #device: GPUDevice;
  readonly #health: Health;
  readonly #kernels: Kernels;
  readonly #profiler: Profiler | undefined;
  readonly #idle: Lane[] = [];
  /** Who waits for a lane: one at most, as pieces take turns. */
  #wanted: ((lane: Lane) => void) | undefined;
  #nLanes = 0;
  #bufferBytes = 0;
  /** When all cuts of the pieces before have begun. */
  #turn: Promise<unknown> = Promise.resolve();
  #weights: { array: Float32Array; buffer: GPUBuffer } | undefined;
  #closed = false;

  constructor(opened: OpenedDevice, { sources, profile = false }: QuantizerOptions) {
    this.about = opened.about;
    this.#opened = opened;
    this.#device = opened.device;
    this.#health = opened.health;
    this.#kernels = new Kernels(opened.device, sources, opened.health);
    if (profile) this.#profiler = new Profiler(opened.device, opened.health);
  }

  /** Why it can be used no more. */
  get error(): SottoError | undefined {
    return this.#closed ? new SottoError('closed', 'The quantizer was closed.') : this.#health.error;
  }

  /** Bytes of the buffers that are open. */
  get bufferBytes(): number {
    return this.#bufferBytes;
  }

  /** Compiles what such pieces need, before the first of them comes. */
  async prepare(kinds: readonly { from: Source; to: Target; weighted?: boolean | undefined }[]): Promise<void> {
    await this.#orFailed(this.#kernels.prepare(kinds.map(({ from, to, weighted }) => kernelOf(from, to, weighted).name)));
  }

  /** Where the GPU's time went; undefined: it was not asked to measure. */
  async profile(): Promise<Profile | undefined> {
    return this.#profiler?.rows();
  }

  /**
   * The bytes of the rows in the type that is wanted, in a buffer of their own.
   *
   * Rejects with a SottoError: `argument`; `format` where a value is no number, or too large for the type; `gpu` or `memory` where the GPU can be
   * used no more; `closed`. With an AbortError once the signal is aborted: then the data may change at once.
   */
  async quantize(piece: Piece, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const { out, cuts } = cutsOf(piece);
    let stop!: () => void;
    const stopped = new Promise<never>((_, reject) => (stop = () => reject(abortError())));
    stopped.catch(() => {}); // also when no one waits any more
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop);
    try {
      const begun = this.#turn.then(() => this.#begin(piece, cuts, signal));
      this.#turn = begun.catch(() => {}); // the next piece's is another story
      const done = begun.then(({ ends }) => Promise.all(ends));
      await Promise.race([stopped, this.#orFailed(done)]);
      return out;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Gives everything back. Calls that are open reject. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#profiler?.close();
    this.#opened.close();
    this.#bufferBytes = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    await Promise.race([this.#health.quiet(), new Promise((resolve) => (timer = setTimeout(resolve, CLOSE_MS)))]);
    clearTimeout(timer);
  }

  async #orFailed<T>(work: Promise<T>): Promise<T> {
    const failed = this.#health.failed.then((error) => Promise.reject(this.error ?? error));
    const result = await Promise.race([work.catch((error) => (this.#health.sound ? Promise.reject(error) : failed)), failed]);
    if (!this.#health.sound) await failed;
    return result;
  }

  // ---- cuts ----

  /** Resolves when the last cut has begun, with promises of their ends. */
  async #begin(piece: Piece, cuts: readonly Cut[], signal?: AbortSignal): Promise<{ ends: Promise<void>[] }> {
    const { name, group } = kernelOf(piece.from, piece.to, piece.weights !== undefined);
    const id = this.#kernels.id(name);
    await this.#kernels.start(id);
    const ends: Promise<void>[] = [];
    for (const cut of cuts) {
      const lane = await this.#lane();
      if (signal?.aborted || !this.#health.sound) {
        this.#giveBack(lane);
        throw abortError();
      }
      const end = this.#play(lane, piece, cut, id, group).catch((error: Error) => this.#refused(error));
      end.catch(() => {}); // who waits hears of the first that fails
      ends.push(end);
    }
    return { ends };
  }

  /** An error of WebGPU itself is of the whole device, which may tell more of it soon. */
  #refused(error: Error): never {
    if (error instanceof SottoError) throw error;
    this.#health.doubt();
    const told = new SottoError('gpu', `The GPU refused work (${firstLines(error.message)}).`);
    setTimeout(() => this.#health.fail(told), EXPLAIN_MS);
    throw error;
  }

  async #play(lane: Lane, piece: Piece, { first, elements, data, out }: Cut, id: number, group: number): Promise<void> {
    const device = this.#device;
    const kernel = this.#kernels.get(id)!;
    const size = Math.ceil(data.length / 16) * 16;
    const outSize = Math.ceil(out.length / 4) * 4;
    this.#makeRoom(lane, size, outSize);
    const mapped = new Uint8Array(lane.upload.getMappedRange());
    mapped.set(data);
    mapped.fill(0, data.length, size);
    lane.upload.unmap();
    device.queue.writeBuffer(lane.params, 0, Uint32Array.of(elements, piece.cols, first % piece.cols, 0));

    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(lane.upload, 0, lane.source, 0, size);
    encoder.clearBuffer(lane.status);
    const pass = encoder.beginComputePass(this.#profiler?.pass(kernel.name, data.length));
    pass.setPipeline(kernel.pipeline);
    const buffers = [lane.params, lane.source, lane.blocks, lane.status];
    if (kernel.layout.bindings.has(WEIGHTS)) buffers[WEIGHTS] = this.#weightsOf(piece.weights!);
    const entries = [...kernel.layout.bindings.keys()].map((binding) => ({ binding, resource: { buffer: buffers[binding] } }));
    pass.setBindGroup(0, device.createBindGroup({ layout: kernel.layout.group, entries }));
    pass.dispatchWorkgroups(Math.ceil(elements / group));
    pass.end();
    encoder.copyBufferToBuffer(lane.blocks, 0, lane.readback, 0, outSize);
    encoder.copyBufferToBuffer(lane.status, 0, lane.readback, outSize, STATUS_BYTES);
    this.#profiler?.resolve(encoder);
    device.queue.submit([encoder.finish()]);
    this.#profiler?.sent();

    await Promise.all([
      this.#health.track(lane.readback.mapAsync(MAP_READ, 0, outSize + STATUS_BYTES)),
      this.#health.track(lane.upload.mapAsync(MAP_WRITE)),
    ]);
    const bytes = lane.readback.getMappedRange(0, outSize + STATUS_BYTES);
    out.set(new Uint8Array(bytes, 0, out.length));
    const [status] = new Uint32Array(bytes, outSize, 1);
    lane.readback.unmap();
    this.#giveBack(lane);
    if (status !== 0)
      throw new SottoError(
        'format',
        `The tensor ${piece.name} holds a value that is no number, or too large for ${piece.to}: the model is damaged, or use bf16.`,
      );
  }

  #weightsOf(array: Float32Array): GPUBuffer {
    if (this.#weights?.array === array) return this.#weights.buffer;
    this.#drop(this.#weights?.buffer); // work that was submitted still has it
    const buffer = this.#buffer(array.byteLength, BUFFER.STORAGE | BUFFER.COPY_DST);
    this.#device.queue.writeBuffer(buffer, 0, array as Float32Array<ArrayBuffer>);
    this.#weights = { array, buffer };
    return buffer;
  }

  // ---- lanes ----

  #lane(): Lane | Promise<Lane> {
    const lane = this.#idle.pop();
    if (lane) return lane;
    if (this.#nLanes === LANES) return new Promise((resolve) => (this.#wanted = resolve));
    this.#nLanes++;
    return {
      ...this.#buffersOf(LEAST_BYTES, LEAST_BYTES),
      status: this.#buffer(STATUS_BYTES, BUFFER.STORAGE | BUFFER.COPY_SRC | BUFFER.COPY_DST),
      params: this.#buffer(PARAM_BYTES, BUFFER.UNIFORM | BUFFER.COPY_DST),
    };
  }

  #giveBack(lane: Lane): void {
    const wanted = this.#wanted;
    this.#wanted = undefined;
    if (wanted) wanted(lane);
    else this.#idle.push(lane);
  }

  /** Buffers that are too small are made anew. */
  #makeRoom(lane: Lane, sourceBytes: number, outBytes: number): void {
    const { upload, source, blocks, readback } = lane;
    if (sourceBytes <= source.size && outBytes <= blocks.size) return;
    for (const buffer of [upload, source, blocks, readback]) this.#drop(buffer);
    Object.assign(lane, this.#buffersOf(Math.max(sourceBytes, source.size), Math.max(outBytes, blocks.size)));
  }

  #buffersOf(sourceBytes: number, outBytes: number): Pick<Lane, 'upload' | 'source' | 'blocks' | 'readback'> {
    return {
      upload: this.#buffer(sourceBytes, BUFFER.MAP_WRITE | BUFFER.COPY_SRC, true),
      source: this.#buffer(sourceBytes, BUFFER.STORAGE | BUFFER.COPY_DST),
      blocks: this.#buffer(outBytes, BUFFER.STORAGE | BUFFER.COPY_SRC),
      readback: this.#buffer(outBytes + STATUS_BYTES, BUFFER.MAP_READ | BUFFER.COPY_DST),
    };
  }

  #buffer(bytes: number, usage: number, mappedAtCreation = false): GPUBuffer {
    const device = this.#device;
    device.pushErrorScope('out-of-memory');
    this.#bufferBytes += bytes;
    const full = new SottoError('memory', 'The memory of the GPU ran out; close other tabs, or quantize on the processor.');
    try {
      return device.createBuffer({ size: bytes, usage, mappedAtCreation });
    } catch (error) {
      this.#health.fail(full); // a buffer that is mapped at once throws
      throw error;
    } finally {
      void this.#health.track(device.popErrorScope()).then(
        (error) => void (error && this.#health.fail(full)),
        () => {}, // a lost device: the health knows
      );
    }
  }

  #drop(buffer: GPUBuffer | undefined): void {
    if (!buffer) return;
    this.#bufferBytes -= buffer.size;
    buffer.destroy();
  }
}

/** The kernel, and elements that a workgroup of it takes, at least. */
function kernelOf(from: Source, to: Target, weighted = false): { name: string; group: number } {
  const { elements, searched }: Format = TARGETS[to];
  if (elements === 1) return { name: `quantize_dense from=${from} to=${to}`, group: 1024 };
  if (searched !== 'always' && !(searched && weighted)) return { name: `quantize from=${from} to=${to}`, group: 2048 };
  return { name: `quantize_search from=${from} to=${to} weighted=${Number(weighted)}`, group: 1024 };
}

/** The result's bytes, and the cuts that fill them. */
function cutsOf({ name, from, to, cols, data, weights }: Piece): { out: Uint8Array<ArrayBuffer>; cuts: Cut[] } {
  const refuse = (why: string): never => {
    throw new SottoError('argument', `The tensor ${name} cannot be quantized: ${why}.`);
  };
  if (!isSource(from) || !isTarget(to)) return refuse(`the GPU makes no ${to} of ${from}`);
  const bytes = SOURCES[from];
  const { elements, bytes: blockBytes } = TARGETS[to];
  if (!Number.isSafeInteger(cols) || cols < 1 || cols > 0xffffffff || cols % elements !== 0)
    refuse(`its rows have ${cols} elements, and ${to} needs a multiple of ${elements}`);
  if (data.length % (cols * bytes) !== 0) refuse(`${data.length} bytes are no whole rows of ${cols} elements of ${from}`);
  if (weights && weights.length !== cols) refuse(`there are ${weights.length} weights for ${cols} columns`);
  const total = data.length / bytes;
  const most = CUT_BYTES / bytes;
  const out = new Uint8Array((total / elements) * blockBytes);
  const cuts: Cut[] = [];
  for (let first = 0; first < total; first += most) {
    const n = Math.min(most, total - first);
    const outFirst = (first / elements) * blockBytes;
    cuts.push({
      ...{ first, elements: n },
      data: data.subarray(first * bytes, (first + n) * bytes),
      out: out.subarray(outFirst, outFirst + (n / elements) * blockBytes),
    });
  }
  return { out, cuts };
}

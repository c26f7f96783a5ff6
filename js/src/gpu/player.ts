// Plays the tapes that the engine records (src/gpu/gpu.h) on WebGPU, and keeps its buffers.
//
//   tape in linear memory: u32 words, one record after the other
//     dispatch   kernel id, gx, gy, gz, n_params, n_bindings, params..., then of each binding:
//                number, buffer id, offset / 256, bytes (0: to the end)
//     copy       0, source id, offset, destination id, offset, bytes              (offsets and bytes: multiples of 4)
//
//   play ──> [parameters of all ──one write──> slots] ──> [ints ──one write] ──> one pass, one submit
//
// A tape is mostly like one of the same length before: each record is compared with the one that stood in its place, and
// only where kernel or bindings differ is a bind group looked up or made. Binding 0 is the slot of the parameters,
// binding 3 the ints; tapes name the others.
//
// Kernels are compiled when a tape needs them, all of them at once. What is asked for meanwhile waits, in order.
//
// Groups name their slot, so that a dispatch needs no dynamic offset, with which it takes a fifth longer to encode.
import { SottoError } from '../errors.ts';
import type { BindingKind, Sources } from './compose.ts';
import type { OpenedDevice } from './device.ts';
import { BUFFER } from './flags.ts';
import type { Health } from './health.ts';
import { Kernels, PARAM_BYTES, type Kernel } from './kernels.ts';
import type { Profile } from './profile.ts';
import { Profiler } from './profiler.ts';
import { FAILED, PENDING, Reads } from './reads.ts';

/** What the engine imports for the GPU, under "env". */
export interface GpuImports {
  gpu_traits(out: number): void;
  gpu_buffer_open(bytes: number): number;
  gpu_buffer_close(id: number): void;
  gpu_write(id: number, offset: number, from: number, bytes: number): void;
  gpu_kernel_open(name: number, length: number): number;
  gpu_play(tape: number, nWords: number, ints: number, nInts: number): void;
  gpu_read_open(id: number, offset: number, bytes: number): number;
  gpu_read_take(ticket: number, to: number): number;
  gpu_read_drop(ticket: number): void;
}

export interface PlayerOptions {
  /** WGSL of src/gpu/wgsl, by name. */
  sources: Sources;
  /** Measures each dispatch; slower. */
  profile?: boolean | undefined;
}

/** Words of a record before its parameters; a copy is as long. */
const HEAD_WORDS = 6;
const BINDING_WORDS = 4;
const COPY = 0;
const PARAMS = 0;
const INTS = 3;
/** Of the buffer of parameters: longer tapes are sent in parts. */
const SLOTS_BYTES = 256 << 10;
const FIRST_INTS_BYTES = 64 << 10;
/** Tapes that are remembered, by their lengths. */
const MOST_TAPES = 32;
/** Bind groups that are kept; when there are more, all are made anew as they are needed. */
const MOST_GROUPS = 8192;
/** Written bytes after which the queue is told to go on, and those on their way at which who loads a model should wait. */
const NUDGE_BYTES = 16 << 20;
const MOST_BYTES_AHEAD = 128 << 20;
/** Of shared memory, which not every queue reads, copied at a time. */
const COPY_BYTES = 4 << 20;
/** How long a driver may take to give everything back. */
const CLOSE_MS = 9000;

/** A dispatch, ready to be encoded. */
interface Step {
  /** kernel id, n_params, n_bindings, then the bindings' words: what it was made from. */
  words: Uint32Array;
  /** Of its parameters, in words. */
  slot: number;
  kernel: Kernel;
  group: GPUBindGroup;
  /** That bindings of weights name. */
  weightBytes: number;
}

interface CachedGroup {
  group: GPUBindGroup;
  buffers: number[];
}

export class Player {
  /** The engine's imports; after a failure they do nothing and return failures. */
  readonly imports: GpuImports;
  readonly health: Health;
  readonly kernels: Kernels;
  readonly #opened: OpenedDevice;
  readonly #device: GPUDevice;
  readonly #reads: Reads;
  readonly #profiler: Profiler | undefined;
  #memory: WebAssembly.Memory | undefined;
  /** By id; id 0 is none. */
  readonly #buffers: (GPUBuffer | undefined)[] = [undefined];
  readonly #freeIds: number[] = [];
  #bufferBytes = 0;
  readonly #groups = new Map<string, CachedGroup>();
  readonly #tapes = new Map<number, Step[]>();
  readonly #slots: GPUBuffer;
  readonly #slotWords = new Uint32Array(SLOTS_BYTES / 4);
  readonly #slotStep: number;
  #ints: GPUBuffer;
  readonly #room: Uint8Array<ArrayBuffer>[] = [];
  /** What waits for kernels. */
  readonly #waiting: { work: () => void; kernels?: Promise<unknown> | undefined }[] = [];
  /** When nothing waits any more. */
  #worked: Promise<void> = Promise.resolve();
  #unsent = 0;
  #ahead = 0;
  #went: Promise<void> = Promise.resolve();

  constructor(opened: OpenedDevice, { sources, profile = false }: PlayerOptions) {
    const { device, health } = opened;
    this.#opened = opened;
    this.#device = device;
    this.health = health;
    this.kernels = new Kernels(device, sources, health);
    this.#reads = new Reads(device, health);
    if (profile) this.#profiler = new Profiler(device, health);
    this.#slotStep = device.limits.minUniformBufferOffsetAlignment / 4;
    this.#slots = device.createBuffer({ size: SLOTS_BYTES, usage: BUFFER.UNIFORM | BUFFER.COPY_DST });
    this.#ints = this.#intsBuffer(FIRST_INTS_BYTES);
    this.imports = {
      gpu_traits: (out) => this.#traits(out),
      gpu_buffer_open: (bytes) => this.openBuffer(bytes),
      gpu_buffer_close: (id) => this.closeBuffer(id),
      gpu_write: (id, offset, from, bytes) => this.#write(id, offset, from >>> 0, bytes >>> 0),
      gpu_kernel_open: (name, length) => this.#kernel(name >>> 0, length),
      gpu_play: (tape, nWords, ints, nInts) =>
        this.play(this.#words(tape, nWords), this.#words(ints, nInts)),
      gpu_read_open: (id, offset, bytes) => this.openRead(id, offset, bytes >>> 0),
      gpu_read_take: (ticket, to) => this.takeRead(ticket, (bytes) => this.#bytes(to >>> 0, bytes.length).set(bytes)),
      gpu_read_drop: (ticket) => this.#reads.drop(ticket),
    };
  }

  /** Of the engine; before the first call of an import that has addresses. */
  attach(memory: WebAssembly.Memory): void {
    this.#memory = memory;
  }

  /** Resolves when the oldest read that is open is ready, or has failed: when a step says AGAIN, await this. */
  async settled(): Promise<void> {
    await (this.health.sound ? this.#reads.settled() : this.health.failed);
  }

  /**
   * Resolves when not too much of what was written is still on its way: between the pieces of a model that is loaded.
   * Throws what failed.
   */
  async drained(): Promise<void> {
    while (this.#ahead > MOST_BYTES_AHEAD && this.health.sound) await Promise.race([this.#went, this.health.failed]);
    await this.#verdict();
  }

  /** Resolves when the GPU has done all that it was given, and knows of its errors. Throws what failed. */
  async finished(): Promise<void> {
    await Promise.race([this.#worked, this.health.failed]);
    if (this.health.sound) await Promise.race([this.#done(), this.health.failed]);
    await this.#verdict();
  }

  /** Why the GPU can be used no more. */
  get error(): SottoError | undefined {
    return this.health.error;
  }

  async #verdict(): Promise<void> {
    if (!this.health.sound) throw await this.health.failed;
  }

  /** Throws what failed. */
  check(): void {
    if (this.health.error) throw this.health.error;
  }

  /** Where the time went, since the player was made; undefined: it was not asked to measure. */
  async profile(): Promise<Profile | undefined> {
    return this.#profiler?.rows();
  }

  /** Bytes of the buffers that are open. */
  get bufferBytes(): number {
    return this.#bufferBytes;
  }

  /** Bind groups that are kept. */
  get nGroups(): number {
    return this.#groups.size;
  }

  /** Resolves when nothing is under way. */
  idle(): Promise<void> {
    return this.health.quiet();
  }

  /** Gives everything back. Resolves when nothing is under way any more, or soon where a driver hangs. */
  async close(): Promise<void> {
    for (const buffer of this.#buffers) buffer?.destroy();
    this.#buffers.length = 1;
    this.#groups.clear();
    this.#tapes.clear();
    this.#reads.close();
    this.#profiler?.close();
    this.#slots.destroy();
    this.#ints.destroy();
    this.#opened.close();
    let timer: ReturnType<typeof setTimeout> | undefined;
    await Promise.race([this.idle(), new Promise((resolve) => (timer = setTimeout(resolve, CLOSE_MS)))]);
    clearTimeout(timer);
  }

  #done(): Promise<unknown> {
    return this.health.track(this.#device.queue.onSubmittedWorkDone());
  }

  // ---- the engine's memory: views are made for each use, as it may grow ----

  #bytes(at: number, n: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#memory!.buffer, at, n);
  }

  #words(at: number, n: number): Uint32Array<ArrayBuffer> {
    return new Uint32Array(this.#memory!.buffer, at >>> 0, n);
  }

  #traits(out: number): void {
    this.#words(out, 16).set(this.#opened.traits);
  }

  #kernel(at: number, length: number): number {
    const text = this.#bytes(at, length).slice(); // a copy, as decoders refuse shared memory
    return this.kernels.id(new TextDecoder().decode(text));
  }

  // ---- buffers ----

  /** Zeroed memory. Returns its id; 0: it cannot be. That memory ran out may be known only later: check(). */
  openBuffer(bytes: number): number {
    const device = this.#device;
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    if (!this.health.sound || size > device.limits.maxBufferSize) return 0;
    device.pushErrorScope('out-of-memory');
    const buffer = device.createBuffer({
      size,
      usage: BUFFER.STORAGE | BUFFER.COPY_SRC | BUFFER.COPY_DST,
    });
    void this.health.track(device.popErrorScope()).then(
      (error) => {
        if (!error) return;
        const total = Math.round(this.#bufferBytes / 1e6);
        const words = `The memory of the GPU ran out (${total} MB were asked for); choose a smaller model, or the CPU.`;
        this.health.fail(new SottoError('memory', words));
      },
      () => {}, // a lost device: the health knows
    );
    this.#bufferBytes += size;
    const id = this.#freeIds.pop() ?? this.#buffers.length;
    this.#buffers[id] = buffer;
    return id;
  }

  closeBuffer(id: number): void {
    if (this.#waiting.length > 0) return this.#wait(() => this.#closeBuffer(id));
    this.#closeBuffer(id);
  }

  #closeBuffer(id: number): void {
    const buffer = this.#buffers[id];
    if (!buffer) return;
    this.#buffers[id] = undefined;
    this.#freeIds.push(id);
    this.#bufferBytes -= buffer.size;
    buffer.destroy();
    for (const [key, { buffers }] of this.#groups) if (buffers.includes(id)) this.#groups.delete(key);
    this.#tapes.clear();
  }

  /** offset and the bytes' number: multiples of 4. */
  writeBuffer(id: number, offset: number, bytes: Uint8Array): void {
    if (this.#waiting.length > 0) {
      const copy = bytes.slice();
      return this.#wait(() => this.#writeBuffer(id, offset, copy));
    }
    this.#writeBuffer(id, offset, bytes);
  }

  #writeBuffer(id: number, offset: number, bytes: Uint8Array): void {
    const buffer = this.#buffers[id];
    if (!buffer || !this.health.sound) return;
    const { queue } = this.#device;
    if (bytes.buffer instanceof ArrayBuffer) queue.writeBuffer(buffer, offset, bytes as Uint8Array<ArrayBuffer>);
    else
      for (let at = 0; at < bytes.length; at += COPY_BYTES) {
        const part = bytes.subarray(at, at + COPY_BYTES);
        const copy = (this.#room[0] ??= new Uint8Array(COPY_BYTES)).subarray(0, part.length);
        copy.set(part);
        queue.writeBuffer(buffer, offset + at, copy);
      }
    this.#unsent += bytes.length;
    if (this.#unsent < NUDGE_BYTES) return;
    const n = this.#unsent;
    this.#unsent = 0;
    this.#ahead += n;
    queue.submit([]);
    const gone = (): void => void (this.#ahead -= n);
    this.#went = this.#done().then(gone, gone);
  }

  #write(id: number, offset: number, from: number, bytes: number): void {
    this.writeBuffer(id, offset, this.#bytes(from, bytes));
  }

  // ---- reads ----

  /** offset: a multiple of 4. Returns a ticket; 0: it failed. */
  openRead(id: number, offset: number, bytes: number): number {
    const buffer = this.#buffers[id];
    if (!buffer || !this.health.sound) return 0;
    const ticket = this.#reads.reserve(bytes);
    if (this.#waiting.length > 0) this.#wait(() => this.#reads.begin(ticket, buffer, offset));
    else this.#reads.begin(ticket, buffer, offset);
    return ticket;
  }

  /** Gives the bytes and returns 1; 0: pending; -1: it failed. */
  takeRead(ticket: number, give: (bytes: Uint8Array) => void): number {
    if (this.health.error) return FAILED;
    return this.health.sound ? this.#reads.take(ticket, give) : PENDING;
  }

  // ---- tapes ----

  play(words: Uint32Array<ArrayBuffer>, ints: Uint32Array<ArrayBuffer>): void {
    if (!this.health.sound) return;
    const kernels = this.#missing(words);
    if (kernels || this.#waiting.length > 0) {
      const [tape, table] = [words.slice(), ints.slice()];
      this.#wait(() => this.#play(tape, table), kernels);
    } else {
      this.#play(words, ints);
    }
  }

  /** Resolves when the tape's kernels are compiled; undefined: they are. */
  #missing(words: Uint32Array): Promise<unknown> | undefined {
    let missing: Set<Promise<void>> | undefined;
    for (let at = 0; at < words.length; ) {
      const kernel = words[at];
      if (kernel === COPY) {
        at += HEAD_WORDS;
        continue;
      }
      const coming = this.kernels.start(kernel);
      if (coming) (missing ??= new Set()).add(coming);
      at += HEAD_WORDS + words[at + 4] + BINDING_WORDS * words[at + 5];
    }
    return missing && Promise.all(missing);
  }

  #wait(work: () => void, kernels?: Promise<unknown>): void {
    this.#waiting.push({ work, kernels });
    if (this.#waiting.length === 1) this.#worked = this.#workOff();
  }

  async #workOff(): Promise<void> {
    for (;;) {
      const [first] = this.#waiting;
      if (!first) return;
      if (first.kernels) await Promise.race([first.kernels, this.health.failed]);
      if (this.health.sound) first.work();
      this.#waiting.shift();
    }
  }

  #play(words: Uint32Array<ArrayBuffer>, ints: Uint32Array<ArrayBuffer>): void {
    this.#putInts(ints);
    const steps = this.#remembered(words.length);
    const { queue } = this.#device;
    const slotWords = this.#slotWords;
    const profiler = this.#profiler;
    let encoder = this.#device.createCommandEncoder();
    let pass: GPUComputePassEncoder | undefined;
    let pipeline: GPUComputePipeline | undefined;
    let slot = 0;
    const endPass = (): void => {
      pass?.end();
      pass = pipeline = undefined;
    };
    const send = (): void => {
      endPass();
      profiler?.resolve(encoder);
      if (slot > 0) queue.writeBuffer(this.#slots, 0, slotWords, 0, slot);
      queue.submit([encoder.finish()]);
      profiler?.sent();
    };
    for (let at = 0, index = 0; at < words.length; ) {
      if (words[at] === COPY) {
        endPass();
        this.#copy(encoder, words, at);
        at += HEAD_WORDS;
        continue;
      }
      const nParams = words[at + 4];
      const bindings = at + HEAD_WORDS + nParams;
      // A kernel sees a whole slot, so that the last one must end where the buffer does.
      if (slot + PARAM_BYTES / 4 > slotWords.length || profiler?.full) {
        send();
        encoder = this.#device.createCommandEncoder();
        slot = 0;
      }
      let step: Step | undefined = steps[index];
      if (!step || step.slot !== slot || !same(step.words, words, at, bindings)) {
        step = this.#step(words, at, bindings, slot);
        if (!step) return;
        steps[index] = step;
      }
      for (let i = 0; i < nParams; i++) slotWords[slot + i] = words[at + HEAD_WORDS + i];
      if (profiler && !(pass && profiler.joins(step.kernel.name, step.weightBytes))) {
        endPass();
        pass = encoder.beginComputePass(profiler.pass(step.kernel.name, step.weightBytes));
      }
      pass ??= encoder.beginComputePass();
      if (step.kernel.pipeline !== pipeline) pass.setPipeline((pipeline = step.kernel.pipeline));
      pass.setBindGroup(0, step.group);
      pass.dispatchWorkgroups(words[at + 1], words[at + 2], words[at + 3]);
      slot += Math.ceil(nParams / this.#slotStep) * this.#slotStep;
      at = bindings + BINDING_WORDS * words[at + 5];
      index++;
    }
    send();
  }

  /** Steps of the last tape of this length. */
  #remembered(length: number): Step[] {
    const steps = this.#tapes.get(length) ?? [];
    // Last used, last forgotten.
    this.#tapes.delete(length);
    this.#tapes.set(length, steps);
    if (this.#tapes.size > MOST_TAPES) this.#tapes.delete(this.#tapes.keys().next().value!);
    return steps;
  }

  #copy(encoder: GPUCommandEncoder, words: Uint32Array, at: number): void {
    const from = this.#buffers[words[at + 1]];
    const to = this.#buffers[words[at + 3]];
    if (from && to) encoder.copyBufferToBuffer(from, words[at + 2], to, words[at + 4], words[at + 5]);
    else this.health.fail(new SottoError('internal', 'A tape copies from or to a buffer that is closed.'));
  }

  /** The record at `at`, whose bindings begin at `bindings`. undefined: it cannot be, and the health says why. */
  #step(words: Uint32Array, at: number, bindings: number, slot: number): Step | undefined {
    const nBindings = words[at + 5];
    const kernel = this.kernels.get(words[at])!;
    const mine = new Uint32Array(3 + BINDING_WORDS * nBindings);
    mine.set([words[at], words[at + 4], nBindings]);
    mine.set(words.subarray(bindings, bindings + BINDING_WORDS * nBindings), 3);
    const group = this.#group(kernel, mine.subarray(3), slot);
    if (!group) return undefined;
    let weightBytes = 0;
    for (let i = 3; i < mine.length; i += BINDING_WORDS)
      if (mine[i] >= 4 && mine[i] < 10) weightBytes += mine[i + 3] || this.#buffers[mine[i + 1]]!.size;
    return { words: mine, slot, kernel, group, weightBytes };
  }

  #group({ name, layout }: Kernel, bindings: Uint32Array, slot: number): GPUBindGroup | undefined {
    const key = `${layout.id}:${slot}:${bindings.join()}`;
    const cached = this.#groups.get(key);
    if (cached) return cached.group;
    const entries: GPUBindGroupEntry[] = [];
    if (layout.bindings.has(PARAMS))
      entries.push({ binding: PARAMS, resource: { buffer: this.#slots, offset: slot * 4, size: PARAM_BYTES } });
    if (layout.bindings.has(INTS)) entries.push({ binding: INTS, resource: { buffer: this.#ints } });
    const buffers: number[] = [];
    const kinds = new Map<number, BindingKind>();
    for (let i = 0; i < bindings.length; i += BINDING_WORDS) {
      const [binding, id, place, bytes] = bindings.subarray(i, i + BINDING_WORDS);
      const buffer = this.#buffers[id];
      if (!buffer) {
        this.health.fail(new SottoError('internal', `A tape gives the kernel "${name}" a buffer that is closed.`));
        return undefined;
      }
      const kind = layout.bindings.get(binding);
      if (kind === undefined) continue; // this variant does not look at it
      // WebGPU says of this only that a buffer is used so, not by which kernel.
      if ((kinds.get(id) ?? kind) !== kind) {
        const words = `A tape lets the kernel "${name}" write a buffer that it also reads.`;
        this.health.fail(new SottoError('internal', words));
        return undefined;
      }
      kinds.set(id, kind);
      buffers.push(id);
      entries.push({ binding, resource: { buffer, offset: place * 256, size: bytes || buffer.size - place * 256 } });
    }
    if (entries.length < layout.bindings.size) {
      this.health.fail(new SottoError('internal', `A tape gives the kernel "${name}" too few buffers.`));
      return undefined;
    }
    const group = this.#device.createBindGroup({ label: name, layout: layout.group, entries });
    if (this.#groups.size >= MOST_GROUPS) this.#groups.clear();
    this.#groups.set(key, { group, buffers });
    return group;
  }

  #intsBuffer(size: number): GPUBuffer {
    return this.#device.createBuffer({ size, usage: BUFFER.STORAGE | BUFFER.COPY_DST });
  }

  #putInts(ints: Uint32Array<ArrayBuffer>): void {
    if (ints.byteLength > this.#ints.size) {
      this.#ints.destroy();
      this.#ints = this.#intsBuffer(2 ** Math.ceil(Math.log2(ints.byteLength)));
      this.#groups.clear();
      this.#tapes.clear();
    }
    if (ints.length === 0) return;
    // A copy, as not every queue reads shared memory.
    const plain = ints.buffer instanceof ArrayBuffer ? ints : new Uint32Array(ints);
    this.#device.queue.writeBuffer(this.#ints, 0, plain);
  }
}

/** Whether the record at `at` of a tape has the kernel, the number of parameters, and the bindings of a step. */
function same(step: Uint32Array, words: Uint32Array, at: number, bindings: number): boolean {
  if (step[0] !== words[at] || step[1] !== words[at + 4] || step[2] !== words[at + 5]) return false;
  for (let i = 3, from = bindings - 3; i < step.length; i++) if (step[i] !== words[from + i]) return false;
  return true;
}

// The engine's quantizer: what a recipe makes of some files, and rows converted by the processor.
//
//   files' names and sizes ──> wants / give: their heads ──> plan: tensors, and bytes that stand in the output as they are
//   rows of a tensor ──> rows()
import { SottoError } from '../errors.js';
import type { Pointer, Wasm } from '../wasm.js';
import type { Ranges } from './ranges.js';
import type { QuantizePlan, Recipe } from './types.js';

/** What is given of a head at once. */
const HEAD_BYTES = 4 << 20;
const AGAIN = 1;

export interface PlanTensor {
  index: number;
  name: string;
  /** Index of the file that has it, and where it is there. */
  file: number;
  offset: number;
  bytes: number;
  sourceType: string;
  rows: number;
  cols: number;
  type: string;
  outOffset: number;
  outBytes: number;
  /** The output is the source, quantized, and nothing else. */
  plain: boolean;
  /** [cols] */
  importance?: Float32Array | undefined;
}

export interface LiteralPiece {
  at: number;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Heads of files that were read, for the next plan of the same files. */
export class Heads {
  readonly #files: readonly Ranges[];
  readonly #known = new Map<string, Uint8Array<ArrayBuffer>>();

  constructor(files: readonly Ranges[]) {
    this.#files = files;
  }

  async read(file: number, offset: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const n = Math.min(bytes, HEAD_BYTES);
    const key = `${file} ${offset} ${n}`;
    const found = this.#known.get(key) ?? (await this.#files[file].read(offset, n));
    this.#known.set(key, found);
    return found;
  }

  get files(): readonly Ranges[] {
    return this.#files;
  }
}

export class Quantizer {
  readonly plan: QuantizePlan;
  readonly tensors: readonly PlanTensor[];
  /** The longest row, of the source or of the output. */
  readonly mostRowBytes: number;
  readonly #wasm: Wasm;
  readonly #engine: Pointer;
  readonly #q: Pointer;
  /** Of rows() and what it gives; grown as needed. */
  #buffers = { source: 0, sourceBytes: 0, out: 0, outBytes: 0 };

  private constructor(wasm: Wasm, engine: Pointer, q: Pointer, type: string) {
    [this.#wasm, this.#engine, this.#q] = [wasm, engine, q];
    const { x } = wasm;
    const { values } = wasm.row(11, (out) => x.sotto_wasm_quantizer_describe(q, out));
    const [format, architecture, name] = values.slice(0, 3).map((p) => wasm.text(p));
    const [nTensors, , nWarnings, nParameters, sourceBytes, outBytes, mostRowBytes] = values.slice(4);
    this.mostRowBytes = mostRowBytes;
    this.tensors = Array.from({ length: nTensors }, (_, index) => this.#tensor(index));
    const warnings = Array.from({ length: nWarnings }, (_, i) => wasm.text(x.sotto_wasm_quantizer_warning(q, i)));
    const sourceType = mostOf(this.tensors);
    this.plan = { type, format, architecture, name, nTensors, nParameters, sourceBytes, sourceType, outBytes, warnings };
  }

  /** Makes the plan. Throws a SottoError that says what is wrong with the files. */
  static async open(wasm: Wasm, engine: Pointer, heads: Heads, recipe: Recipe): Promise<Quantizer> {
    const { x } = wasm;
    const q = openQuantizer(wasm, engine, recipe);
    try {
      for (const { file, size } of heads.files) {
        const index = wasm.withText(`${file}\0`, (name) => x.sotto_wasm_quantizer_file(q, name, size));
        if (index < 0) wasm.fail(index, engine);
      }
      for (;;) {
        const { values, result } = wasm.row(3, (out) => x.sotto_wasm_quantizer_wants(q, out));
        if (result < 0) wasm.fail(result, engine);
        if (result !== AGAIN) break;
        const [file, offset, bytes] = values;
        const given = await heads.read(file, offset, bytes);
        const status = wasm.withText(given, (p, n) => x.sotto_wasm_quantizer_give(q, file, offset, p, n));
        if (status < 0) wasm.fail(status, engine);
      }
      return new Quantizer(wasm, engine, q, recipe.type);
    } catch (error) {
      x.sotto_wasm_quantizer_close(q);
      throw error;
    }
  }

  #tensor(index: number): PlanTensor {
    const { x } = this.#wasm;
    const { values } = this.#wasm.row(12, (out) => x.sotto_wasm_quantizer_tensor(this.#q, index, out));
    const [name, file, offset, bytes, sourceType, rows, cols, type, outOffset, outBytes, plain, weights] = values;
    const text = (p: Pointer): string => this.#wasm.text(p);
    return {
      ...{ index, name: text(name), file, offset, bytes, sourceType: text(sourceType), rows, cols },
      ...{ type: text(type), outOffset, outBytes, plain: plain !== 0 },
      ...(weights !== 0 && { importance: this.#wasm.floats(weights, cols).slice() }),
    };
  }

  /** The bytes between the tensors. */
  pieces(): LiteralPiece[] {
    const pieces: LiteralPiece[] = [];
    for (let i = 0; ; i++) {
      const { values, result } = this.#wasm.row(2, (out) => this.#wasm.x.sotto_wasm_quantizer_piece(this.#q, i, out));
      if (result === 0) return pieces;
      pieces.push({ at: values[0], bytes: this.#wasm.bytes(result >>> 0, values[1]).slice() });
    }
  }

  /** Converts whole rows, [first, first + n). */
  rows(t: PlanTensor, first: number, n: number, source: Uint8Array): Uint8Array<ArrayBuffer> {
    const { x } = this.#wasm;
    const outBytes = (t.outBytes / t.rows) * n;
    this.#reserve(source.length, outBytes);
    this.#wasm.bytes(this.#buffers.source, source.length).set(source);
    const status = x.sotto_wasm_quantizer_rows(this.#q, t.index, first, n, this.#buffers.source, this.#buffers.out);
    if (status < 0) this.#wasm.fail(status, this.#engine);
    return this.#wasm.bytes(this.#buffers.out, outBytes).slice();
  }

  #reserve(sourceBytes: number, outBytes: number): void {
    const b = this.#buffers;
    if (sourceBytes > b.sourceBytes) {
      this.#wasm.free(b.source);
      Object.assign(b, { source: 0, sourceBytes: 0 });
      b.source = this.#wasm.alloc(sourceBytes);
      b.sourceBytes = sourceBytes;
    }
    if (outBytes > b.outBytes) {
      this.#wasm.free(b.out);
      Object.assign(b, { out: 0, outBytes: 0 });
      b.out = this.#wasm.alloc(outBytes);
      b.outBytes = outBytes;
    }
  }

  close(): void {
    this.#wasm.free(this.#buffers.source);
    this.#wasm.free(this.#buffers.out);
    this.#wasm.x.sotto_wasm_quantizer_close(this.#q);
  }
}

function openQuantizer(wasm: Wasm, engine: Pointer, { type, tensors, imatrix, name, fast }: Recipe): Pointer {
  const { x } = wasm;
  const held: Pointer[] = [];
  const hold = (p: Pointer): Pointer => {
    held.push(p);
    return p;
  };
  const put = (text: string): Pointer => hold(wasm.put(text));
  try {
    const options = hold(x.sotto_wasm_quantize_options());
    if (options === 0) throw new SottoError('memory', 'Memory ran out.');
    const set: [string, number][] = [['type', put(type)]];
    if (name !== undefined) set.push(['name', put(name)]);
    if (fast) set.push(['fast', 1]);
    if (tensors.length > 0) {
      const strings = tensors.flat().map(put);
      const pairs = hold(wasm.alloc(4 * strings.length));
      new Uint32Array(wasm.memory.buffer, pairs, strings.length).set(strings);
      set.push(['overrides', pairs], ['n_overrides', tensors.length]);
    }
    if (imatrix) {
      const bytes = hold(wasm.alloc(imatrix.length));
      wasm.bytes(bytes, imatrix.length).set(imatrix);
      set.push(['imatrix', bytes], ['imatrix_bytes', imatrix.length]);
    }
    wasm.setOptions(set, (key, value) => x.sotto_wasm_quantize_option(options, key, value));
    const q = x.sotto_wasm_quantizer_open(engine, options);
    if (q === 0) wasm.fail(-1, engine);
    return q;
  } finally {
    for (const p of held) wasm.free(p);
  }
}

/** The source type that most bytes have. */
function mostOf(tensors: readonly PlanTensor[]): string {
  const bytes = new Map<string, number>();
  for (const t of tensors) bytes.set(t.sourceType, (bytes.get(t.sourceType) ?? 0) + t.bytes);
  return [...bytes].sort((a, b) => b[1] - a[1])[0]?.[0] ?? '';
}

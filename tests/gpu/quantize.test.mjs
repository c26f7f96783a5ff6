// Quantizing on a GPU, at WebGPU's default limits and without optional features, against the CPU's code in WebAssembly (quantize.c): the same bytes
// where numbers are rounded to nearest, no larger errors where scales are searched for.
//
// In software each kernel takes long to compile: there a type is made of one source, and SwiftShader searches for two types only, unless SOTTO_SLOW_TESTS
// is set.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openDevice } from '../../js/src/gpu/device.ts';
import { GpuQuantizer } from '../../js/src/gpu/quantize.ts';
import { readSources, testAdapters, useAdapter } from './harness.mjs';
import { gaussian, randomSource } from './quants.mjs';

const file = path.join(import.meta.dirname, '../../build/wasm-tests/relaxed-single/gpu_quantize.wasm');
const adapters = testAdapters();
const whole = (adapter) => adapter === 'gpu' || Boolean(process.env.SOTTO_SLOW_TESTS);

const numbers = { f32: 0, f16: 1, q4_0: 2, q4_1: 3, q5_0: 6, q5_1: 7, q8_0: 8, q4_K: 12, q5_K: 13, q6_K: 14, bf16: 30 };
const exact = { q4_0: 'bf16', q4_1: 'f32', q5_0: 'f16', q5_1: 'bf16', q8_0: 'f32', f16: 'bf16', bf16: 'f32' };
const searched = { q4_K: 'f32', q5_K: 'f16', q6_K: 'bf16' };
const searchedByImportance = { q4_K: 'bf16', q4_1: 'f16', q5_0: 'f32' };
const searchedSlowly = { q4_K: 'f32' };
const searchedByImportanceSlowly = { q5_0: 'bf16' };
const allByImportance = { ...searchedByImportance, q5_K: 'f16', q6_K: 'f32', q4_0: 'bf16', q5_1: 'f32' };
const sourcesOf = (adapter, from) => (whole(adapter) ? ['f32', 'f16', 'bf16'] : [from]);

// ---- the CPU ----

class Reference {
  constructor() {
    const module = new WebAssembly.Module(readFileSync(file));
    const env = Object.fromEntries(WebAssembly.Module.imports(module).map(({ name }) => [name, () => 0]));
    this.x = new WebAssembly.Instance(module, { env }).exports;
  }

  bytes(p, n) {
    return new Uint8Array(this.x.memory.buffer, p >>> 0, n);
  }

  room(array) {
    const p = this.x.room(array.byteLength);
    this.bytes(p, array.byteLength).set(bytesOf(array));
    return p;
  }

  /** Rounded to nearest; k-quants with the scales that the CPU finds, by importance [n] where it is given. */
  quantized(type, values, importance) {
    const { x } = this;
    const n = values.length;
    const size = x.row_bytes(numbers[type], n);
    const [from, to] = [this.room(values), x.room(size)];
    const done = importance || type.endsWith('K')
      ? x.searched(numbers[type], from, importance ? this.room(importance) : 0, n, to)
      : x.quantized(numbers[type], from, n, to);
    assert.equal(done, 1);
    const row = this.bytes(to, size).slice();
    x.rooms_free();
    return row;
  }

  values(type, row, n) {
    const { x } = this;
    const [from, to] = [this.room(row), x.room(4 * n)];
    x.values(numbers[type], from, n, to);
    const values = new Float32Array(this.bytes(to, 4 * n).slice().buffer);
    x.rooms_free();
    return values;
  }
}

const bytesOf = (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** The bytes of numbers in a source type, and what these are. */
function sourceOf(reference, type, values) {
  const bytes = type === 'f32' ? bytesOf(values) : reference.quantized(type, values);
  return { bytes, values: reference.values(type, bytes, values.length) };
}

// ---- inputs ----

const LARGEST = 65280; // a bf16 and an f16
const floatOf = (bits) => new Float32Array(Uint32Array.of(bits).buffer)[0];
const within = (x) => (Math.abs(x) <= LARGEST ? x : x * 2 ** -113); // NaN and infinity are left to their own test

/** Each makes 32 numbers that are awkward in their way. */
const awkward = {
  usual: (r) => gaussian(r) * 0.03,
  ofAnySize: (r) => within((r() - 0.5) * 2 ** (280 * r() - 150)),
  subnormal: (r) => floatOf((r() * 0x7fffff) | (r() < 0.5 ? 0x80000000 : 0)),
  least: (r) => floatOf(Math.floor(r() * 4) | (r() < 0.5 ? 0x80000000 : 0)),
  smallNormal: (r) => floatOf(Math.floor(0x800000 * (1 + 12 * r())) | (r() < 0.5 ? 0x80000000 : 0)),
  aroundSmall: (r) => (r() - 0.5) * 2 ** (-94 + 8 * r()),
  zeros: (r) => (r() < 0.5 ? -0 : 0),
  oneOfMany: (r) => (r() < 0.05 ? r() - 0.5 : 0),
  ties: (r) => (Math.floor(r() * 255) - 127) / 2,
  tiesOfHalves: (r) => 1 + Math.floor(r() * 8192) * 2 ** -13,
  nearlyEqual: (r) => 1 + Math.floor(r() * 4) * 2 ** -23,
  negative: (r) => -r(),
  large: (r) => LARGEST * (r() < 0.5 ? -1 : 1) * (1 - (r() < 0.5 ? 0 : r())),
  smallHalves: (r) => (r() - 0.5) * 2 ** -(18 + 10 * r()),
};

function awkwardNumbers(blocks, seed) {
  const random = randomSource(seed);
  const kinds = Object.values(awkward);
  return Float32Array.from({ length: 32 * blocks }, (_, i) => kinds[(i >> 5) % kinds.length](random));
}

/** As weights are: blocks of different sizes, with some numbers far off; one block of zeros, and a run of equal ones. */
function weightsLike(n, seed) {
  const random = randomSource(seed);
  const sizes = Array.from({ length: n / 32 }, () => 0.01 + 0.04 * random());
  const values = Float32Array.from({ length: n }, (_, i) => gaussian(random) * sizes[i >> 5] * (random() < 0.003 ? 6 : 1));
  return values.fill(0, 256, 512).fill(0.3, 512, 544);
}

function errorOf(values, wanted, weights) {
  let [errors, squares] = [0, 0];
  values.forEach((value, i) => {
    const weight = weights ? weights[i % weights.length] : 1;
    errors += weight * (value - wanted[i]) ** 2;
    squares += weight * wanted[i] ** 2;
  });
  return Math.sqrt(errors / squares);
}

// ---- tests ----

if (!existsSync(file)) {
  test('quantizing', { skip: 'build/wasm-tests/relaxed-single/gpu_quantize.wasm is not made' }, () => {});
} else if (adapters.length === 0) {
  test('quantizing', { skip: 'no Vulkan driver in software' }, () => {});
} else {
  for (const adapter of adapters) suite(adapter);
}

async function open(adapter) {
  useAdapter(adapter);
  const opened = await openDevice({ features: [], limits: 'default' });
  return { device: opened.device, gpu: new GpuQuantizer(opened, { sources: readSources() }) };
}

function suite(adapter) {
  const reference = new Reference();
  const kinds = (types) => Object.entries(types).flatMap(([to, from]) => sourcesOf(adapter, from).map((source) => ({ from: source, to })));

  test(`quantizing, ${adapter}`, async (t) => {
    const { gpu } = await open(adapter);
    await t.test("blocks of 32 and halves have the CPU's bytes", () => bytesAreEqual(gpu));
    await t.test("scales that are searched for err no more than the CPU's", () => errorsAreSmall(gpu));
    await t.test('pieces of any size, several at once, and what cannot be quantized', () => piecesAreWhole(gpu));
    await t.test('aborted, closed and lost', () => endsAreClean(gpu));
  });

  async function bytesAreEqual(gpu) {
    await Promise.all(
      kinds(exact).map(async ({ from, to }) => {
        // 3 rows of an odd number of blocks; the last workgroup is not full.
        const { bytes, values } = sourceOf(reference, from, awkwardNumbers(3 * 47, 5));
        const got = await gpu.quantize({ name: 'w', from, to, cols: 32 * 47, data: bytes });
        const want = reference.quantized(to, values);
        const at = got.findIndex((byte, i) => byte !== want[i]);
        assert.equal(got.length, want.length);
        const block = Math.floor((at / want.length) * 3 * 47);
        assert.equal(at, -1, `${to} of ${from}: block ${block} (${Object.keys(awkward)[block % Object.keys(awkward).length]})`);
      }),
    );
  }

  async function errorsAreSmall(gpu) {
    const cols = 3 * 256;
    const n = 7 * cols;
    const random = randomSource(11);
    const weights = Float32Array.from({ length: cols }, () => Math.exp(gaussian(random)));
    const compare = async ({ from, to }, importance) => {
      const { bytes, values } = sourceOf(reference, from, weightsLike(n, 3));
      const got = await gpu.quantize({ name: 'w', from, to, cols, data: bytes, weights: importance });
      const error = errorOf(reference.values(to, got, n), values, importance);
      const all = importance && Float32Array.from(values, (_, i) => importance[i % cols]);
      const cpu = errorOf(reference.values(to, reference.quantized(to, values, all), n), values, importance);
      assert.ok(error <= 1.005 * cpu, `${to} of ${from}${importance ? ' by importance' : ''}: an error of ${error}, on the CPU ${cpu}`);
    };
    const slow = adapter === 'swiftshader' && !whole(adapter);
    const weighted = kinds(whole(adapter) ? allByImportance : slow ? searchedByImportanceSlowly : searchedByImportance);
    await Promise.all([...kinds(slow ? searchedSlowly : searched).map((kind) => compare(kind)), ...weighted.map((kind) => compare(kind, weights))]);
  }

  async function piecesAreWhole(gpu) {
    const kind = { name: 'blk.0.w', from: 'bf16', to: 'q4_0', cols: 64 };
    const values = weightsLike(64 * 40, 9);
    const { bytes, values: rounded } = sourceOf(reference, 'bf16', values);
    const want = reference.quantized('q4_0', rounded);
    // A view that begins anywhere, of shared memory; an odd number of rows, one row, none.
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length + 1)).subarray(1);
    shared.set(bytes);
    const rows = [0, 1, 14, 14, 40];
    const parts = await Promise.all(rows.slice(1).map((end, i) => gpu.quantize({ ...kind, data: shared.subarray(rows[i] * 128, end * 128) })));
    assert.deepEqual(Buffer.concat(parts), Buffer.from(want));
    // More than a cut takes, in rows that end elsewhere.
    const cols = 32 * 33;
    const large = Buffer.alloc(2 * cols * 4001, bytes.subarray(0, 66 * 64));
    assert.ok(large.length > 8 << 20);
    const whole = await gpu.quantize({ ...kind, cols, data: large });
    assert.ok(Buffer.from(whole).equals(Buffer.alloc(whole.length, want.subarray(0, 66 * 18))));
    assert.ok(gpu.bufferBytes < 100e6, `${gpu.bufferBytes} bytes of buffers`);

    for (const [i, bad] of [NaN, Infinity, -70000, 65536].entries()) {
      const wrong = values.slice();
      wrong[64 * 40 - 1 - i] = bad;
      const data = reference.quantized('bf16', wrong);
      await assert.rejects(gpu.quantize({ ...kind, data }), { code: 'format', message: /blk\.0\.w holds a value that is no number, or too large for q4_0/ });
    }
    assert.deepEqual(await gpu.quantize({ ...kind, data: bytes }), want, 'what is wrong in one piece leaves others alone');

    const refused = (piece, why) => assert.rejects(gpu.quantize({ ...kind, data: bytes, ...piece }), { code: 'argument', message: why });
    await refused({ cols: 48 }, /48 elements, and q4_0 needs a multiple of 32/);
    await refused({ cols: 32 * 7 }, /no whole rows of 224/);
    await refused({ to: 'q3_K' }, /makes no q3_K of bf16/);
    await refused({ to: 'q4_K', cols: 256, weights: new Float32Array(64) }, /64 weights for 256 columns/);
  }

  async function endsAreClean(gpu) {
    const piece = { name: 'w', from: 'bf16', to: 'bf16', cols: 2, data: new Uint8Array(1 << 20) };
    const control = new AbortController();
    const [first, second] = [gpu.quantize(piece), gpu.quantize(piece, control.signal)];
    control.abort();
    await assert.rejects(second, { name: 'AbortError' });
    assert.equal((await first).length, 1 << 20);
    await assert.rejects(gpu.quantize(piece, control.signal), { name: 'AbortError' });
    assert.equal((await gpu.quantize(piece)).length, 1 << 20, 'an aborted piece gives back what it had');
    const open_ = [1, 2, 3, 4, 5].map(() => gpu.quantize(piece));
    void gpu.close();
    for (const one of open_) await assert.rejects(one, { code: 'closed' });
    await assert.rejects(gpu.quantize(piece), { code: 'closed' });

    const { gpu: lost, device } = await open(adapter);
    await lost.quantize(piece);
    const late = lost.quantize(piece);
    device.destroy();
    await assert.rejects(late, { code: 'gpu' });
    await assert.rejects(lost.quantize(piece), { code: 'gpu' });
    assert.equal(lost.error.code, 'gpu');
    await lost.close();
  }
}

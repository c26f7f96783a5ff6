// Times attention on a GPU, kernel by kernel, in the shapes of Gemma 3 1B and Whisper large-v3-turbo:
//
//   SOTTO_GPU_ADAPTER=gpu node bench/gpu/attend.mjs [name]        SOTTO_WEBGPU_MODULE names the module "webgpu"
//
// Several ways of sharing out the same work stand under each other; gpu_attention.c takes those marked with *.
import { attendMatrix } from '../../tests/gpu/attend_reference.mjs';
import { f, open } from '../../tests/gpu/harness.mjs';

const NONE = 0xffffffff;
const only = process.argv[2] ?? '';
const gpu = await open({ adapter: process.env.SOTTO_GPU_ADAPTER ?? 'gpu' });
const { device } = gpu;
const info = gpu.adapter.info;
const sg = gpu.subgroup;
console.log(`${info.vendor} ${info.architecture} ${info.description}, subgroups of ${sg || 'none'}`);

/** A buffer of n 4-byte words: halves or floats of about 1. */
function filled(n, word) {
  return gpu.buffer(new Uint32Array(n).fill(word));
}
const halvesOf = (n) => filled(n / 2, 0x38003400);
const floatsOf = (n) => filled(n, 0x3f000000);

/** ms of a sequence of dispatches [{ variant, params, bindings, grid }], one after the other. */
async function time(dispatches) {
  const ready = [];
  for (const { variant, params, bindings, grid } of dispatches) {
    const { pipeline, layout, kinds } = await gpu.pipeline(variant);
    const uniform = device.createBuffer({ size: 256, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
    const words = new DataView(new ArrayBuffer(256));
    params.forEach((p, i) => (typeof p === 'object' ? words.setFloat32(4 * i, p.f, true) : words.setUint32(4 * i, p, true)));
    device.queue.writeBuffer(uniform, 0, words.buffer);
    const entries = [...kinds].map(([binding, kind]) =>
      kind === 'uniform' ? { binding, resource: { buffer: uniform, size: 256 } } : { binding, resource: { buffer: bindings[binding] } },
    );
    ready.push({ pipeline, group: device.createBindGroup({ layout, entries }), grid });
  }
  const play = async (n) => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < n; i++)
      for (const { pipeline, group, grid } of ready) {
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group, [0]);
        pass.dispatchWorkgroups(...grid);
      }
    pass.end();
    const commands = encoder.finish();
    const start = performance.now();
    device.queue.submit([commands]);
    await device.queue.onSubmittedWorkDone();
    return performance.now() - start;
  };
  await play(1);
  // Enough for 20 ms, which also lets the clock rise.
  let n = 8;
  while ((await play(n)) < 20 && n < 4096) n *= 2;
  const times = [];
  for (let i = 0; i < 5; i++) times.push((await play(n)) / n);
  return times.sort((a, b) => a - b)[2];
}

const report = (name, how, ms, { bytes = 0, flops = 0 }) =>
  console.log(
    `${name.padEnd(34)} ${how.padEnd(44)} ${(ms * 1000).toFixed(1).padStart(8)} us ` +
      (flops ? `${(flops / ms / 1e9).toFixed(1)} TFLOP/s` : `${(bytes / ms / 1e6).toFixed(0)} GB/s`),
  );

/** n queries that see all `length` places; fresh: as the newest token of a sequence. */
async function few({ name, n, n_head, group, dim, length, fresh, table = 0 }) {
  if (!name.includes(only)) return;
  const together = table ? 1 : n;
  const chunks = Math.ceil((together * group) / (dim > 128 ? 4 : 8));
  const rows = Math.ceil((together * group) / chunks);
  const d_q = n_head * group * dim;
  const act = floatsOf(8 * (2 * d_q + 2 * n_head * dim + dim));
  const [keys, values] = [halvesOf(length * n_head * dim), halvesOf(length * n_head * dim)];
  const vectors = floatsOf(2 * dim);
  const ints = gpu.buffer(Int32Array.from({ length: length * n }, (_, i) => i % length));
  const scratch = floatsOf(1 << 20);
  const usual = dim > 128 ? 8 : dim > 64 ? 4 : 2;
  const items = (n / together) * n_head * chunks;
  for (const lanes of [usual, 2 * usual])
    for (const width of sg ? [0, sg] : [0]) {
      const block = 256 / lanes;
      const blocks = Math.ceil(length / block);
      const planned = blocks <= 1 ? 1 : Math.max(1, Math.min(blocks, Math.floor(256 / items)));
      const tried = new Set([1, Math.ceil(blocks / 4), Math.ceil(blocks / 2), blocks, planned]);
      for (const wanted of [...tried].sort((a, b) => a - b)) {
        if (length > 1000 && wanted === 1) continue;
        const stretch = Math.ceil(blocks / wanted) * block;
        const stretches = Math.ceil(length / stretch);
        const part = stretches > 1 ? 1 : 0;
        const stats = n * group * n_head * stretches * dim;
        if (stretches > 256 || stats + 2 * n * group * n_head * stretches > 1 << 20) continue;
        const params = [0, d_q, n * d_q, n_head * dim, n * d_q, n_head * dim, 2 * n * d_q, d_q, n_head, group, together];
        params.push(chunks, stretch, length, 0, table ? length : 0, 0, dim, 0, dim, f(1e-6), f(0.1), f(0), stats);
        for (let i = 0; i < n; i++) params.push(0, length, length - 1, 0);
        const taken = `units=${Math.ceil(dim / 8 / lanes)} each=${Math.ceil(block / Math.floor(1024 / dim))} scores=${Math.ceil(block / 32)}`;
        const variant =
          `attend_few d8=${dim / 8} rows=${rows} pairs=${Math.ceil(rows / 2)} lanes=${lanes} ${taken} shared=${together > 1 ? 1 : 0} table=${table} ` +
          `fresh=${fresh} turn=${fresh && dim === 256 ? 1 : 0} part=${part} sg=${width}`;
        const bindings = { 1: act, 2: vectors, 3: ints, 10: keys, 11: values, 12: scratch };
        const dispatches = [{ variant, params, bindings, grid: [stretches, n_head * chunks, n / together] }];
        const pieces = n * group * n_head * Math.ceil(dim / 32);
        if (part)
          dispatches.push({
            variant: `attend_combine sg=${width}`,
            params: [n * group * n_head, group * n_head, dim, stretches, stats, 2 * n * d_q, d_q],
            bindings,
            grid: [pieces, 1, 1],
          });
        const mark = lanes === usual && wanted === planned && (width || !sg) ? ' *' : '';
        const alone = part ? ` (${((await time(dispatches.slice(0, 1))) * 1000).toFixed(1)} us before combine)` : '';
        report(name, `${stretches} x ${stretch} lanes ${lanes} sg ${width}${mark}${alone}`, await time(dispatches), {
          bytes: 4 * length * n_head * dim,
        });
      }
    }
  for (const buffer of [act, keys, values, vectors, ints, scratch]) buffer.destroy();
}

/** n queries that see all places, or (causal) those up to their own. */
async function many({ name, n, n_head, group, dim, causal = 0 }, kernels) {
  if (!name.includes(only)) return;
  const d_q = n_head * group * dim;
  const act = floatsOf(2 * n * d_q);
  const [keys, values] = [halvesOf(n * n_head * dim), halvesOf(n * n_head * dim)];
  const ints = gpu.buffer(Int32Array.from({ length: n }, (_, i) => i + 1));
  const scratch = floatsOf(1 << 20);
  for (const { kernel, tile, how } of kernels) {
    const n_tiles = Math.ceil((n * group) / tile);
    const params = [n, n_head, group, 0, d_q, n * d_q, d_q, f(0.1), f(0), n, 0, NONE, 0, n_tiles];
    const variant = `${kernel} table=0 whole=${1 - causal}`;
    const dispatches = [{ variant, params, bindings: { 1: act, 3: ints, 10: keys, 11: values, 12: scratch }, grid: [n_tiles * n_head, 1, 1] }];
    try {
      report(name, how, await time(dispatches), { flops: (4 * n * n * n_head * group * dim) / (causal ? 2 : 1) });
    } catch (error) {
      console.log(`${name} ${how}: ${error.message.split('\n')[0]}`);
    }
  }
  for (const buffer of [act, keys, values, ints, scratch]) buffer.destroy();
}

for (const length of [32, 64, 128, 512, 4096])
  await few({ name: `gemma 1b, 1 token, context ${length}`, n: 1, n_head: 1, group: 4, dim: 256, length, fresh: 1 });
await few({ name: 'turbo cross, 1 query', n: 1, n_head: 20, group: 1, dim: 64, length: 1500, fresh: 0 });
await few({ name: 'turbo cross, 5 beams', n: 5, n_head: 20, group: 1, dim: 64, length: 1500, fresh: 0 });
await few({ name: 'turbo self, 1 token, 100 places', n: 1, n_head: 20, group: 1, dim: 64, length: 100, fresh: 1, table: 1 });
await few({ name: 'turbo self, 5 beams, 200 places', n: 5, n_head: 20, group: 1, dim: 64, length: 200, fresh: 1, table: 1 });

/** Tiles in f32, and by subgroup matrices: [blocks, places, across]; taken: that which gpu_attention.c takes. */
const ways = (dim, matrices, taken) => [
  ...[4, 2].map((r) => ({ kernel: `attend_tile dim=${dim} r=${r} parts=${Math.ceil(dim / 64)}`, tile: 16 * r, how: `f32, tiles of ${16 * r} rows` })),
  ...(gpu.has('shader-f16') && gpu.has('chromium-experimental-subgroup-matrix') ? matrices : []).map(([blocks, places, across]) => ({
    kernel: attendMatrix(dim, blocks, places, across, sg),
    tile: 16 * blocks,
    how: `matrices, ${16 * blocks} rows, ${places} places, ${across} across${String([blocks, places, across]) === String(taken) ? ' *' : ''}`,
  })),
];
const narrow = [[4, 64, 1], [4, 32, 1], [2, 64, 1], [2, 32, 1], [8, 64, 1], [8, 32, 1], [4, 64, 2]];
const wide = [[4, 32, 2], [2, 32, 2], [2, 64, 2], [2, 32, 1]];
await many({ name: 'turbo encoder', n: 1500, n_head: 20, group: 1, dim: 64 }, ways(64, narrow, [4, 32, 1]));
await many({ name: 'tiny encoder', n: 1500, n_head: 6, group: 1, dim: 64 }, ways(64, narrow, [4, 32, 1]));
await many({ name: 'gemma 1b, prompt of 512', n: 512, n_head: 1, group: 4, dim: 256, causal: 1 }, ways(256, wide, [4, 32, 2]));
gpu.close();

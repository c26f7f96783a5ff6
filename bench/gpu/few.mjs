// How long products of few rows take on a GPU, in the shapes of models that decode, for several ways to share the work out:
//
//     node bench/gpu/few.mjs [shape ...]        shapes: a part of their names, "1b.down"; else the commonest. ALL_WAYS=1: more ways.
//     CHAIN=1 node bench/gpu/few.mjs ...        then the best ways of these shapes one after the other, beside the sum of each alone: what
//                                               kernels cost each other
//
// The dispatches of one measurement depend on each other and go round weights that together are larger than the caches.
import { f, open } from '../../tests/gpu/harness.mjs';
import { median } from '../rounds.js';

const quadsOf = { f32: 1, f16: 2, q8_0: 4, q4_0: 8, q5_0: 8, q5_1: 8, q4_K: 8 };
const bytesOf = { f32: 4, f16: 2, q8_0: 34 / 32, q4_0: 18 / 32, q5_0: 22 / 32, q5_1: 24 / 32, q4_K: 148 / 256 };
const ROUND = Number(process.env.ROUND ?? 160e6); // bytes of weights that dispatches go round

const shape = (name, cols, outs, more = {}) => ({ name, cols, outs, rows: 1, norm: 0, add: 0, geglu: 0, bias: 0, act: 0, res: 0, ...more });
const rms = { norm: 'rms', add: 2 };
const shapes = [
  ...['q4_0', 'q8_0'].flatMap((type) => [
    shape(`1b.qkv.${type}`, 1152, [1024, 256, 256], { ...rms, type }),
    shape(`1b.o.${type}`, 1024, [1152], { type }),
    shape(`1b.geglu.${type}`, 1152, [6912, 6912], { ...rms, geglu: 1, type }),
    shape(`1b.down.${type}`, 6912, [1152], { type }),
    shape(`1b.head.${type}`, 1152, [262144], { ...rms, type }),
    shape(`270m.qkv.${type}`, 640, [1024, 256, 256], { ...rms, type }),
    shape(`270m.geglu.${type}`, 640, [2048, 2048], { ...rms, geglu: 1, type }),
    shape(`270m.down.${type}`, 2048, [640], { type }),
    shape(`270m.head.${type}`, 640, [262144], { ...rms, type }),
  ]),
  ...['f16', 'q8_0', 'q5_0', 'q5_1', 'q4_0'].flatMap((type) =>
    [1, 5].flatMap((rows) => [
      shape(`turbo.qkv.${type}.${rows}`, 1280, [1280, 1280, 1280], { norm: 'layer', bias: 1, type, rows }),
      shape(`turbo.o.${type}.${rows}`, 1280, [1280], { bias: 1, res: 1, type, rows }),
      shape(`turbo.fc1.${type}.${rows}`, 1280, [5120], { norm: 'layer', bias: 1, act: 'gelu', type, rows }),
      shape(`turbo.fc2.${type}.${rows}`, 5120, [1280], { bias: 1, res: 1, type, rows }),
      shape(`turbo.head.${type}.${rows}`, 1280, [51866], { norm: 'layer', type, rows }),
    ]),
  ),
];

/** Ways to share out a shape: threads about `target`, and a row's units once over the lanes, or `times`. */
function* ways({ cols, rows, type, outs, geglu }) {
  const units = Math.ceil(cols / (4 * quadsOf[type]));
  const large = outs[0] > 20000;
  const all = process.env.ALL_WAYS;
  const seen = new Set();
  const unit = Math.max(1, quadsOf[type] / 4);
  for (const target of all ? [64, 128, 256] : rows > 2 ? [256] : [128, 256])
    for (const each of [1, 2, 4])
      for (const deep of all ? [1, 2, 3, 4, 6, 8] : [2 / unit, 4 / unit, 8 / unit])
        for (const times of all || rows > 2 ? [1, 2, 4] : [1]) {
          if (!all && target === 128 && each * deep * unit > 4) continue;
          const lanes = Math.ceil(units / deep / times);
          const threads = Math.floor(target / lanes) * lanes;
          const key = `${threads} ${lanes} ${each} ${deep}`;
          if (each * deep > 8 || lanes < 3 || threads < target / 2 || seen.has(key)) continue;
          seen.add(key);
          const groups = outs.reduce((all, out) => all + out) / (geglu ? 2 : 1) / (Math.floor(threads / lanes) * each);
          if (groups < 3000) yield { threads, lanes, each, deep, tiles: 1 };
          for (const most of large ? [250, 500, 1000] : rows > 2 ? [150, 300] : [500]) if (groups > 1.5 * most) yield { threads, lanes, each, deep, tiles: Math.round(groups / most) };
        }
}

/** What runs a shape one way, n times; null: it cannot. */
async function prepare(gpu, s, way, weights, act, vec) {
  const { device } = gpu;
  const quads = quadsOf[s.type];
  const units = Math.ceil(s.cols / (4 * quads));
  const sg = s.norm === 'layer' ? gpu.subgroup : 0;
  // What does not fit into workgroup memory comes in pieces, as in src/gpu/gpu_linear.c.
  const sums = s.norm === 'layer' && sg ? 2 * (Math.floor(way.threads / sg) + 1) : s.norm ? way.threads + 32 : 0;
  const besides = 4 * s.rows * (way.each * way.threads * (s.geglu ? 2 : 1) + sums + (s.add === 2 ? way.threads + 16 : 0)) + 64;
  const line = (Math.floor((device.limits.maxComputeWorkgroupStorageSize - besides) / 16 / (s.rows * quads)) - 1) | 1;
  const batch = way.lanes * way.deep;
  const piece = line >= units ? units : Math.floor(line / batch) * batch;
  if (!(piece > 0)) return null;
  const room = s.rows * quads * (piece | 1);
  const tile = (way.threads / way.lanes) * way.each;
  const groups = tile * way.tiles;
  const variant =
    `linear_few rows=${s.rows} n=${s.outs.length} ${s.outs.map((_, i) => `type${i}=${s.type}`).join(' ')} norm=${s.norm} add=${s.add} act=${s.act} ` +
    `bias=${s.bias} res=${s.res} geglu=${s.geglu} threads=${way.threads} lanes=${way.lanes} each=${way.each} deep=${way.deep} room=${room} whole=${piece === units ? units : 0} sg=${sg}`;
  const { pipeline, layout, kinds } = await gpu.pipeline(variant);
  let before = 0;
  const products = [0, 1, 2].flatMap((i) => {
    if (i >= s.outs.length) return [0, 0, 0, 0, 0];
    if (!(s.geglu && i === 1)) before += Math.ceil(s.outs[i] / groups);
    return [400000 + i * 10000 * s.rows, 10000, s.bias ? 100000 : -1, s.outs[i], before];
  });
  if (s.outs[0] > 10000) products[1] = s.outs[0];
  const params = [s.cols, 0, s.cols, 60000, s.cols, 0, 120000, s.cols, 8000, 16000, f(1e-6), 180000, s.outs[0], piece, way.tiles, ...products];
  const uniform = device.createBuffer({ size: 256, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
  const words = new DataView(new ArrayBuffer(256));
  params.forEach((value, i) => (typeof value === 'object' ? words.setFloat32(4 * i, value.f, true) : words.setInt32(4 * i, value, true)));
  device.queue.writeBuffer(uniform, 0, new Uint8Array(words.buffer));
  const binds = weights.map((set) =>
    device.createBindGroup({
      layout,
      entries: [...kinds.keys()].map((binding) => {
        if (binding === 0) return { binding, resource: { buffer: uniform, size: 256 } };
        if (binding === 1) return { binding, resource: { buffer: act } };
        if (binding === 2) return { binding, resource: { buffer: vec } };
        const w = set[(binding - 4) >> 1];
        return { binding, resource: { buffer: binding % 2 ? w.scales : w.quants } };
      }),
    }),
  );
  const x = Math.min(before, 65535);
  const record = (pass, i) => {
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, binds[i % binds.length], [0]);
    pass.dispatchWorkgroups(x, Math.ceil(before / x), 1);
  };
  await runAll(device, [record], 2);
  return { record, close: () => uniform.destroy() };
}

/** Milliseconds of n rounds of the dispatches, each after those before. */
async function runAll(device, records, n) {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (let i = 0; i < n; i++) for (const record of records) record(pass, i);
  pass.end();
  const start = performance.now();
  device.queue.submit([encoder.finish()]);
  await device.queue.onSubmittedWorkDone();
  return performance.now() - start;
}

/** Microseconds of a round: of many without the first ones, as starting takes its time too. */
async function roundUs(device, records, many) {
  const few = Math.ceil(many / 20);
  const short = await runAll(device, records, few);
  return (1e3 * ((await runAll(device, records, many)) - short)) / (many - few);
}

/** Microseconds of each way, the median of some rounds through all of them, while the device stays busy, as its clock falls when it is not. */
async function measure(gpu, s, found) {
  const many = Number(process.env.DISPATCHES ?? (s.outs[0] > 20000 ? 60 : 300));
  const us = found.map(() => []);
  for (let round = 0; round < 5; round++)
    for (const [i, { record }] of found.entries()) us[i].push(await roundUs(gpu.device, [record], many));
  return us.map(median);
}

const gpu = await open({ adapter: process.env.SOTTO_GPU_ADAPTER ?? 'gpu' });
const storage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
const act = gpu.device.createBuffer({ size: 4 << 20, usage: storage });
const vec = gpu.device.createBuffer({ size: 1 << 20, usage: storage });
const some = Float32Array.from({ length: 1 << 18 }, () => Math.random() - 0.5);
gpu.device.queue.writeBuffer(act, 0, some);
gpu.device.queue.writeBuffer(vec, 0, some);
const wanted = process.argv.slice(2);
const chain = [];
for (const s of shapes) {
  if (!(wanted.length > 0 ? wanted : ['q4_0', 'f16']).some((name) => s.name.includes(name))) continue;
  const bytes = s.outs.reduce((all, out) => all + out * s.cols * bytesOf[s.type], 0);
  const sets = Math.min(48, Math.max(2, Math.ceil(ROUND / bytes)));
  const weights = Array.from({ length: sets }, () =>
    s.outs.map((out) => {
      const elements = out * s.cols;
      const size = Math.ceil((elements * bytesOf[s.type]) / 256) * 256; // with more than there is of quants
      const make = (n) => gpu.device.createBuffer({ size: Math.max(256, n), usage: storage });
      return { quants: make(size), scales: make(Math.ceil(elements / 4 / 256) * 256) };
    }),
  );
  const prepared = [];
  for (const way of ways(s)) {
    const ready = await prepare(gpu, s, way, weights, act, vec);
    if (ready) prepared.push({ ...ready, way });
  }
  const us = await measure(gpu, s, prepared);
  const found = prepared.map(({ way, record, close }, i) => ({ us: us[i], ...way, record, close }));
  found.sort((a, b) => a.us - b.us);
  for (const w of [...found.slice(0, 4), ...found.slice(-1)])
    console.log(
      `${s.name.padEnd(18)} ${w.us.toFixed(2).padStart(8)} us ${(bytes / w.us / 1e3).toFixed(0).padStart(6)} GB/s   ` +
        `threads ${w.threads} lanes ${w.lanes} each ${w.each} deep ${w.deep} tiles ${w.tiles}`,
    );
  if (process.env.CHAIN) {
    chain.push(found[0]);
    continue;
  }
  for (const { close } of found) close();
  for (const set of weights) for (const w of set) (w.quants.destroy(), w.scales.destroy());
}
if (chain.length > 0) {
  const records = chain.map(({ record }) => record);
  const us = [];
  for (let round = 0; round < 7; round++) us.push(await roundUs(gpu.device, records, 160));
  console.log(`one after the other ${median(us).toFixed(2)} us, each alone ${chain.reduce((all, { us: own }) => all + own, 0).toFixed(2)} us`);
}
gpu.close();

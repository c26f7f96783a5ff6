// Every operation of the engine on the GPU against the CPU, through the player: tests/gpu/ops.c says which.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { MANY_F16, MANY_F32, MANY_MATRIX, openDevice, TRAIT } from '../../js/src/gpu/device.ts';
import { Player } from '../../js/src/gpu/player.ts';
import { readSources, testAdapters, useAdapter } from './harness.mjs';

const file = path.join(import.meta.dirname, '../../build/wasm-tests/relaxed-single/gpu_ops.wasm');
const adapters = testAdapters();
/** Bytes: room for the tensors of ops.c, and less than the weights of its cases of parts. */
const SMALL_BINDING = 2 << 20;
/** In software each kernel takes long to compile: one case of each operation, where its own test (linear_few.test.mjs, ...) has the others. */
const few =
  /^(linear (odd|q4_0|many q5_1|parts)|norm_linear (3|many)|norm_geglu|embed q4_0|norm rms add norm|norm layer|rope_table|softcap|cross 5( and a product)?|self (1 rotated|many ring)|put|copy)$/;

/** What a device is asked for, and how it is told to the engine. */
const variants = [
  { name: 'all it has', device: {} },
  { name: 'nothing optional', device: { features: [], limits: 'default' } },
  { name: 'packed products', device: { features: [], limits: 'default' }, packed: true, only: /^linear many q[458]_0$/ },
  { name: 'small bindings', device: { features: [] }, maxBindingBytes: SMALL_BINDING, only: /parts/ },
];
const whole = (adapter) => adapter === 'gpu' || Boolean(process.env.SOTTO_SLOW_TESTS);
/** What half floats and subgroups make other kernels of. */
const otherKernels = /^(linear many q5_1|norm_linear many|cross 5|self 1 rotated|softcap)$/;
const casesOf = (adapter, { only }) => only ?? (whole(adapter) ? /./ : adapter === 'lavapipe' && adapters.length > 1 ? otherKernels : few);
/** In software each variant on the one that has what it is about: lavapipe has half floats and subgroups, and compiles slowest. */
const variantsOf = (adapter) =>
  whole(adapter) || adapters.length === 1 ? variants : variants.filter(({ device }) => (adapter === 'lavapipe') === (device.features === undefined));

async function run({ device: options, maxBindingBytes, packed = false }, only, report) {
  const opened = await openDevice(options);
  const { traits } = opened;
  if (maxBindingBytes) traits[TRAIT.maxBindingBytes] = maxBindingBytes;
  // What a device can, whether or not tune.ts would find it faster there.
  traits[TRAIT.manyPath] = traits[TRAIT.matrix] ? MANY_MATRIX : traits[TRAIT.f16] ? MANY_F16 : MANY_F32;
  traits[TRAIT.packedDot] = Number(packed && traits[TRAIT.packedDot]);
  const player = new Player(opened, { sources: readSources() });
  const module = new WebAssembly.Module(readFileSync(file));
  const { exports: x } = new WebAssembly.Instance(module, { env: { now_ms: () => performance.now(), ...player.imports } });
  player.attach(x.memory);
  const text = (p) => Buffer.from(new Uint8Array(x.memory.buffer, p >>> 0, 500)).toString('latin1').split('\0')[0];
  assert.equal(x.ops_open(), 0, text(x.ops_message()));
  for (let i = 0; i < x.ops_count(); i++) {
    const name = text(x.ops_name(i));
    if (!only.test(name)) continue;
    x.ops_run(i);
    let result = x.ops_check(i);
    while (result === 0) {
      await player.settled();
      player.check();
      result = x.ops_check(i);
    }
    report(name, result < 0 ? text(x.ops_message()) : '');
  }
  x.ops_close();
  assert.equal(player.bufferBytes, 0, 'closing leaves buffers open');
  await player.finished();
  player.close();
}

if (!existsSync(file)) {
  test('operations', { skip: 'build/wasm-tests/relaxed-single/gpu_ops.wasm is not made' }, () => {});
} else if (adapters.length === 0) {
  test('operations', { skip: 'no Vulkan driver in software' }, () => {});
}
for (const adapter of existsSync(file) ? adapters : [])
  for (const variant of variantsOf(adapter))
    test(`operations on ${adapter}, ${variant.name}`, async () => {
      useAdapter(adapter);
      const wrong = [];
      await run(variant, casesOf(adapter, variant), (name, why) => why && wrong.push(`${name}: ${why}`));
      assert.deepEqual(wrong, []);
    });

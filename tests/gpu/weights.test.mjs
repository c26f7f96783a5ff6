// Weights of every type, read by quads.
import assert from 'node:assert/strict';
import test from 'node:test';
import { open, testAdapters } from './harness.mjs';
import { blockOf, randomSource, randomWeight, TYPES } from './quants.mjs';

const reader = (w) => `
#include weights w=${w} type=$type
@group(0) @binding(0) var<uniform> size: vec2<u32>;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let quads = (size.y + 31) / 32 * 8;
  if (id.x >= size.x * quads) { return; }
  let row = id.x / quads;
  let quad = id.x % quads;
  let v = w${w}_quad(row, quad / 8, quad % 8, size.y);
  for (var j = 0u; j < 4; j++) { act[4 * id.x + j] = v[j]; }
}`;

for (const adapter of testAdapters())
  test(`quads of weights of every type, ${adapter}`, async () => {
    const gpu = await open({ adapter });
    for (const w of [0, 1, 2]) gpu.sources[`reader${w}`] = reader(w);
    const random = randomSource(7);
    for (const type of TYPES)
      for (const [rows, blocks, w] of [[1, 1, 0], [5, 3, 1], [7, 9, 2]]) {
        const block = blockOf(type);
        const cols = block === 1 ? [1, 37, 128][w] : block * blocks;
        const weight = randomWeight(type, rows, cols, random);
        const padded = Math.ceil(cols / 32) * 32;
        const { act } = await gpu.run(`reader${w} type=${type}`, {
          params: [rows, cols],
          bindings: { 1: { act: new Float32Array(rows * padded).fill(NaN) }, [4 + 2 * w]: { q: weight.quants }, [5 + 2 * w]: { s: weight.scales } },
          grid: [Math.ceil((rows * padded) / 4 / 64), 1, 1],
        });
        for (let r = 0; r < rows; r++)
          for (let c = 0; c < padded; c++) {
            const want = c < cols ? weight.values[r * cols + c] : 0;
            const got = act[r * padded + c];
            assert.ok(Math.abs(got - want) <= 4e-7 * (Math.abs(want) + 0.1), `${type} [${r}, ${c}]: ${got}, not ${want}`);
          }
      }
    gpu.close();
  });

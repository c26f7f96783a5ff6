// Rows of tables: all types, of several parts, with positions, and ids that were chosen on the GPU.
import assert from 'node:assert/strict';
import test from 'node:test';
import { f, open, testAdapters } from './harness.mjs';
import { blockOf, randomSource, randomWeight, TYPES } from './quants.mjs';

for (const adapter of testAdapters())
  test(`embed, ${adapter}`, async () => {
    const gpu = await open({ adapter });
    const random = randomSource(11);
    for (const type of TYPES)
      for (const pos of type === 'f16' || type === 'q4_0' ? [0, 1] : [0]) {
        const block = blockOf(type);
        const cols = block === 1 ? 77 : block * 3;
        const rows = 9;
        // The part has rows 5 to 13 of the table: ids before and after it are others' to fetch.
        const table = randomWeight(type, rows, cols, random);
        const ids = [5, 13, 4, 14, 9, -3, -1, 1 << 30];
        const chosen = Uint32Array.of(7, 0, 12, 0, 0, 0, 0, 0);
        const positions = Float32Array.from({ length: 6 * (cols + 1) }, () => random() - 0.5);
        const places = ids.map((_, i) => i % 5);
        const stride = cols + 3;
        const act = new Float32Array(ids.length * stride + 2).fill(-7);
        const got = (
          await gpu.run(`embed type=${type} pos=${pos} chosen=1`, {
            params: [ids.length, cols, 2, stride, 1, 5, rows, f(3.5), 1, cols + 1, 1 + ids.length],
            bindings: {
              1: { act },
              2: { vec: positions },
              3: { ints: Int32Array.of(99, ...ids, ...places) },
              4: { q: table.quants },
              5: { s: table.scales },
              13: { chosen },
            },
            grid: [Math.ceil(cols / 256), ids.length, 1],
          })
        ).act;
        ids.forEach((id, i) => {
          const row = (id < 0 ? chosen[-1 - id] : id) - 5;
          for (let c = 0; c < stride; c++) {
            const at = 2 + i * stride + c;
            let want = -7;
            if (row >= 0 && row < rows && c < cols)
              want = table.values[row * cols + c] * 3.5 + (pos ? positions[1 + places[i] * (cols + 1) + c] : 0);
            if (at < act.length) assert.ok(Math.abs(got[at] - want) < 1e-5, `${type} pos=${pos} [${i}, ${c}]: ${got[at]}, not ${want}`);
          }
        });
      }
    gpu.close();
  });

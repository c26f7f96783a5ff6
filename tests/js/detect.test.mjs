// What is found out about the place, and which build follows from it.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import test from 'node:test';
import { BUILT, MODEL, needs, root, runProgram, sotto } from './support.mjs';

const print = `import { detect } from '${root}/js/dist/index.node.js'; console.log(JSON.stringify(detect()));`;
const detectIn = async (...flags) =>
  JSON.parse((await runProgram(process.execPath, [...flags, '--input-type=module', '-e', print])).stdout);

test('this Node has SIMD and threads', needs(...BUILT), async () => {
  const features = sotto.detect();
  assert.equal(features.simd, true);
  assert.equal(features.threads, true);
  assert.equal(features.whySingle, undefined);
});

test('relaxed SIMD is used where it computes right, in both compilers of V8', needs(...BUILT), async (t) => {
  if (Number(process.versions.node.split('.')[0]) < 22) return t.skip('this Node has relaxed SIMD behind a flag');
  for (const flag of ['--liftoff-only', '--no-liftoff']) assert.equal((await detectIn(flag)).relaxedSimd, true, flag);
});

test('relaxed SIMD is not used in Node 20, whose baseline compiler gets it wrong', needs(...BUILT), async (t) => {
  const node20 = ['/usr/bin/node', process.execPath].find((file) => existsSync(file));
  const { stdout } = await runProgram(node20, ['--version']);
  if (!stdout.startsWith('v20.')) return t.skip('there is no Node 20 here');
  const run = async (...flags) =>
    JSON.parse((await runProgram(node20, [...flags, '--input-type=module', '-e', print])).stdout);
  assert.equal((await run()).relaxedSimd, false);
  assert.equal((await run('--experimental-wasm-relaxed-simd', '--liftoff-only')).relaxedSimd, false);
});

test(
  'without SharedArrayBuffer, or cross-origin isolation, it says why there are no threads',
  needs(...BUILT),
  async () => {
    const isolated = `globalThis.crossOriginIsolated = false; ${print.replace('import {', 'const {').replace("} from '", "} = await import('").replace("';", "');")}`;
    const { stdout } = await runProgram(process.execPath, ['--input-type=module', '-e', isolated]);
    const features = JSON.parse(stdout);
    assert.equal(features.threads, false);
    assert.match(features.whySingle, /not cross-origin isolated.*Cross-Origin-Opener-Policy/);
  },
);

test('each of the four builds can be asked for', needs(MODEL, ...BUILT), async () => {
  for (const variant of ['simd-single', 'simd-threads', 'relaxed-single', 'relaxed-threads']) {
    if (variant.startsWith('relaxed') && !sotto.detect().relaxedSimd) continue;
    const transcriber = await sotto.Transcriber.create({ model: MODEL, variant, threads: 2 });
    assert.equal(transcriber.info.variant, variant);
    assert.equal(transcriber.info.threads, variant.endsWith('threads') ? 2 : 1);
    assert.equal(transcriber.info.isa, variant.startsWith('relaxed') ? 'wasm-relaxed-simd' : 'wasm-simd');
    await transcriber.destroy();
  }
});

test('wrong options are refused in words', needs(...BUILT), async () => {
  await assert.rejects(sotto.Transcriber.create({ model: MODEL, threads: 0 }), {
    code: 'argument',
    message: /threads/,
  });
  await assert.rejects(sotto.Transcriber.create({ model: MODEL, variant: 'avx' }), {
    code: 'argument',
    message: /variant/,
  });
  await assert.rejects(sotto.Transcriber.create({ model: 7 }), { code: 'argument', message: /model/ });
});

// The package as it would be published: what is in it, and what publint and arethetypeswrong say of it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { pack } from './packed.mjs';
import { BUILT, needs } from './support.mjs';

const ready = needs('js/dist/openai.js', 'js/dist/types/openai.d.ts', 'node_modules/publint/package.json', 'node_modules/@arethetypeswrong/core/package.json', ...BUILT);
const manifest = JSON.parse(readFileSync('js/package.json', 'utf8'));

test('it has what is exported, and nothing of the sources', ready, () => {
  const { stdout } = spawnSync('tar', ['tzf', pack()], { encoding: 'utf8' });
  const files = new Set(stdout.split('\n').filter(Boolean));
  const targets = Object.values(manifest.exports).flatMap((e) => (typeof e === 'string' ? [e] : Object.values(e))).filter((e) => !e.includes('*'));
  for (const target of [...targets, manifest.bin.sotto]) assert.ok(files.has(`package/${target.replace('./', '')}`), target);
  for (const name of ['worker.js', 'thread.js', 'gpu.js', 'quantizer.js', 'teller-q8_0.gguf', ...['relaxed', 'simd'].flatMap((isa) => ['single', 'threads'].map((t) => `sotto-${isa}-${t}.wasm`))])
    assert.ok(files.has(`package/dist/${name}`), name);
  for (const file of files) assert.match(file, /^package\/(dist\/|bin\/sotto\.js$|(package|models)\.json$|LICENSE$|README\.md$)/);
  for (const file of files) assert.ok(!/\.(ts)$/.test(file) || /\.d\.ts$/.test(file), file);
});

test('publint has nothing to say', ready, async () => {
  const { publint } = await import('publint');
  const { formatMessage } = await import('publint/utils');
  const { messages } = await publint({ strict: true, pack: { tarball: new Uint8Array(readFileSync(pack())).buffer } });
  assert.deepEqual(messages.map((message) => formatMessage(message, manifest)), []);
});

test('types resolve, for bundlers and for Node', ready, async () => {
  const { checkPackage, createPackageFromTarballData } = await import('@arethetypeswrong/core');
  const result = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(pack()))));
  assert.ok(result.types);
  /* The package is a module for import alone; resolution as of Node 10, which knows no exports, is not looked at. */
  const problems = result.problems.filter(({ kind, resolutionKind }) => kind !== 'CJSResolvesToESM' && resolutionKind !== 'node10');
  assert.deepEqual(problems, []);
  assert.ok(existsSync('js/dist/index.js'));
});

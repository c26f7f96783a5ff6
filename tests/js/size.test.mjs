// What a page downloads: the JavaScript and the one WebAssembly file in use.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { BUILT, needs, root, WASM } from './support.mjs';

const LIMIT = 250_000;
const GPU_LIMIT = 45_000;
const size = (file) => gzipSync(readFileSync(`${root}/${file}`), { level: 9 }).length;

test('JavaScript and one engine, gzip, stay under 250 KB', needs('js/dist/index.js', ...BUILT), (t) => {
  const scripts = ['index', 'worker', 'thread', 'format'].map((name) => size(`js/dist/${name}.js`));
  const script = scripts.reduce((sum, n) => sum + n, 0);
  const engine = Math.max(...WASM.map(size));
  t.diagnostic(`JavaScript ${script} bytes, largest engine ${engine} bytes`);
  assert.ok(script + engine <= LIMIT, `${script} + ${engine} bytes`);
});

test('what drives a GPU is a module of its own, under 45 KB', needs('js/dist/gpu.js'), (t) => {
  const bytes = size('js/dist/gpu.js');
  t.diagnostic(`${bytes} bytes`);
  assert.ok(bytes <= GPU_LIMIT, `${bytes} bytes`);
  for (const name of ['index', 'worker', 'thread'])
    assert.doesNotMatch(readFileSync(`${root}/js/dist/${name}.js`, 'utf8'), /@workgroup_size/, name);
});

test('the package depends on nothing that one must have', () => {
  const { dependencies, peerDependencies, peerDependenciesMeta } = JSON.parse(
    readFileSync(`${root}/js/package.json`, 'utf8'),
  );
  assert.equal(dependencies, undefined);
  for (const name of Object.keys(peerDependencies ?? {})) assert.equal(peerDependenciesMeta?.[name]?.optional, true, name);
});

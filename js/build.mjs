// Builds js/dist from js/src: one self-contained module for each thing that a page, a worker or Node loads, and types.
//
//   models.json ──────────> src/models.gen.ts ──────┐
//   ../src/gpu/wgsl/*.wgsl ─> src/gpu/kernels.gen.ts ─┤
//   src/*.ts ─────────────────────────────────────────┴─ esbuild ──> dist/*.js      tsc ──> dist/types/*.d.ts
//
// The entry points refer to each other and to the WebAssembly files only as new URL('./NAME', import.meta.url), which
// browsers, Node and bundlers all understand; esbuild leaves these as they are.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { build } from 'esbuild';

const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
process.chdir(here);

const { about: _, ...manifest } = JSON.parse(readFileSync('models.json', 'utf8'));
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const generated =
  '// Made from models.json and package.json by build.mjs.\n' +
  "import type { Manifest } from './models.js';\n\n" +
  `export const VERSION = ${JSON.stringify(version)};\n` +
  `export const MANIFEST: Manifest = ${JSON.stringify(manifest, null, 1)};\n`;
/** Leaves a file alone that is as it should be, for those who watch. */
function generate(file, text) {
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text);
}
generate('src/models.gen.ts', generated);

// WGSL has no strings, so that a comment begins wherever // stands.
const wgsl = '../src/gpu/wgsl';
const dense = (text) =>
  text
    .split('\n')
    .map((line) => line.replace(/\/\/.*/, '').trim())
    .filter(Boolean)
    .join('\n');
const kernels = readdirSync(wgsl)
  .filter((file) => file.endsWith('.wgsl'))
  .sort()
  .map((file) => [path.basename(file, '.wgsl'), dense(readFileSync(`${wgsl}/${file}`, 'utf8'))]);
generate(
  'src/gpu/kernels.gen.ts',
  '// Made from src/gpu/wgsl/*.wgsl by build.mjs.\n' +
    "import type { Sources } from './compose.ts';\n\n" +
    `export const KERNELS: Sources = ${JSON.stringify(Object.fromEntries(kernels), null, 1)};\n`,
);

// The models that ship with the package, beside the engine.
mkdirSync('dist', { recursive: true });
for (const shipped of ['teller-q8_0.gguf', 'silero-vad-v6.2.0.bin'])
  if (!existsSync(`dist/${shipped}`) || statSync(`dist/${shipped}`).mtimeMs < statSync(`../assets/${shipped}`).mtimeMs)
    copyFileSync(`../assets/${shipped}`, `dist/${shipped}`);

const options = (world, target) => ({
  bundle: true,
  format: 'esm',
  target,
  outdir: 'dist',
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
  alias: Object.fromEntries(
    ['host', 'platform', 'thread-host'].map((name) => [`@${name}`, `./src/${name}.${world}.ts`]),
  ),
});
const made = new Set();
/** Bundles, and notes what came of it. */
async function bundle(settings) {
  const { metafile } = await build({ ...settings, metafile: true });
  for (const file of Object.keys(metafile.outputs)) made.add(path.basename(file));
}
const entries = (names, suffix = '') => names.map((name) => ({ in: `src/${name}.ts`, out: name + suffix }));
await bundle({
  ...options('browser', 'es2022'),
  platform: 'browser',
  entryPoints: entries(['index', 'worker', 'thread', 'live-worklet', 'gpu', 'quantizer', 'format']),
});
await bundle({
  ...options('node', 'node20'),
  platform: 'node',
  entryPoints: entries(['index', 'worker', 'thread', 'gpu', 'quantizer'], '.node'),
});
await bundle({
  ...options('node', 'node20'),
  platform: 'node',
  entryPoints: entries(['cli']),
  external: ['./index.node.js'],
});

/** The client of OpenAI's shape is a layer over the package itself, which it imports. */
const besideIndex = (index) => ({
  name: 'beside-index',
  setup: ({ onResolve }) => onResolve({ filter: /^\.\/index\.js$/ }, () => ({ path: index, external: true })),
});
for (const [world, target, suffix] of [['browser', 'es2022', ''], ['node', 'node20', '.node']]) {
  await bundle({
    ...options(world, target),
    platform: world,
    entryPoints: entries(['openai'], suffix),
    plugins: [besideIndex(`./index${suffix}.js`)],
  });
}

for (const file of readdirSync('dist')) if (file.endsWith('.js') && !made.has(file)) rmSync(`dist/${file}`); // of an entry that is gone

if (!process.argv.includes('--no-types')) {
  const require = createRequire(import.meta.url);
  const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc], { stdio: 'inherit' });
  if (status !== 0) process.exit(1);
  for (const file of readdirSync('dist/types', { recursive: true })) {
    if (file.endsWith('.d.ts') && !existsSync(`src/${file.replace(/\.d\.ts$/, '.ts')}`)) rmSync(`dist/types/${file}`); // of a source that is gone
  }
}

// Builds js/dist from js/src: one self-contained module for each thing that a page, a worker or Node loads, and types.
//
//   models.json ──> src/models.gen.ts ─┐
//   src/*.ts ──────────────────────────┴─ esbuild ──> dist/*.js      tsc ──> dist/types/*.d.ts
//
// The entry points refer to each other and to the WebAssembly files only as new URL('./NAME', import.meta.url), which
// browsers, Node and bundlers all understand; esbuild leaves these as they are.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync, existsSync } from 'node:fs';
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
if (!existsSync('src/models.gen.ts') || readFileSync('src/models.gen.ts', 'utf8') !== generated) {
  writeFileSync('src/models.gen.ts', generated);
}

const shared = { bundle: true, format: 'esm', target: 'es2022', outdir: 'dist', minify: true, legalComments: 'none', logLevel: 'warning' };
await build({ ...shared, platform: 'browser', entryPoints: ['index', 'worker', 'thread', 'format'].map((name) => `src/${name}.ts`) });
await build({
  ...shared,
  platform: 'node',
  target: 'node20',
  entryPoints: ['index.node', 'worker.node', 'thread.node', 'cli'].map((name) => `src/${name}.ts`),
});

if (!process.argv.includes('--no-types')) {
  const require = createRequire(import.meta.url);
  const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc], { stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}

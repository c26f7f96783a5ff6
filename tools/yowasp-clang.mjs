// clang and wasm-ld for WebAssembly from npm's @yowasp/clang, where no suitable clang is installed (tools/wasm-cc).
// They see a file system of their own: this puts our sources and the objects named into it, and writes the results out.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const bundle = new URL('../.cache/yowasp/node_modules/@yowasp/clang/gen/bundle.js', import.meta.url);
const files = {};
function add(name) {
  let at = files;
  const parts = path.normalize(name).split('/');
  for (const part of parts.slice(0, -1)) at = at[part] ??= {};
  const bytes = readFileSync(name);
  // That file system does not know "..": includes are named from the root.
  const fromRoot = (all, file) => `#include "${path.join(path.dirname(name), file)}"`;
  at[parts.at(-1)] = /\.(c|h|inc)$/.test(name) ? bytes.toString().replace(/^#include "(\.\.\/[^"]+)"/gm, fromRoot) : bytes;
}
function addFolder(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const name = path.join(folder, entry.name);
    if (entry.isDirectory()) addFolder(name);
    else if (/\.(c|h|inc)$/.test(name)) add(name);
  }
}
function write(tree, folder, before) {
  for (const [name, content] of Object.entries(tree)) {
    const at = path.join(folder, name);
    if (content instanceof Uint8Array || typeof content === 'string') {
      if (before?.[name] === undefined) writeFileSync(at, content);
    } else {
      mkdirSync(at, { recursive: true });
      write(content, at, before?.[name]);
    }
  }
}

const args = process.argv.slice(2);
if (args.includes('--version')) {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', bundle), 'utf8'));
  console.log(`@yowasp/clang ${version}`);
  process.exit(0);
}
const { runClang, Exit } = await import(bundle);
if (args.includes('-c')) {
  const source = args.find((arg) => arg.endsWith('.c')) ?? '';
  for (const folder of new Set(['src', 'include', path.normalize(source).split('/')[0]])) if (folder) addFolder(folder);
}
for (const arg of args) if (arg.endsWith('.o') && args[args.indexOf(arg) - 1] !== '-o') add(arg);
const out = args.indexOf('-o') < 0 ? null : args[args.indexOf('-o') + 1];
if (out !== null) { // the folder must be there
  let at = files;
  for (const part of path.normalize(path.dirname(out)).split('/')) at = at[part] ??= {};
}
try {
  const to = (stream) => (bytes) => bytes && stream.write(bytes);
  const options = { stdout: to(process.stdout), stderr: to(process.stderr), fetchProgress: () => {} };
  const result = await runClang(['clang', '-iquote', '.', ...args.filter((arg) => arg !== '--no-wasm-opt')], files, options);
  if (result) write(result, '.', files);
} catch (error) {
  if (!(error instanceof Exit)) throw error;
  if (error.files) write(error.files, '.', files);
  process.exit(error.code || 1);
}

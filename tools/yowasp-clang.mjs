// clang and wasm-ld for WebAssembly from npm's @yowasp/clang, where no suitable clang is installed (tools/wasm-cc).
//
//     wasm-cc -c a.c -o a.o      ──> a.o holds these arguments for now: a process takes seconds to get clang going, which is
//                                    WebAssembly itself, and a tenth of one for each further call
//     wasm-cc a.o b.o -o x.wasm  ──> this, once: compiles those that are not yet, then links
//
// Clang sees a file system of its own, in which the sources and objects are put; results are taken out of it.
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const DEFERRED = 'arguments\n'; // how a file begins that tools/wasm-cc wrote in place of an object; then one argument a line
const FOLDERS = ['src', 'include', 'cli', 'tests'];
const home = fileURLToPath(new URL('../.cache/yowasp/node_modules/@yowasp/clang/', import.meta.url));

/** The arguments that an object's file holds; null where it is an object. */
function deferred(object) {
  const bytes = readFileSync(object);
  return bytes.toString('latin1', 0, DEFERRED.length) === DEFERRED ? bytes.toString().trimEnd().split('\n').slice(1) : null;
}

/** Puts a file into a tree of folders. */
function put(tree, name, content) {
  const parts = path.normalize(name).split('/');
  for (const part of parts.slice(0, -1)) tree = tree[part] ??= {};
  tree[parts.at(-1)] = content;
}

const get = (tree, name) => path.normalize(name).split('/').reduce((at, part) => at?.[part], tree);
const outputOf = (args) => args[args.indexOf('-o') + 1];

/** The C files below a folder; as that file system does not know "..", includes are named from the root. */
function addSources(tree, folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const name = path.join(folder, entry.name);
    const include = (_, file) => `#include "${path.join(folder, file)}"`;
    if (entry.isDirectory()) addSources(tree, name);
    else if (/\.(c|h|inc)$/.test(name)) put(tree, name, readFileSync(name, 'utf8').replace(/^#include "(\.\.\/[^"]+)"/gm, include));
  }
}

const args = process.argv.slice(2);
if (args.includes('--version')) {
  console.log(`@yowasp/clang ${JSON.parse(readFileSync(path.join(home, 'package.json'), 'utf8')).version}`);
  process.exit();
}

const { runClang, Exit } = await import(path.join(home, 'gen/bundle.js'));
await runClang(null, {}, { fetchProgress: () => {} }); // loads it, without a word

/** Runs clang on a tree and returns the tree with the results. */
function clang(args, files) {
  const to = (stream) => (bytes) => bytes && stream.write(bytes);
  put(files, path.join(path.dirname(outputOf(args)), '.folder'), ''); // it must be there
  return runClang(['clang', '-iquote', '.', ...args.filter((arg) => arg !== '--no-wasm-opt')], files, { stdout: to(process.stdout), stderr: to(process.stderr) });
}

/** Writes a file whole or not at all: another process may make the same one. */
function write(name, content) {
  const part = `${name}.${process.pid}`;
  writeFileSync(part, content);
  renameSync(part, name);
}

try {
  const objects = args.filter((arg) => arg.endsWith('.o'));
  const sources = {};
  for (const folder of FOLDERS) addSources(sources, folder);
  for (const object of objects) {
    const compile = deferred(object);
    if (compile === null) continue;
    const result = await clang(compile, structuredClone(sources));
    const rules = object.replace(/o$/, 'd');
    write(rules, get(result, rules));
    if (deferred(object) !== null) write(object, get(result, object));
  }
  const files = {};
  for (const object of objects) put(files, object, readFileSync(object));
  write(outputOf(args), get(await clang(args, files), outputOf(args)));
} catch (error) {
  if (!(error instanceof Exit)) throw error;
  process.exit(error.code || 1);
}

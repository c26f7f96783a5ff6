// What the tests of the package share.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
process.chdir(root);

export const MODEL = 'models/ggml-tiny-q5_1.bin';
export const MODEL_SHA256 = '818710568da3ca15689e31a743197b520007872ff9576237bda97bd1b469c3d7';
export const JFK = 'tests/fixtures/audio/jfk.wav';

const missing = (...files) => files.find((file) => !existsSync(path.join(root, file)));

/** Options of a test that needs files that are fetched or built: { skip: why } where one is not there. */
export function needs(...files) {
  const file = missing(...files);
  if (file) console.log(`skip: ${file} is not there`);
  return file ? { skip: `${file} is not there` } : {};
}
export const WASM = ['simd-single', 'simd-threads', 'relaxed-single', 'relaxed-threads'].map(
  (variant) => `js/dist/sotto-${variant}.wasm`,
);
export const BUILT = ['js/dist/index.node.js', ...WASM];

export const sotto = existsSync(path.join(root, BUILT[0])) ? await import(path.join(root, BUILT[0])) : {};

/** Words in small letters, without punctuation. */
export const words = (text) => text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];
export const JFK_WORDS = words(
  'And so my fellow Americans ask not what your country can do for you ask what you can do for your country',
);

/** Samples of a 16-bit mono WAV file, as the test itself reads them. */
export function readSamples(file) {
  const bytes = readFileSync(file);
  const at = bytes.indexOf('data') + 8;
  const pcm = new Int16Array(bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + bytes.length));
  return { samples: Float32Array.from(pcm, (x) => x / 32768), rate: bytes.readUInt32LE(24) };
}

export function temporaryFolder(t) {
  const folder = mkdtempSync(path.join(tmpdir(), 'sotto-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs a program; never rejects. */
export const runProgram = (file, args, { input, ...options } = {}) =>
  new Promise((resolve) => {
    const child = execFile(
      file,
      args,
      { cwd: root, timeout: 120_000, maxBuffer: 1 << 26, ...options },
      (error, stdout, stderr) => resolve({ code: error ? (error.code ?? error.signal) : 0, stdout, stderr }),
    );
    if (input) child.stdin.end(input);
    else child.stdin.end();
  });

/** Starts a server on a free port that ends with the test; `handle` gets (request, response, pathname). */
export async function serve(t, handle) {
  const server = createServer((request, response) =>
    handle(request, response, new URL(request.url, 'http://x').pathname),
  );
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

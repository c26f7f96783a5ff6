// What the tests of the native command share: running it, files, GGUF files in pieces.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { splitGguf } from '../split-gguf.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
process.chdir(root);
export const sotto = path.join(root, 'build/sotto');
/** The language model that comes with sotto. */
export const model = 'assets/teller-q8_0.gguf';
export const noCommand = fs.existsSync(sotto) ? false : 'skip: build/sotto is missing: make native';

const env = { ...process.env };
delete env.SOTTO_LANGUAGE_MODEL;
delete env.SOTTO_MODEL;
export { env };

export function run(args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(sotto, args, { env, encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  if (error) throw error;
  return { status, stdout, stderr };
}

export function done(args, options) {
  const r = run(args, options);
  assert.equal(r.status, 0, r.stderr);
  return r.stdout;
}

/** One sentence on standard error, nothing on standard output. */
export function fails(status, args, pattern, options) {
  const r = run(args, options);
  assert.equal(r.status, status, `${args}: ${r.stderr}`);
  assert.equal(r.stdout, '');
  assert.match(r.stderr, /^sotto: [^\n]+\n$/);
  assert.match(r.stderr, pattern);
}

/** A folder that goes away after the tests. */
export function scratchFolder(name) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), `sotto-${name}-`));
  after(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Splits a GGUF file into `parts` files in a folder; their paths. */
export function split(from, folder, parts) {
  return splitGguf(fs.readFileSync(from), 'split', parts).map(([name, bytes]) => {
    const at = path.join(folder, name);
    fs.writeFileSync(at, bytes);
    return at;
  });
}

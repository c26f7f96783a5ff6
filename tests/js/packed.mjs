// The package as it would be published, and folders that it is installed into.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { root } from './support.mjs';

export function run(command, args, cwd, env = {}) {
  const options = { cwd, encoding: 'utf8', timeout: 120_000, env: { ...process.env, ...env } };
  const { status, stdout, stderr, error } = spawnSync(command, args, options);
  if (error || status !== 0) throw error ?? new Error(`${command} ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

const scratch = mkdtempSync(path.join(tmpdir(), 'sotto-packed-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
let tarball;

/** Path of the tarball, made once. */
export function pack() {
  if (!tarball) {
    const [{ filename }] = JSON.parse(run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', scratch], path.join(root, 'js')));
    tarball = path.join(scratch, filename);
  }
  return tarball;
}

/** A copy of a folder with the tarball installed into it, and these packages of the repository beside it. */
export function installed(folder, packages = []) {
  const to = path.join(scratch, path.basename(folder));
  cpSync(folder, to, { recursive: true, filter: (from) => path.basename(from) !== 'node_modules' });
  const file = path.join(to, 'package.json');
  const { dependencies: _, devDependencies: __, ...own } = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify(own)); // the others are put there by hand: nothing is fetched
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', '--legacy-peer-deps', pack()], to);
  for (const name of packages) symlinkSync(path.join(root, 'node_modules', name), path.join(to, 'node_modules', name));
  return to;
}

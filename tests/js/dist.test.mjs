// What is handed out has the same bytes wherever the sources lie: two copies of them in folders of different names, with other times and modes of files,
// each with the engine as it is built here, make the package, the page and the archives of `make dist`. Of C one file is compiled in both: all are, in the same way.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { run } from './packed.mjs';
import { BUILT, needs, root, WASM } from './support.mjs';

const OBJECT = 'build/release/src/cpu/cpu_attention.o';
const MADE = [...WASM, 'js/dist/audio-decoders.wasm', 'build/sotto'];
const LEFT_OUT = /^(tests\/(?!fixtures\/audio\/jfk\.wav$)|docs\/|examples\/|\.ci\/)/;

const listed = spawnSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
const hardLinks = spawnSync('cp', ['--version'], { encoding: 'utf8' }).stdout?.includes('GNU');
const whyNot =
  listed.status !== 0 ? 'this is no clone of the repository' : !hardLinks ? 'cp is not GNU' : !existsSync('node_modules/vite') ? 'vite is not installed' : undefined;
if (whyNot) console.log(`skip: ${whyNot}`);

mkdirSync('build', { recursive: true });
const scratch = mkdtempSync(path.join(root, 'build/dist-test-')); // here, for hard links do not leave a disk
after(() => rmSync(scratch, { recursive: true, force: true }));

/** A copy of the sources, and what others are made of: its folder. `mode`: of all files, executable or not. */
function copied([name, mode]) {
  const folder = path.join(scratch, name);
  const files = listed.stdout.split('\n').filter((file) => file && !LEFT_OUT.test(file) && existsSync(file));
  for (const file of [...files, ...MADE]) {
    const copy = path.join(folder, file);
    cpSync(file, copy);
    chmodSync(copy, mode & (statSync(file).mode & 0o100 ? 0o777 : 0o666));
  }
  for (const at of ['.', 'js', 'app']) if (existsSync(`${at}/node_modules`)) run('cp', ['-al', path.join(root, at, 'node_modules'), path.join(folder, at)], root);
  return folder;
}

/** Makes all in such a copy: { name: SHA-256 }. */
function madeIn(folder) {
  const env = { SOURCE_DATE_EPOCH: '1750000000', MAKEFLAGS: '' };
  run(process.execPath, ['build.mjs'], path.join(folder, 'js'), env);
  run(process.execPath, [path.join(folder, 'node_modules/vite/bin/vite.js'), 'build'], path.join(folder, 'app'), env);
  run('tools/make-dist', [], folder, env);
  run('make', [OBJECT], folder, env);
  const sums = readFileSync(path.join(folder, 'dist/SHA256SUMS'), 'utf8').trim().split('\n');
  const object = run('sha256sum', [OBJECT], folder).split(' ')[0];
  return { ...Object.fromEntries(sums.map((line) => line.split(/ +/).reverse())), [OBJECT]: object };
}

test('two copies of the sources give the same bytes', { ...needs(...BUILT, ...MADE), ...(whyNot && { skip: whyNot }), timeout: 290_000 }, () => {
  const [one, other] = [['one', 0o755], ['another/with-a-longer-name', 0o700]].map(copied).map(madeIn);
  assert.deepEqual(other, one);
  const names = Object.keys(one);
  for (const expected of [/sotto-[\d.]+\.tgz$/, /sotto-[\d.]+-\w+-\w+\.tar\.gz$/, /site\/index\.html$/, /site\/offline\.js$/, /site\/assets\/Benchmark-.*\.js$/])
    assert.ok(names.some((name) => expected.test(name)), String(expected));
  const archive = readdirSync(path.join(scratch, 'one/dist')).find((name) => name.endsWith('.tar.gz'));
  const inside = run('tar', ['tzf', path.join(scratch, 'one/dist', archive)], root);
  for (const file of ['bin/sotto', 'share/sotto/teller-q8_0.gguf', 'share/sotto/page/index.html']) assert.match(inside, new RegExp(`^[^/]+/${file}$`, 'm'));
});

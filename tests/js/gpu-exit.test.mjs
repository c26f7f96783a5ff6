// The end of a process whose engine is at work on a GPU: WebGPU in Node aborts where a worker ends with something under way.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { root } from './support.mjs';
import { ready, TELLER } from './teller.mjs';

const skip = ready.skip ?? (existsSync(path.join(root, 'node_modules/webgpu')) ? undefined : 'the npm package webgpu is not installed');
if (skip) console.log(`skip: ${skip}`);

/** A process that has a model on a device of Dawn's that compiles all and computes nothing; `then` is what it does. */
function run(then) {
  const script = `
    import * as sotto from ${JSON.stringify(new URL('../../js/dist/index.node.js', import.meta.url).href)};
    const options = { model: ${JSON.stringify(TELLER)}, backend: 'webgpu', dawn: ['backend=null'] };
    const model = await sotto.LanguageModel.create(options);
    const ids = Array.from({ length: 300 }, (_, i) => i + 300);
    ${then}`;
  const options = { encoding: 'utf8', cwd: root, timeout: 60_000 };
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], options);
}

for (const ms of [5, 20])
  test(`process.exit() while work is under way since ${ms} ms`, { skip }, () => {
    const { status, stderr } = run(`model.score(ids).catch(() => {}); setTimeout(() => process.exit(3), ${ms});`);
    assert.equal(status, 3, stderr.slice(-500));
  });

test('an error that no one catches', { skip }, () => {
  const { status, stderr } = run("model.score(ids).catch(() => {}); setTimeout(() => { throw new Error('mine'); }, 10);");
  assert.equal(status, 1, stderr.slice(-500));
  assert.match(stderr, /Error: mine/);
});

test('destroy() while work is under way', { skip }, () => {
  const { status, stdout, stderr } = run(`
    const scored = model.score(ids).catch(({ name }) => name);
    await new Promise((resolve) => setTimeout(resolve, 10));
    await model.destroy();
    console.log(await scored);`);
  assert.deepEqual([status, stdout.trim()], [0, 'AbortError'], stderr.slice(-500));
});

test('the end of the script, without destroy()', { skip }, () => {
  const { status, stderr } = run('await model.score(ids.slice(0, 8));');
  assert.equal(status, 0, stderr.slice(-500));
});

// The command with models from a hub, a mirror and a site's manifest: options, variables, and what is said where that fails.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { startHub } from '../hub.mjs';
import { done, env, fails, json, ready, TELLER } from './cli.mjs';
import { temporaryFolder } from './support.mjs';

const teller = ready.skip ? Buffer.alloc(0) : readFileSync(TELLER);
/** The same model in other bytes. */
const longer = Buffer.concat([teller, Buffer.alloc(32)]);
const TOKEN = 'hf_of_a_reader';
const GENERATE = ['generate', '-p', 'Once', '-n', '2', '--temperature', '0'];

/** A hub, and a place of its own for what the command keeps. */
async function start(t) {
  const hub = await startHub(t, { 'o/one': { files: { 'x-q8_0.gguf': teller } }, 'o/other': { files: { 'y.gguf': longer } }, 'o/gated': { files: { 'x.gguf': teller }, gated: TOKEN } });
  const own = { ...env, XDG_CACHE_HOME: temporaryFolder(t) };
  return { hub, with: (more) => ({ env: { ...own, ...more } }) };
}

test('a model on a hub, by options and by variables; the token goes to the hub alone', ready, async (t) => {
  const { hub, with: using } = await start(t);
  const expected = await done([...GENERATE, '-m', TELLER]);
  assert.equal(await done([...GENERATE, '-m', 'hf:o/one:Q8_0', '--hub', hub.url], using()), expected);
  assert.equal(await done([...GENERATE, '-m', 'hf:o/gated'], using({ HF_ENDPOINT: hub.url, HF_TOKEN: `${TOKEN}\n` })), expected);
  assert.equal(await done([...GENERATE, '-m', 'hf:o/gated', '--hub', hub.url, '--header', `Authorization: Bearer ${TOKEN}`], using({ XDG_CACHE_HOME: temporaryFolder(t) })), expected);
  assert.ok(hub.askedFiles.length > 0 && hub.askedFiles.every(({ headers }) => headers.authorization === undefined));
  const ids = await done(['tokenize', '-m', 'hf:o/gated', '-p', 'Once'], using({ HF_ENDPOINT: hub.url, HF_TOKEN: TOKEN }));
  assert.equal(ids, await done(['tokenize', '-m', TELLER, '-p', 'Once']));

  await fails(1, [...GENERATE, '-m', 'hf:o/gated/x.gguf', '--hub', hub.url], /accept its licence on .*HF_TOKEN/, using({ XDG_CACHE_HOME: temporaryFolder(t) }));
  await fails(1, [...GENERATE, '-m', 'hf:o/', '--hub', hub.url], /hf:o\/: .*cannot be looked up/, using());
  await fails(1, [...GENERATE, '-m', 'hf:o/one', '--hub', 'nowhere'], /hub must be the base address/, using());
  await fails(2, [...GENERATE, '-m', 'hf:o/one', '--header', 'nothing'], /option '--header' needs 'NAME: VALUE'/, using());
});

test('headers of the command line go to what the command line names', ready, async (t) => {
  const { hub, with: using } = await start(t);
  const asked = () => hub.asked.splice(0).map(({ headers }) => headers);
  await done([...GENERATE, '-m', 'hf:o/one', '--header', 'X-Key: a: b'], using({ HF_ENDPOINT: hub.url }));
  assert.ok(asked().every((headers) => headers['x-key'] === 'a: b'));
  const manifest = path.join(temporaryFolder(t), 'models.json');
  writeFileSync(manifest, JSON.stringify({ models: [{ id: 'mine', kind: 'gemma3', file: 'mine.gguf', size_bytes: longer.length, sources: [{ type: 'url', url: `${hub.url}/o/other/resolve/main/y.gguf` }] }] }));
  await done([...GENERATE, '-m', 'mine', '--manifest', manifest, '--header', 'X-Key: k'], using());
  const headers = asked();
  assert.ok(headers.length > 0 && headers.every((h) => h['x-key'] === undefined));
  const [model] = await json(['models', '--json', '--manifest', manifest], using());
  assert.deepEqual([model.id, model.here], ['mine', true]);
  assert.match(await done(['models', '--manifest', manifest], using()), /^Text\nmine +13\.4 MB +here\n$/);
  await done(['models', '--manifest', manifest, '--remove', 'mine'], using());
  assert.equal((await json(['models', '--json', '--manifest', manifest], using()))[0].here, false);
  await fails(1, ['models', '--manifest', manifest, '--remove', 'yours'], /no model has the name 'yours'/, using());
  await fails(1, ['models', '--manifest', `${manifest}.none`], /The manifest .* could not be fetched/, using());
});

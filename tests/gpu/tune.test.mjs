// How the way of multiplying many rows is chosen, and noted.
import assert from 'node:assert/strict';
import test from 'node:test';
import { openDevice, MANY_F16, MANY_F32, MANY_MATRIX, TRAIT } from '../../js/src/gpu/device.ts';
import { tune } from '../../js/src/gpu/tune.ts';
import { readSources, testAdapters, useAdapter } from './harness.mjs';

const sources = readSources();

const notesIn = (kept) => ({
  read: async (name) => kept.get(name),
  write: async (name, text) => void kept.set(name, text),
});

/** A software adapter that passes for a GPU. */
async function open(adapter, options) {
  useAdapter(adapter);
  const opened = await openDevice(options);
  opened.about.software = false;
  return opened;
}

for (const adapter of testAdapters()) {
  const name = (what) => `${adapter}: ${what}`;

  test(name('what is measured is noted, and measured once'), async (t) => {
    const opened = await open(adapter);
    if (!opened.traits[TRAIT.f16]) {
      t.skip('no shader-f16: there is only one way');
      return opened.close();
    }
    const kept = new Map();
    await tune(opened, sources, '1.0', notesIn(kept));
    const path = opened.traits[TRAIT.manyPath];
    assert.equal(kept.size, 1);
    const [[key, text]] = kept;
    const note = JSON.parse(text);
    assert.equal(note.path, path);
    assert.ok(note.times.every((ms) => ms > 0), text);
    assert.equal(note.times.indexOf(Math.min(...note.times)), [MANY_F32, MANY_F16, MANY_MATRIX].indexOf(path));
    assert.ok(opened.health.sound);
    // The other one, as if noted before; of another version it does not count.
    const other = path === MANY_F32 ? MANY_F16 : MANY_F32;
    kept.set(key, JSON.stringify({ ...note, path: other }));
    await tune(opened, sources, '1.0', notesIn(kept));
    assert.equal(opened.traits[TRAIT.manyPath], other);
    for (const text of ['{"made', JSON.stringify({ ...note, path: 9 })]) {
      // A note that makes no sense is measured again; here nothing can be, and what is left is the plain way.
      kept.set(key, text);
      await tune(opened, { ...sources, linear_many_half: 'nonsense' }, '1.0', notesIn(kept));
      assert.equal(opened.traits[TRAIT.manyPath], MANY_F32, text);
    }
    assert.ok(opened.health.sound);
    opened.close();
  });

  test(name('where there is one way, nothing is measured'), async () => {
    const opened = await open(adapter, { features: [] });
    const kept = new Map();
    await tune(opened, sources, '1.0', notesIn(kept));
    assert.deepEqual([kept.size, opened.traits[TRAIT.manyPath]], [0, MANY_F32]);
    opened.close();
  });

  test(name('nor in software'), async () => {
    useAdapter(adapter);
    const opened = await openDevice();
    opened.about.software = true;
    const kept = new Map();
    await tune(opened, sources, '1.0', notesIn(kept));
    assert.equal(kept.size, 0);
    opened.close();
  });
}

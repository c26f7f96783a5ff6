// How the way of multiplying many rows is chosen, and noted.
import assert from 'node:assert/strict';
import test from 'node:test';
import { openDevice, MANY_F16, MANY_F32, MANY_MATRIX, MANY_PACKED, TRAIT } from '../../js/src/gpu/device.ts';
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
    const [hasHalf, canPack] = [opened.traits[TRAIT.f16] === 1, opened.traits[TRAIT.packedDot] === 1];
    if (!hasHalf && !canPack) {
      t.skip('there is only one way');
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
    // In the order of waysOf; packed products are told apart from the best of the others.
    const ways = [MANY_F32, ...(canPack ? [MANY_PACKED] : []), ...(hasHalf ? [MANY_F16, MANY_MATRIX] : [])].slice(0, note.times.length);
    const others = note.times.filter((_, i) => ways[i] !== MANY_PACKED);
    assert.equal(note.times[ways.indexOf(path)], Math.min(...others));
    assert.equal(opened.traits[TRAIT.packedDot], Number(note.packed));
    assert.equal(note.packed, canPack && note.times[ways.indexOf(MANY_PACKED)] < Math.min(...others));
    assert.ok(opened.health.sound);
    // The other one, as if noted before; of another version it does not count.
    const other = path === MANY_F32 && hasHalf ? MANY_F16 : MANY_F32;
    opened.traits[TRAIT.packedDot] = Number(canPack); // as when it is opened
    kept.set(key, JSON.stringify({ ...note, path: other, packed: !note.packed }));
    await tune(opened, sources, '1.0', notesIn(kept));
    assert.deepEqual([opened.traits[TRAIT.manyPath], opened.traits[TRAIT.packedDot]], [other, Number(canPack && !note.packed)]);
    for (const text of ['{"made', JSON.stringify({ ...note, path: 9 })]) {
      // A note that makes no sense is measured again; here nothing can be, and what is left is the plain way.
      opened.traits[TRAIT.packedDot] = Number(canPack);
      kept.set(key, text);
      await tune(opened, { ...sources, linear_many_half: 'nonsense', linear_many_bytes: 'nonsense' }, '1.0', notesIn(kept));
      assert.deepEqual([opened.traits[TRAIT.manyPath], opened.traits[TRAIT.packedDot]], [MANY_F32, 0], text);
    }
    assert.ok(opened.health.sound);
    opened.close();
  });

  test(name('where there is one way, nothing is measured'), async () => {
    const opened = await open(adapter, { features: [] });
    opened.traits[TRAIT.packedDot] = 0;
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
    assert.deepEqual([kept.size, opened.traits[TRAIT.packedDot]], [0, 0]);
    opened.close();
  });
}

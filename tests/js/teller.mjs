// What the tests of language models share: the model that comes with the project, and what it should write.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before } from 'node:test';
import { BUILT, needs, sotto } from './support.mjs';

export const TELLER = 'assets/teller-q8_0.gguf';
export const ready = needs(TELLER, ...BUILT);
export const { vectors, ppl_ids: texts, nll } = JSON.parse(readFileSync('tests/fixtures/teller/vectors.json', 'utf8'));
export const PROMPT = vectors[0].prompt;
export const greedy = { model: TELLER, temperature: 0 };

export async function create(t, options) {
  const m = await sotto.LanguageModel.create(options);
  t.after(() => m.destroy());
  return m;
}

/** One greedy model for the tests of a file; what it returns gives each test a conversation of its own. */
export function shared() {
  let model;
  before(async () => {
    if (!ready.skip) model = await sotto.LanguageModel.create(greedy);
  });
  after(() => model?.destroy());
  return async (t) => {
    const copy = await model.clone();
    t.after(() => copy.destroy());
    return copy;
  };
}

/** Prompts and gives what the end told. */
export async function generate(m, input, options = {}) {
  let generation;
  const text = await m.prompt(input, { ...options, onFinish: (g) => (generation = g) });
  assert.equal(text, generation.text);
  return generation;
}

// sotto bench: what it tells, not how fast.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { done, fails, model, noCommand } from './command.mjs';

test('numbers for machines', { skip: noCommand }, () => {
  const r = JSON.parse(done(['bench', '-m', model, '--prefill', '32', '--decode', '8', '--rounds', '3', '--threads', '1', '--json']));
  assert.deepEqual([r.model, r.architecture, r.weight_type, r.n_parameters], [model, 'gemma3', 'q8_0', 12465920]);
  assert.deepEqual([r.threads, r.rounds, r.n_prefill, r.n_decode, r.kv], [1, 3, 32, 8, 'f16']);
  for (const part of ['prefill', 'decode']) {
    const median = r[`${part}_tokens_per_s`];
    assert.ok(median > 0 && r[`${part}_tokens_per_s_best`] >= median);
    assert.ok(Math.abs((r[`n_${part}`] / r[`${part}_ms`]) * 1e3 - median) < 0.01 * median);
  }
  assert.ok(r.load_ms > 0 && r.session_bytes > 0 && r.peak_memory_bytes > r.weight_bytes);
  assert.equal(typeof r.isa, 'string');
});

test('a table for people', { skip: noCommand }, () => {
  const text = done(['bench', '-m', model, '--prefill', '16', '--decode', '0', '--rounds', '1']);
  assert.match(text, /teller-q8_0\.gguf: gemma3, 12\.5 M parameters, q8_0\n/);
  assert.match(text, /\n +prefill +16 +[\d.]+ +[\d.]+ +[\d.]+\n/);
  assert.doesNotMatch(text, /\n +decode/);
});

test('wrong usage', { skip: noCommand }, () => {
  fails(2, ['bench', '-m', model, '--prefill', '0', '--decode', '0'], /nothing to measure/);
  fails(2, ['bench', '-m', model, '--rounds', '0'], /'--rounds' needs/);
  fails(2, ['bench', 'x'], /unexpected argument/);
  fails(1, ['bench', '-m', model, '--prefill', '4000'], /trained for 1 to 2048/);
  assert.match(done(['bench', '--help']), /^Usage: sotto bench/);
});

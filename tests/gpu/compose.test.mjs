// The texts of kernels: lines that are chosen, repeated and included by keys.
import assert from 'node:assert/strict';
import test from 'node:test';
import { compose } from '../../js/src/gpu/compose.ts';

const text = (...lines) => lines.join('\n');

test('#for repeats lines, within each other and around others', () => {
  const sources = {
    k: text('#for i $n', '#for j 2', 'a${i}_$j', '#endfor', '#if i == 1', 'one', '#else', 'other $i', '#endif', '#include part x=$i', '#endfor', 'end'),
    part: 'part $x',
  };
  const want = ['a0_0', 'a0_1', 'other 0', 'part 0', 'a1_0', 'a1_1', 'one', 'part 1', 'end'];
  assert.deepEqual(compose('k n=2', sources).split('\n'), want);
  assert.deepEqual(compose('k', sources).split('\n'), ['end']);
});

test('#for where nothing is taken, and without its end', () => {
  assert.equal(compose('k', { k: text('#if no', '#for i 3', 'x', '#endfor', '#endif', 'y') }), 'y');
  assert.throws(() => compose('k', { k: text('#for i 3', 'x') }), /#endfor is missing/);
});

test('directives come first', () => {
  assert.equal(compose('k', { k: text('a', '#include part'), part: text('enable f16;', 'b') }), text('enable f16;', 'a', 'b'));
});

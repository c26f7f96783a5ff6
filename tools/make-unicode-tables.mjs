// Writes src/text/unicode_classes.inc: where the class of code points (letter, number, white space, other) changes.
// Run: node tools/make-unicode-tables.mjs
import { writeFileSync } from 'node:fs';

const classOf = (c) => {
  const text = String.fromCodePoint(c);
  if (/^\p{L}$/u.test(text)) return 1;
  if (/^\p{N}$/u.test(text)) return 2;
  if (/^\p{White_Space}$/u.test(text)) return 3;
  return 0;
};

const entries = [];
let last = -1;
for (let c = 0; c <= 0x10ffff; c++) {
  const kind = c >= 0xd800 && c <= 0xdfff ? 0 : classOf(c);
  if (kind !== last) entries.push(`0x${((c << 2) | kind).toString(16)},`);
  last = kind;
}

const lines = [`/* Made by tools/make-unicode-tables.mjs from Unicode ${process.versions.unicode}. Do not edit. */`];
let line = '';
for (const entry of entries) {
  if (line.length + entry.length + 1 > 120) {
    lines.push(line);
    line = '';
  }
  line += (line ? ' ' : '') + entry;
}
lines.push(line, '');
writeFileSync(new URL('../src/text/unicode_classes.inc', import.meta.url), lines.join('\n'));

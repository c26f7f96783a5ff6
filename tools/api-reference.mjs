#!/usr/bin/env node
// Writes docs/api.md, the package's reference, from its types in js/dist/types: every exported name with its declaration and comments.
// With --check: exits 1 when the file is not what it would write.
//
//   ENTRY.d.ts: export { NAME } from './FILE.js' ─> FILE.d.ts: the comment and the declaration of NAME ─> docs/api.md
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const types = path.join(root, 'js/dist/types');
const OUT = path.join(root, 'docs/api.md');
const ENTRIES = [
  ['sotto', 'index'],
  ['sotto/openai', 'openai'],
  ['sotto/format', 'format'],
];

/** How many more brackets a line opens than it closes; its comments and strings do not count. */
function depth(line) {
  const code = line.replace(/\/\*.*?\*\//g, '').replace(/^\s*(\/\*\*|\*).*/, '').replace(/'[^']*'|=>/g, '');
  return (code.match(/[{([<]/g) ?? []).length - (code.match(/[})\]>]/g) ?? []).length;
}

/** Declarations of a file by name: the comment before each, and its lines up to the one that ends it. */
function declarations(file) {
  const found = new Map();
  let comment = [];
  let open; // { text, level, end }
  const take = (line) => {
    open.text.push(line);
    open.level += depth(line);
    if (open.level === 0 && line.endsWith(open.end)) open = undefined;
  };
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (open) {
      take(line);
      continue;
    }
    if (/^(\/\*\*| \*)/.test(line)) {
      comment.push(line);
      continue;
    }
    const [, kind, name] = /^export (?:declare )?(?:abstract )?(class|interface|type|const|function) (\w+)/.exec(line) ?? [];
    if (name) {
      const text = found.get(name) ?? [];
      found.set(name, text);
      text.push(...comment);
      open = { text, level: 0, end: kind === 'class' || kind === 'interface' ? '}' : ';' };
      take(line);
    }
    comment = [];
  }
  return found;
}

/** Without what callers do not see. */
const shown = (lines) =>
  lines
    .join('\n')
    .replace(/^ +\/\*\* @internal[^]*?\*\/\n.*\n/gm, '')
    .replace(/^ +(#private;|private constructor\(.*\);)\n/gm, '')
    .replace(/^(export )(declare )?/gm, '')
    .replaceAll('    ', '  ');

/** [name, file] of what an entry exports. */
function exportsOf(entry) {
  const file = path.join(types, `${entry}.d.ts`);
  const text = readFileSync(file, 'utf8');
  const own = [...declarations(file).keys()].map((name) => [name, file]);
  const listed = [...text.matchAll(/^export (?:type )?\{([^}]*)\} from '(.*)\.js';/gm)].flatMap(([, names, from]) =>
    names.split(',').map((n) => n.trim()).filter(Boolean).map((n) => [n, path.join(types, `${from}.d.ts`)]),
  );
  const all = [...text.matchAll(/^export (?:type )?\* from '(.*)\.js';/gm)].flatMap(([, from]) => {
    const other = path.join(types, `${from}.d.ts`);
    return [...declarations(other).keys()].map((name) => [name, other]);
  });
  return [...own, ...listed, ...all].sort(([a], [b]) => a.localeCompare(b, 'en'));
}

function section([title, entry]) {
  const parts = exportsOf(entry).map(([name, file]) => {
    const lines = declarations(file).get(name);
    if (!lines) throw new Error(`${name} is exported by ${entry}.d.ts, and not declared in ${path.basename(file)}`);
    return `### ${name}\n\n\`\`\`ts\n${shown(lines)}\n\`\`\`\n`;
  });
  return `## ${title}\n\n${parts.join('\n')}`;
}

const text = `# API of the package

Made from the types by \`make api-reference\`. How it is used: [the package](../js/README.md), [language models](language-models.md), [OpenAI's shape](openai.md), [recipes](recipes.md).

${ENTRIES.map(section).join('\n')}`;

if (!process.argv.includes('--check')) {
  writeFileSync(OUT, text);
} else if (readFileSync(OUT, 'utf8') !== text) {
  console.error('docs/api.md is not what the types say: make api-reference');
  process.exit(1);
}

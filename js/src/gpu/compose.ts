// The text of a GPU kernel, for one variant of it.
//
//   "linear_few type=q4_0 rows=4" ─> linear_few.wgsl with type = q4_0, rows = 4 ─> WGSL
//
// A line that begins with # is for here:
//
//   #if COND, #elif COND, #else, #endif     COND: A == B, A != B, A < B, ... joined by && or ||; A alone: it is given, and not 0
//   #include NAME key=value ...             NAME.wgsl, with these keys besides
//   #let key value                          from here on, in this file and what it includes
//   #for key N, #endfor                     the lines between with key = 0, 1, ... N - 1
//
// and $key anywhere is the key's value; ${key} where letters follow. In conditions keys stand without $. A key that is not given is 0.

/** WGSL by file name, without ".wgsl". */
export type Sources = Readonly<Record<string, string>>;

type Keys = Map<string, string>;

const MOST_DEPTH = 8;

function compare(a: string, operator: string, b: string): boolean {
  switch (operator) {
    case '==':
      return a === b;
    case '!=':
      return a !== b;
    case '<':
      return Number(a) < Number(b);
    case '>':
      return Number(a) > Number(b);
    case '<=':
      return Number(a) <= Number(b);
    default:
      return Number(a) >= Number(b);
  }
}

function holds(condition: string, keys: Keys): boolean {
  return condition.split('||').some((all) =>
    all.split('&&').every((one) => {
      const parts = one.trim().split(/\s+/);
      const left = keys.get(parts[0]) ?? '0';
      if (parts.length === 1) return left !== '0';
      if (parts.length !== 3 || !/^(==|!=|<=?|>=?)$/.test(parts[1])) throw new Error(`#if ${condition}: not a condition`);
      return compare(left, parts[1], keys.get(parts[2]) ?? parts[2]);
    }),
  );
}

function parseKeys(words: readonly string[], into: Keys, from: Keys): Keys {
  for (const word of words) {
    const at = word.indexOf('=');
    if (at < 1) throw new Error(`${word}: not key=value`);
    into.set(word.slice(0, at), substitute(word.slice(at + 1), from));
  }
  return into;
}

const substitute = (text: string, keys: Keys): string =>
  text.replace(/\$(?:\{(\w+)\}|([A-Za-z_]\w*))/g, (_, braced?: string, key?: string) => keys.get(braced ?? key ?? '') ?? '0');

function expand(name: string, keys: Keys, sources: Sources, out: string[], depth: number): void {
  const text = sources[name];
  if (text === undefined) throw new Error(`there is no kernel ${name}`);
  if (depth > MOST_DEPTH) throw new Error(`${name}: files include each other`);
  expandLines(text.split('\n'), name, keys, sources, out, depth);
}

const wordOf = (line: string): string[] => /^\s*#(\w+)\s*(.*?)\s*$/.exec(line) ?? [];

/** Where the #endfor of the #for in line `from` is. */
function endOf(lines: readonly string[], from: number, name: string): number {
  for (let i = from, open = 0; i < lines.length; i++) {
    const [, word] = wordOf(lines[i]);
    open += word === 'for' ? 1 : word === 'endfor' ? -1 : 0;
    if (open === 0) return i;
  }
  throw new Error(`${name}: #endfor is missing`);
}

function expandLines(lines: readonly string[], name: string, keys: Keys, sources: Sources, out: string[], depth: number): void {
  // Of each open #if: whether its lines are taken now, and whether one of its parts was.
  const open: { taken: boolean; done: boolean }[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at];
    const [, word, rest = ''] = wordOf(line);
    const outer = open.slice(0, -1).every(({ taken }) => taken);
    const last = open[open.length - 1];
    const live = open.every(({ taken }) => taken);
    if (word === 'if') {
      const taken = live && holds(rest, keys);
      open.push({ taken, done: taken });
    } else if (word === 'elif' || word === 'else') {
      last.taken = outer && !last.done && (word === 'else' || holds(rest, keys));
      last.done ||= last.taken;
    } else if (word === 'endif') {
      open.pop();
    } else if (!live) {
      continue;
    } else if (word === 'include') {
      const [file, ...words] = rest.split(/\s+/);
      expand(substitute(file, keys), parseKeys(words, new Map(keys), keys), sources, out, depth + 1);
    } else if (word === 'for') {
      const [key, n] = substitute(rest, keys).split(/\s+/);
      const end = endOf(lines, at, name);
      for (let i = 0; i < Number(n); i++) {
        keys.set(key, String(i));
        expandLines(lines.slice(at + 1, end), name, keys, sources, out, depth);
      }
      at = end;
    } else if (word === 'let') {
      const [, key, value] = /^(\w+)\s+(.*)$/.exec(rest)!;
      keys.set(key, substitute(value, keys));
    } else if (word !== undefined) {
      throw new Error(`${name}: #${word} is unknown`);
    } else {
      out.push(substitute(line, keys));
    }
  }
  if (open.length > 0) throw new Error(`${name}: #endif is missing`);
}

/** WGSL of a variant: its file's name, then keys. Throws an Error that says what is wrong in the file. */
export function compose(variant: string, sources: Sources): string {
  const [name, ...words] = variant.trim().split(/\s+/);
  const out: string[] = [];
  expand(name, parseKeys(words, new Map(), new Map()), sources, out, 0);
  // Directives must come first, wherever an included file has them.
  const directives = new Set(out.filter((line) => /^\s*(enable|requires|diagnostic)\b/.test(line)));
  const rest = out.filter((line) => !directives.has(line));
  return [...directives, ...rest].join('\n');
}

export type BindingKind = 'uniform' | 'read' | 'read_write';

/** The bindings of group 0 that a text declares, by number. */
export function bindingsOf(wgsl: string): Map<number, BindingKind> {
  const found = new Map<number, BindingKind>();
  for (const [, number, space] of wgsl.matchAll(/@binding\((\d+)\)\s*var<([^>]*)>/g)) {
    const kind = /uniform/.test(space) ? 'uniform' : /read_write/.test(space) ? 'read_write' : 'read';
    found.set(Number(number), kind);
  }
  return found;
}

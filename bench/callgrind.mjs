// What a profile of callgrind says: instructions of functions, and which of two profiles took more.

/** A function whose share of a stage is below this is not kept. */
const SMALLEST_SHARE = 0.005;
const GROWN = 1.03;

/**
 * Instructions of one part of a profile, and those of functions by themselves, the largest first.
 * The format: "fn=(id) name" or "fn=(id)" begins a function's lines, "position cost"; a line after "calls=" is what was called, and not its own.
 * @returns {{ total: number, functions: Record<string, number> }}
 */
export function instructionsOf(text) {
  const names = new Map();
  const own = new Map();
  let current;
  let called = false;
  for (const line of text.split('\n')) {
    const begins = /^fn=\((\d+)\)(?: (.*))?$/.exec(line);
    const named = /^cfn=\((\d+)\) (.*)$/.exec(line);
    if (named) names.set(named[1], named[2]);
    if (begins) {
      if (begins[2] !== undefined) names.set(begins[1], begins[2]);
      current = names.get(begins[1]) ?? `(${begins[1]})`;
    } else if (line.startsWith('calls=')) {
      called = true;
    } else if (/^[+\-*\d]/.test(line)) {
      const cost = Number(line.split(' ')[1] ?? 0);
      if (!called && current !== undefined) own.set(current, (own.get(current) ?? 0) + cost);
      called = false;
    }
  }
  const total = [...own.values()].reduce((sum, n) => sum + n, 0);
  const kept = [...own].filter(([, n]) => n >= SMALLEST_SHARE * total).sort((a, b) => b[1] - a[1]);
  return { total, functions: Object.fromEntries(kept) };
}

/** What took more than 3 % more than before: the whole, and functions that are a part of it worth telling. [{ name, from, to }] */
export function grown(before, now) {
  if (!before) return [];
  const more = now.total > GROWN * before.total ? [{ name: 'all of it', from: before.total, to: now.total }] : [];
  for (const [name, to] of Object.entries(now.functions)) {
    const from = before.functions[name] ?? 0;
    if (to > GROWN * from && to - from > SMALLEST_SHARE * before.total) more.push({ name, from, to });
  }
  return more;
}

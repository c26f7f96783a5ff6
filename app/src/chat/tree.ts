/* A conversation is a tree: every turn knows the one before it, so an edited message or another answer is a branch beside
 * the first, and nothing is lost.
 *
 *   user ──> answer ──> user ──> answer        leaf: where the branch that is shown ends
 *       └──> answer (again) ──> user (edited)
 *
 * Functions here change nothing: they give a new conversation. */

export type Role = 'user' | 'assistant';

/** How an answer ended: as the engine says, or by the person, or by an error. Missing: it was interrupted. */
export type End = 'end' | 'stop' | 'length' | 'context' | 'stopped' | 'failed';
const ENDS: readonly string[] = ['end', 'stop', 'length', 'context', 'stopped', 'failed'];

/** What an answer took. */
export interface Stats {
  tokens: number; // written
  seconds: number; // writing
  promptTokens: number;
  promptSeconds: number; // until the first token
  window: number; // tokens that the context could hold
  dropped: number; // oldest messages that did not fit any more
}

export interface Turn {
  id: string;
  parent: string | null; // the turn before; null: the first
  role: Role;
  text: string;
  at: number; // ms since 1970
  model?: string; // that wrote it
  end?: End;
  why?: string; // a sentence, where it failed
  stats?: Stats;
}

export interface Conversation {
  id: string;
  title: string;
  named: boolean; // by the person; else after the first message
  created: number; // ms since 1970
  changed: number;
  system: string; // what the model is told before the first message
  turns: Turn[]; // a parent comes before its children
  leaf: string | null;
}

export const newId = (): string => crypto.randomUUID();

export function blank(): Conversation {
  const now = Date.now();
  return { id: newId(), title: '', named: false, created: now, changed: now, system: '', turns: [], leaf: null };
}

/** The branch that is shown, first turn first. */
export function pathOf({ turns, leaf }: Conversation): Turn[] {
  return pathTo(turns, leaf);
}

/** The turns up to and with `id`. */
export function pathTo(turns: readonly Turn[], id: string | null): Turn[] {
  const byId = new Map(turns.map((turn) => [turn.id, turn]));
  const path: Turn[] = [];
  for (let turn = id ? byId.get(id) : undefined; turn; turn = turn.parent ? byId.get(turn.parent) : undefined) {
    path.push(turn);
  }
  return path.reverse();
}

/** The turn and those that could stand in its place, oldest first. */
export function siblingsOf({ turns }: Conversation, turn: Turn): Turn[] {
  return turns.filter((other) => other.parent === turn.parent && other.role === turn.role);
}

/** Where the newest branch through `id` ends. */
function newestLeaf(turns: readonly Turn[], id: string): string {
  for (let leaf = id; ; ) {
    const next = turns.findLast((turn) => turn.parent === leaf);
    if (!next) return leaf;
    leaf = next.id;
  }
}

/** Shows the branch through `id`. */
export function branchTo(conversation: Conversation, id: string): Conversation {
  return { ...conversation, leaf: newestLeaf(conversation.turns, id) };
}

/** With a turn after `parent`, shown. */
export function withTurn(conversation: Conversation, turn: Turn): Conversation {
  const { turns, named } = conversation;
  const first = turns.length === 0 && turn.role === 'user';
  return {
    ...conversation,
    turns: [...turns, turn],
    leaf: turn.id,
    changed: turn.at,
    title: first && !named ? titleOf(turn.text) : conversation.title,
  };
}

export function withChanged(conversation: Conversation, id: string, part: Partial<Turn>): Conversation {
  const turns = conversation.turns.map((turn) => (turn.id === id ? { ...turn, ...part } : turn));
  return { ...conversation, turns, changed: Date.now() };
}

const TITLE = 60; // characters

/** The beginning of a message, cut between words. */
export function titleOf(text: string): string {
  const line = text.trim().replace(/\s+/g, ' ');
  if (line.length <= TITLE) return line || 'Untitled';
  const cut = line.slice(0, TITLE);
  return `${cut.slice(0, Math.max(cut.lastIndexOf(' '), TITLE / 2)).trimEnd()}…`;
}

/* ---- from strangers: a file, or what an older page kept ---- */

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const stringOr = (value: unknown, other: string): string => (typeof value === 'string' ? value : other);
const timeOr = (value: unknown, other: number): number =>
  typeof value === 'number' && value >= 0 && value < 8.64e15 ? value : other;
const isId = (value: unknown): value is string => typeof value === 'string' && /^[\w-]{1,64}$/.test(value);

function statsOf(value: unknown): Stats | undefined {
  if (!isObject(value)) return undefined;
  const number = (name: string) => (Number.isFinite(value[name]) ? Math.max(0, value[name] as number) : 0);
  return {
    tokens: number('tokens'),
    seconds: number('seconds'),
    promptTokens: number('promptTokens'),
    promptSeconds: number('promptSeconds'),
    window: number('window'),
    dropped: number('dropped'),
  };
}

/** What is a conversation of it, or null. Turns that hang in the air are left out, so that no path can go in circles. */
export function conversationOf(value: unknown): Conversation | null {
  if (!isObject(value) || !Array.isArray(value.turns)) return null;
  const now = Date.now();
  const known = new Map<string, Turn>();
  for (const turn of value.turns as unknown[]) {
    if (!isObject(turn) || !isId(turn.id) || known.has(turn.id) || typeof turn.text !== 'string') continue;
    const { id, text, role, parent } = turn;
    if (role !== 'user' && role !== 'assistant') continue;
    if (parent !== null && !(isId(parent) && known.has(parent))) continue;
    const kept: Turn = { id, parent, role, text, at: timeOr(turn.at, now) };
    if (typeof turn.model === 'string') kept.model = turn.model;
    if (ENDS.includes(turn.end as string)) kept.end = turn.end as End;
    if (typeof turn.why === 'string') kept.why = turn.why;
    const stats = statsOf(turn.stats);
    if (stats) kept.stats = stats;
    known.set(id, kept);
  }
  const turns = [...known.values()];
  if (turns.length === 0) return null;
  const leaf = isId(value.leaf) && known.has(value.leaf) ? value.leaf : turns.at(-1)!.id;
  const created = timeOr(value.created, now);
  return {
    id: isId(value.id) ? value.id : newId(),
    title: stringOr(value.title, '').slice(0, 200) || titleOf(turns[0]!.text),
    named: value.named === true,
    created,
    changed: timeOr(value.changed, created),
    system: stringOr(value.system, ''),
    turns,
    leaf,
  };
}

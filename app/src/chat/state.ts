/* What the chat knows, and what a person can do in it:
 *
 *   a message ──> the conversation ──> a model (downloaded, kept) ──> an answer, as it is written ──> kept on the device
 *
 * The parts of the page only read these signals and call these actions. Models are in model-state.ts. */

import { batch, computed, effect, signal } from '@preact/signals';
import type { Message } from 'sotto';
import { go, place } from '../route.ts';
import { tellWork } from '../ui/at-work.ts';
import { saveFile } from '../ui/files.ts';
import { announcement } from '../ui/say.ts';
import { chatTitle } from '../ui/title.ts';
import { sentenceOf, Told } from '../ui/told.ts';
import { chosen, ready, settings, writerFailed } from './model-state.ts';
import { onOthers, readAll, readOne, remove, write } from './store.ts';
import { conversationsFrom, fileNameOf, jsonOf, markdownOf } from './transfer.ts';
import { blank, branchTo, newId, pathOf, pathTo, withChanged, withTurn, type Conversation, type Turn } from './tree.ts';

/* ---- conversations ---- */

export const conversations = signal<readonly Conversation[]>([]);
export const loaded = signal(false); // what was kept has been read
export const kept = signal(true); // false: the browser keeps nothing
export const notice = signal(''); // what went wrong outside of an answer
export const undo = signal<Conversation | null>(null); // the one that was just deleted

const draft = signal<Conversation>(blank()); // the one that has no message yet

/** The one that is shown. */
export const current = computed<Conversation>(
  () => conversations.value.find((c) => c.id === place.value.id) ?? draft.value,
);
export const path = computed(() => pathOf(current.value));

/** Newest first. */
export const listed = computed(() => conversations.value.toSorted((a, b) => b.changed - a.changed));

function put(conversation: Conversation): void {
  const { id } = conversation;
  conversations.value = [...conversations.value.filter((c) => c.id !== id), conversation];
}

/** Replaces one by what `change` makes of it, and keeps that. The draft is only replaced. */
function alter(id: string, change: (conversation: Conversation) => Conversation): void {
  if (draft.value.id === id) {
    draft.value = change(draft.value);
    return;
  }
  const before = conversations.value.find((c) => c.id === id);
  if (!before) return; // deleted meanwhile
  put(change(before));
  keepSoon(id);
}

const KEEP_MS = 300;
const KEEP_LIVE_MS = 1500; // while an answer grows
const timers = new Map<string, number>();

function keepSoon(id: string, delay = KEEP_MS): void {
  clearTimeout(timers.get(id));
  timers.set(
    id,
    window.setTimeout(() => void keep(id), delay),
  );
}

async function keep(id: string): Promise<void> {
  clearTimeout(timers.get(id));
  timers.delete(id);
  const conversation = conversations.value.find((c) => c.id === id);
  if (!conversation) return;
  const now = answering.value;
  // An answer that is still being written is kept as far as it is.
  const text = now?.conversation === id ? withChanged(conversation, now.turn, { text: written }) : conversation;
  kept.value = await write(text);
}

export function setSystem(system: string): void {
  alter(current.value.id, (c) => ({ ...c, system }));
}

export function rename(id: string, title: string): void {
  const clean = title.trim().replace(/\s+/g, ' ').slice(0, 200);
  if (clean) alter(id, (c) => ({ ...c, title: clean, named: true }));
}

const UNDO_MS = 10_000;
let undoTimer = 0;

export async function deleteConversation(id: string): Promise<void> {
  const gone = conversations.value.find((c) => c.id === id);
  if (!gone) return;
  if (answering.value?.conversation === id) stop();
  conversations.value = conversations.value.filter((c) => c.id !== id);
  if (place.value.id === id) go('chat', '', { replace: true });
  undo.value = gone;
  announcement.value = `Deleted “${gone.title}”. It can be brought back for ten seconds.`;
  clearTimeout(undoTimer);
  undoTimer = window.setTimeout(() => (undo.value = null), UNDO_MS);
  clearTimeout(timers.get(id));
  await remove(id);
}

export function bringBack(): void {
  const back = undo.value;
  if (!back) return;
  undo.value = null;
  put(back);
  void keep(back.id);
  go('chat', back.id);
  announcement.value = `“${back.title}” is back.`;
}

/** Shows the branch through a turn. */
export function showBranch(turn: string): void {
  alter(current.value.id, (c) => branchTo(c, turn));
}

/* ---- answers ---- */

export type Phase = 'loading' | 'reading' | 'writing';

export const answering = signal<{ conversation: string; turn: string; phase: Phase } | null>(null);
tellWork(computed(() => (answering.value ? 'an answer in the chat' : '')));
/** Of a long question: how much of it was read, 0 to 1. */
export const readFraction = signal(0);
/** The answer that is being written, so far. */
export const live = signal('');

let written = ''; // the same, ahead of what is shown
let abort = new AbortController();

export function send(text: string): void {
  if (answering.value || !text.trim()) return;
  const before = current.value;
  const turn: Turn = { id: newId(), parent: before.leaf, role: 'user', text: text.trim(), at: Date.now() };
  const after = withTurn(before, turn);
  if (before.id === draft.value.id) {
    batch(() => {
      put(after);
      draft.value = blank();
      go('chat', after.id, { replace: true });
    });
  } else put(after);
  void answer(after.id, turn.id);
}

/** Another answer beside this one. */
export function regenerate(answered: Turn): void {
  if (!answering.value && answered.parent) void answer(current.value.id, answered.parent);
}

/** More of an answer that was cut short. */
export function goOn(cut: Turn): void {
  if (!answering.value && cut.parent) void answer(current.value.id, cut.parent, cut);
}

/** The message in other words, as a branch, and its answer. */
export function resend(before: Turn, text: string): void {
  if (answering.value || !text.trim()) return;
  const turn: Turn = { id: newId(), parent: before.parent, role: 'user', text: text.trim(), at: Date.now() };
  const { id } = current.value;
  alter(id, (c) => withTurn(c, turn));
  void answer(id, turn.id);
}

export function stop(): void {
  abort.abort(new DOMException('Stopped.', 'AbortError'));
}

/** Has the message `asked` answered, in a new turn or in one that was cut short. */
async function answer(id: string, asked: string, cut?: Turn): Promise<void> {
  const fresh: Turn = { id: newId(), parent: asked, role: 'assistant', text: '', at: Date.now(), model: chosen.value.name };
  const turn = cut?.id ?? fresh.id;
  const begun = cut?.text ?? '';
  abort = new AbortController();
  const { signal } = abort;
  written = begun;
  const phase = (now: Phase) => {
    answering.value = { conversation: id, turn, phase: now };
  };
  batch(() => {
    live.value = written;
    readFraction.value = 0;
    notice.value = '';
    phase('loading');
    alter(id, (c) => (cut ? withChanged(c, turn, { end: undefined, why: undefined }) : withTurn(c, fresh)));
  });
  let end: Partial<Turn>;
  try {
    const writer = await ready(signal);
    phase('reading');
    const asking = performance.now();
    let first = 0;
    const result = await writer.answer({
      messages: messagesOf(conversations.value.find((c) => c.id === id)!, asked),
      begun,
      chat: settings.value.chat,
      sampling: settings.value,
      maxTokens: settings.value.maxTokens,
      signal,
      onRead: (fraction) => (readFraction.value = fraction),
      onText: (piece) => {
        if (first === 0) {
          first = performance.now();
          phase('writing');
        }
        written += piece;
        showSoon();
        if (!timers.has(id)) keepSoon(id, KEEP_LIVE_MS);
      },
    });
    const { nDecode: tokens, decodeMs, nPrefill: promptTokens } = result.timings;
    const stats = {
      ...{ tokens, seconds: decodeMs / 1000, promptTokens, promptSeconds: first > 0 ? (first - asking) / 1000 : 0 },
      ...{ window: writer.contextWindow, dropped: result.dropped },
    };
    end = { text: begun + result.text, model: writer.name, end: result.stopReason, stats };
  } catch (error) {
    if (signal.aborted) end = { text: written, end: 'stopped' };
    else {
      writerFailed(error);
      end = { text: written, end: 'failed', why: sentenceOf(error) };
    }
  }
  batch(() => {
    alter(id, (c) => withChanged(c, turn, end));
    answering.value = null;
    live.value = '';
  });
  announceEnd(end);
  await keep(id);
}

/** What the model is told: the system text, then the branch to the message that is asked. Empty and failed answers are left out. */
function messagesOf({ system, turns }: Conversation, asked: string): Message[] {
  const said = pathTo(turns, asked).filter((turn) => turn.text.trim() !== '');
  const messages: Message[] = said.map(({ role, text }) => ({ role, content: text }));
  return system.trim() && settings.value.chat ? [{ role: 'system', content: system.trim() }, ...messages] : messages;
}

const SHOW_MS = 40; // between two views of an answer that grows
let showTimer = 0;

function showSoon(): void {
  showTimer ||= window.setTimeout(() => {
    showTimer = 0;
    if (answering.value) live.value = written;
  }, SHOW_MS);
}

const SAID = 400; // characters of an answer that are read out when it is done

function announceEnd({ text = '', end, why }: Partial<Turn>): void {
  if (end === 'failed') announcement.value = why!;
  else if (end === 'stopped') announcement.value = 'Stopped.';
  else announcement.value = `Answer: ${text.length > SAID ? `${text.slice(0, SAID)}… The whole answer is in the conversation.` : text}`;
}

/* ---- files ---- */

export function exportAs(kind: 'md' | 'json', conversation: Conversation): void {
  const [text, type] = kind === 'md' ? [markdownOf(conversation), 'text/markdown'] : [jsonOf([conversation]), 'application/json'];
  saveFile(new Blob([text], { type: `${type};charset=utf-8` }), `${fileNameOf(conversation)}.${kind}`);
}

export function exportAll(): void {
  saveFile(new Blob([jsonOf(listed.value)], { type: 'application/json' }), 'sotto-conversations.json');
}

export async function importFile(file: File): Promise<void> {
  notice.value = '';
  try {
    const text = await file.text().catch(() => {
      throw new Told(`${file.name} could not be read. It may have been moved.`);
    });
    const found = conversationsFrom(text, file.name);
    // What is here already is not overwritten: it comes beside it.
    const taken = new Set(conversations.value.map((c) => c.id));
    const fresh = found.map((c) => (taken.has(c.id) ? { ...c, id: newId() } : c));
    for (const conversation of fresh) {
      put(conversation);
      await keep(conversation.id);
    }
    go('chat', fresh[0]!.id);
    announcement.value = fresh.length === 1 ? `Imported “${fresh[0]!.title}”.` : `Imported ${fresh.length} conversations.`;
  } catch (error) {
    notice.value = sentenceOf(error);
  }
}

/* ---- beginning and end of the page ---- */

export async function begin(): Promise<void> {
  const all = await readAll();
  batch(() => {
    kept.value = all !== null;
    conversations.value = [...conversations.value, ...(all ?? [])];
    loaded.value = true;
  });
  effect(() => {
    // An address of a conversation that is not here, or not any more.
    const { view, id } = place.value;
    if (view === 'chat' && id && !conversations.value.some((c) => c.id === id)) go('chat', '', { replace: true });
  });
  effect(() => {
    chatTitle.value = answering.value ? 'Writing…' : current.value.title;
  });
  onOthers((id) => void takeFromOthers(id));
  addEventListener('pagehide', keepAll);
  addEventListener('visibilitychange', () => document.hidden && keepAll());
}

function keepAll(): void {
  for (const id of [...timers.keys()]) void keep(id);
}

async function takeFromOthers(id: string): Promise<void> {
  if (answering.value?.conversation === id || timers.has(id)) return;
  const now = await readOne(id);
  if (now) put(now);
  else conversations.value = conversations.value.filter((c) => c.id !== id);
}

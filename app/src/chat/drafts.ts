/* What was typed and not sent, by conversation, over a reload (localStorage). */

import { signal } from '@preact/signals';

const KEY = 'chat-drafts';
const NEW = 'new'; // of the conversation that has no message yet, and so another id with every load
const MOST = 20; // conversations
const LONGEST = 100_000; // characters of one

type Drafts = Readonly<Record<string, string>>;

function read(): Drafts {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    const entries = Object.entries(stored ?? {}).filter(([, text]) => typeof text === 'string' && text.length <= LONGEST);
    return Object.fromEntries(entries.slice(-MOST)) as Drafts;
  } catch {
    return {};
  }
}

const drafts = signal<Drafts>(read());

/** `id`: of a conversation that is kept, '' for a new one. */
export const draftOf = (id: string): string => drafts.value[id || NEW] ?? '';

export function setDraft(id: string, text: string): void {
  const { [id || NEW]: _, ...others } = drafts.value;
  drafts.value = text ? { ...others, [id || NEW]: text } : others;
  const kept = Object.entries(drafts.value).filter(([, draft]) => draft.length <= LONGEST).slice(-MOST);
  try {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(kept)));
  } catch {
    // forgotten with the page
  }
}

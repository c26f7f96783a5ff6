/* Conversations that survive a reload, in IndexedDB, each on its own. Other tabs with the page are told of changes.
 * A browser that refuses storage (a private window, no room) only forgets: every function says whether it could. */

import { createStore, del, entries, get, set } from 'idb-keyval';
import { conversationOf, type Conversation } from './tree.ts';

const store = (): ReturnType<typeof createStore> => (opened ??= createStore('sotto-chats', 'conversations'));
let opened: ReturnType<typeof createStore> | undefined;

/** All that can be read; what is damaged is passed over and left where it is. null: there is no storage. */
export async function readAll(): Promise<Conversation[] | null> {
  try {
    return (await entries(store())).map(([, value]) => conversationOf(value)).filter((c) => c !== null);
  } catch {
    return null;
  }
}

export async function readOne(id: string): Promise<Conversation | null> {
  try {
    return conversationOf(await get(id, store()));
  } catch {
    return null;
  }
}

export async function write(conversation: Conversation): Promise<boolean> {
  try {
    await set(conversation.id, conversation, store());
    tell(conversation.id);
    return true;
  } catch {
    return false;
  }
}

export async function remove(id: string): Promise<boolean> {
  try {
    await del(id, store());
    tell(id);
    return true;
  } catch {
    return false;
  }
}

/* ---- other tabs ---- */

const channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('sotto-chats');

function tell(id: string): void {
  channel?.postMessage(id);
}

/** Calls `changed` with the id of a conversation that another tab wrote or removed. */
export function onOthers(changed: (id: string) => void): void {
  channel?.addEventListener('message', ({ data }) => typeof data === 'string' && changed(data));
}

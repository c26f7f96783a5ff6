// Tabs of this origin: Web Locks, which end with the tab, and a BroadcastChannel.
import { abortError } from '../errors.js';
import type { News, Tabs } from './tabs.js';

const PREFIX = 'sotto-model:';
const CHANNEL = 'sotto-models';

let speaking: BroadcastChannel | undefined;

export const tabs: Tabs = {
  lock(key, mode, signal) {
    if (!navigator.locks) return Promise.resolve(() => {}); // no secure context: nothing is kept there either
    return new Promise((resolve, reject) => {
      const held = (): Promise<void> => new Promise((release) => resolve(release));
      navigator.locks.request(PREFIX + key, { mode, signal }, held).catch((error) => reject(signal.aborted ? abortError() : error));
    });
  },

  async writing() {
    const { held = [] } = (await navigator.locks?.query()) ?? {};
    const mine = held.filter(({ name, mode }) => mode === 'exclusive' && name?.startsWith(PREFIX));
    return new Set(mine.map(({ name }) => name!.slice(PREFIX.length)));
  },

  tell(news) {
    if (typeof BroadcastChannel === 'undefined') return;
    speaking ??= new BroadcastChannel(CHANNEL);
    speaking.postMessage(news);
  },

  hear(listener) {
    if (typeof BroadcastChannel === 'undefined') return () => {};
    const channel = new BroadcastChannel(CHANNEL);
    channel.onmessage = (event: MessageEvent<News>) => listener(event.data);
    return () => channel.close();
  },
};

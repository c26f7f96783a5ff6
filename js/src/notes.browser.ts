// What was measured once, in the browser's Cache API, which pages and workers can write alike.
import type { Notes } from './platform.js';

const NOTES = 'sotto-notes';

const available = (): boolean => typeof caches !== 'undefined' && location.origin !== 'null';
const noteAddress = (name: string): string => new URL(`/sotto-notes/${encodeURIComponent(name)}`, location.origin).href;

export const notes: Notes = {
  async read(name) {
    if (!available()) return undefined;
    try {
      return await (await caches.match(noteAddress(name), { cacheName: NOTES }))?.text();
    } catch {
      return undefined;
    }
  },
  async write(name, text) {
    if (!available()) return;
    try {
      await (await caches.open(NOTES)).put(noteAddress(name), new Response(text));
    } catch {
      // no room: it is measured again the next time
    }
  },
};

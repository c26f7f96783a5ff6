// Models kept by the browser (Cache API), in pieces, each with its SHA-256.
//
//   sotto-models:  /sotto-models/KEY/index.json  {pieces: [{bytes, sha256}], complete}
//                  /sotto-models/KEY/0, /1, ...   4 MiB each
//
// In pieces, a download that broke off at 90% goes on from there, even after the page was closed; and a kept model is
// checked by the browser's own hash, piece by piece beside the loading, without ever being whole in memory.
import type { CacheEntry, Notes } from './platform.js';

const STORE = 'sotto-models';
const NOTES = 'sotto-notes';
const PIECE_BYTES = 4 << 20;

interface Index {
  pieces: { bytes: number; sha256: string }[];
  complete: boolean;
}

const address = (key: string, part: string | number): string =>
  new URL(`/sotto-models/${key}/${part}`, location.origin).href;

/** Pieces that are read while one is fed. */
const PIECES_AHEAD = 3;

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function readIndex(store: Cache, key: string): Promise<Index> {
  const response = await store.match(address(key, 'index.json'));
  return response ? ((await response.json()) as Index) : { pieces: [], complete: false };
}

const available = (): boolean =>
  typeof caches !== 'undefined' && typeof crypto !== 'undefined' && !!crypto.subtle && location.origin !== 'null';

/** Whether the whole file is kept. */
export async function isCached(key: string): Promise<boolean> {
  if (!available() || !(await caches.has(STORE))) return false;
  return (await readIndex(await caches.open(STORE), key)).complete;
}

export async function removeCached(key: string): Promise<void> {
  if (!available() || !(await caches.has(STORE))) return;
  const store = await caches.open(STORE);
  const mine = (await store.keys()).filter((request) =>
    new URL(request.url).pathname.startsWith(`/sotto-models/${key}/`),
  );
  await Promise.all(mine.map((request) => store.delete(request)));
}

export async function openCache(key: string): Promise<CacheEntry | null> {
  if (!available()) return null;
  const store = await caches.open(STORE);
  return new BrowserEntry(store, key, await readIndex(store, key));
}

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

class BrowserEntry implements CacheEntry {
  readonly checksItself = true;
  readonly #store: Cache;
  readonly #key: string;
  readonly #index: Index;
  #piece = new Uint8Array(0);
  #filled = 0;
  #writing: Promise<void> = Promise.resolve();
  #given = true;

  constructor(store: Cache, key: string, index: Index) {
    this.#store = store;
    this.#key = key;
    this.#index = index;
  }

  get bytes(): number {
    return this.#index.pieces.reduce((sum, piece) => sum + piece.bytes, 0);
  }

  get complete(): boolean {
    return this.#index.complete;
  }

  async *read(): AsyncGenerator<Uint8Array> {
    const fetchPiece = async (i: number): Promise<Uint8Array<ArrayBuffer>> => {
      const response = await this.#store.match(address(this.#key, i));
      const bytes = new Uint8Array(response ? await response.arrayBuffer() : []);
      if (bytes.length !== this.#index.pieces[i].bytes) throw new Error('a kept piece is gone');
      return bytes;
    };
    const checks: Promise<void>[] = [];
    const n = this.#index.pieces.length;
    try {
      const coming: Promise<Uint8Array<ArrayBuffer>>[] = [];
      for (let i = 0; i < n; i++) {
        for (let ahead = i + coming.length; ahead < Math.min(i + 1 + PIECES_AHEAD, n); ahead++) {
          const piece = fetchPiece(ahead);
          piece.catch(() => {}); // looked at in its turn
          coming.push(piece);
        }
        const bytes = await coming.shift()!;
        const check = sha256(bytes).then((digest) => {
          if (digest !== this.#index.pieces[i].sha256) throw new Error('a kept piece has changed');
        });
        check.catch(() => {}); // looked at in the end
        checks.push(check);
        yield bytes;
      }
    } finally {
      await Promise.all(checks); // before the model counts as loaded
    }
  }

  append(bytes: Uint8Array): void {
    if (!this.#given) return;
    for (let at = 0; at < bytes.length;) {
      if (this.#filled === 0) this.#piece = new Uint8Array(PIECE_BYTES);
      const n = Math.min(PIECE_BYTES - this.#filled, bytes.length - at);
      this.#piece.set(bytes.subarray(at, at + n), this.#filled);
      this.#filled += n;
      at += n;
      if (this.#filled === PIECE_BYTES) this.#flush();
    }
  }

  #flush(): void {
    const piece = this.#piece.subarray(0, this.#filled);
    this.#filled = 0;
    this.#write(async () => {
      const digest = await sha256(piece);
      await this.#store.put(address(this.#key, this.#index.pieces.length), new Response(piece));
      this.#index.pieces.push({ bytes: piece.length, sha256: digest });
      await this.#putIndex();
    });
  }

  /** One after the other; when the browser has no room, nothing more is kept. */
  #write(task: () => Promise<void>): void {
    this.#writing = this.#writing.then(async () => {
      if (!this.#given) return;
      try {
        await task();
      } catch {
        this.#given = false;
      }
    });
  }

  #putIndex(): Promise<void> {
    const headers = { 'content-type': 'application/json' };
    return this.#store.put(address(this.#key, 'index.json'), new Response(JSON.stringify(this.#index), { headers }));
  }

  async commit(): Promise<void> {
    if (this.#filled > 0) this.#flush();
    this.#write(() => {
      this.#index.complete = true;
      return this.#putIndex();
    });
    await this.#writing;
    if (!this.#given) await this.drop();
  }

  async suspend(): Promise<void> {
    await this.#writing;
  }

  async drop(): Promise<void> {
    await this.#writing;
    await removeCached(this.#key);
  }
}

// Models in the browser's Cache API: where it gives the page no files of its own, and what earlier versions kept there.
//
//   sotto-store:   /sotto-store/KEY/about.json, journal, used      as kept.ts says
//                  /sotto-store/KEY/data-XXXX/0, /262144, ...      a piece each, by its place in the file
//   sotto-models:  /sotto-models/KEY/index.json, 0, 1, ...         of earlier versions: {pieces: [{bytes, sha256}], complete}
import { SottoError } from './errors.js';
import { dataOf, newData, OutOfRoom, parseAbout, type Draft, type Earlier, type EarlierAbout, type KeptAbout, type UnfinishedAbout, type WholeFile } from './kept.js';
import { plainHex, sumOf } from './store/sums.js';

const STORE = 'sotto-store';
const EARLIER = 'sotto-models';

export const hasCaches = (): boolean => typeof caches !== 'undefined' && location.origin !== 'null';

const addressOf = (cache: string, key: string, part: string | number): string =>
  new URL(`/${cache}/${encodeURIComponent(key)}/${part}`, location.origin).href;

/** A cache that is there already; a private window may have none. */
async function existing(name: string): Promise<Cache | undefined> {
  if (!hasCaches()) return undefined;
  try {
    return (await caches.has(name)) ? await caches.open(name) : undefined;
  } catch {
    return undefined;
  }
}

const textOf = async (store: Cache, key: string, part: string): Promise<string> => (await store.match(addressOf(STORE, key, part)))?.text() ?? '';

/** Keys of what has a part of that name. */
async function keysWith(store: Cache, name: string, part: string): Promise<string[]> {
  const paths = (await store.keys()).map(({ url }) => new URL(url).pathname.split('/'));
  return paths.filter((path) => path[1] === name && path[3] === part && path.length === 4).map((path) => decodeURIComponent(path[2]));
}

async function removeAll(store: Cache, name: string, key: string, but: (part: string) => boolean = () => false): Promise<void> {
  const prefix = new URL(addressOf(name, key, '')).pathname;
  const mine = (await store.keys()).filter(({ url }) => {
    const { pathname } = new URL(url);
    return pathname.startsWith(prefix) && !but(pathname.slice(prefix.length));
  });
  await Promise.all(mine.map((request) => store.delete(request)));
}

export async function listCached(): Promise<KeptAbout[]> {
  const store = await existing(STORE);
  if (!store) return [];
  const all = await Promise.all((await keysWith(store, STORE, 'about.json')).map(async (key) => parseAbout(key, await textOf(store, key, 'about.json'))));
  return all.flatMap((about) => (about ? [(({ data: _, ...rest }) => rest)(about)] : []));
}

export async function unfinishedCached(): Promise<UnfinishedAbout[]> {
  const store = await existing(STORE);
  if (!store) return [];
  const whole = new Set(await keysWith(store, STORE, 'about.json'));
  const keys = (await keysWith(store, STORE, 'journal')).filter((key) => !whole.has(key));
  const all = await Promise.all(keys.map(async (name) => ({ name, journal: await textOf(store, name, 'journal') })));
  return all.filter(({ journal }) => dataOf(journal)).map(({ name, journal }) => ({ name, journal: journal.slice(journal.indexOf('\n') + 1) }));
}

export async function usedCached(): Promise<[string, number][]> {
  const store = await existing(STORE);
  if (!store) return [];
  return Promise.all((await keysWith(store, STORE, 'used')).map(async (key): Promise<[string, number]> => [key, Number(await textOf(store, key, 'used'))]));
}

export async function touchCached(key: string): Promise<void> {
  const store = await existing(STORE);
  if (store && (await store.match(addressOf(STORE, key, 'about.json')))) await store.put(addressOf(STORE, key, 'used'), new Response(String(Date.now()))).catch(() => {});
}

export async function removeCached(key: string): Promise<void> {
  for (const name of [STORE, EARLIER]) {
    const store = await existing(name);
    if (store) await removeAll(store, name, key);
  }
}

/** Places of a file's pieces. */
const placesOf = ({ bytes, store }: KeptAbout): number[] =>
  Array.from({ length: Math.ceil(bytes / store!.pieceBytes) }, (_, i) => i * store!.pieceBytes);

/** undefined: it is not kept here. */
export async function openCachedBlob(key: string): Promise<Blob | undefined> {
  const store = await existing(STORE);
  const about = store && parseAbout(key, await textOf(store, key, 'about.json'));
  if (!about) return undefined;
  const pieces = await Promise.all(placesOf(about).map(async (at) => (await store.match(addressOf(STORE, key, `${about.data}/${at}`)))?.blob()));
  const blob = new Blob(pieces.filter((piece) => piece !== undefined));
  return blob.size === about.bytes ? blob : undefined;
}

async function readPieces(store: Cache, key: string, data: string, pieceBytes: number, at: number, n: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(n);
  let have = 0;
  for (let place = at - (at % pieceBytes); have < n; place += pieceBytes) {
    const response = await store.match(addressOf(STORE, key, `${data}/${place}`));
    const piece = response ? new Uint8Array(await response.arrayBuffer()).subarray(Math.max(at - place, 0)) : new Uint8Array(0);
    if (piece.length === 0) break;
    bytes.set(piece.subarray(0, n - have), have);
    have += Math.min(piece.length, n - have);
  }
  return bytes.subarray(0, have);
}

export async function openCachedWhole(key: string): Promise<WholeFile | undefined> {
  const store = await existing(STORE);
  const found = store && parseAbout(key, await textOf(store, key, 'about.json'));
  if (!store || !found?.store) return undefined;
  const { data, ...about } = found;
  const { pieceBytes } = found.store;
  return {
    about,
    async read(at, n) {
      const bytes = await readPieces(store, key, data, pieceBytes, at, n);
      if (bytes.length !== n) throw new SottoError('format', `A part of the kept file ${about.file} is gone.`);
      return bytes;
    },
    close: async () => {},
  };
}

export async function reopenCached(key: string, journal: string): Promise<void> {
  const store = await existing(STORE);
  const about = store && parseAbout(key, await textOf(store, key, 'about.json'));
  if (!about) return;
  await store.put(addressOf(STORE, key, 'journal'), new Response(`${about.data}\n${journal}\n`));
  await store.delete(addressOf(STORE, key, 'about.json'));
}

/** Takes up, or begins, a file in pieces: it is written and read a piece at a time. */
export async function openCachedDraft(key: string): Promise<Draft> {
  const store = await caches.open(STORE);
  const text = await textOf(store, key, 'journal');
  const data = dataOf(text);
  if (data === undefined) await removeAll(store, STORE, key, (part) => part === 'about.json');
  return new CacheDraft(store, key, data ?? newData(), data === undefined ? '' : text.slice(data.length + 1));
}

class CacheDraft implements Draft {
  readonly byPiece = true;
  journal: string;
  size = 0;
  readonly #store: Cache;
  readonly #key: string;
  readonly #data: string;

  constructor(store: Cache, key: string, data: string, journal: string) {
    [this.#store, this.#key, this.#data, this.journal] = [store, key, data, journal];
  }

  async #put(part: string, body: BodyInit): Promise<void> {
    try {
      await this.#store.put(addressOf(STORE, this.#key, part), new Response(body));
    } catch (error) {
      if (error instanceof Error && error.name === 'QuotaExceededError') throw new OutOfRoom('', { cause: error });
      throw error;
    }
  }

  async read(at: number, n: number): Promise<Uint8Array<ArrayBuffer>> {
    const response = await this.#store.match(addressOf(STORE, this.#key, `${this.#data}/${at}`));
    return response ? new Uint8Array(await response.arrayBuffer()).subarray(0, n) : new Uint8Array(0);
  }

  async write(at: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#put(`${this.#data}/${at}`, bytes);
    this.size = Math.max(this.size, at + bytes.length);
  }

  async reserve(): Promise<void> {} // nothing can be

  async flush(): Promise<void> {} // what was put is there

  async note(line: string): Promise<void> {
    this.journal += `${line}\n`;
    await this.#put('journal', `${this.#data}\n${this.journal}`);
  }

  async clear(): Promise<void> {
    await removeAll(this.#store, STORE, this.#key, (part) => !part.startsWith(this.#data) && part !== 'journal');
    [this.journal, this.size] = ['', 0];
  }

  async commit(about: Omit<KeptAbout, 'name'>): Promise<void> {
    await this.#put('about.json', JSON.stringify({ ...about, data: this.#data }));
    await removeAll(this.#store, STORE, this.#key, (part) => part === 'about.json' || part === 'used' || part.startsWith(this.#data));
  }

  async close(keep: boolean): Promise<void> {
    if (!keep) await this.clear();
  }
}

// ---- of earlier versions ----

interface EarlierIndex {
  pieces: { bytes: number; sha256: string }[];
  complete: boolean;
}

async function readIndex(store: Cache, key: string): Promise<EarlierIndex | undefined> {
  try {
    const index = (await (await store.match(addressOf(EARLIER, key, 'index.json')))?.json()) as EarlierIndex | undefined;
    const fit = Array.isArray(index?.pieces) && index.pieces.every(({ bytes, sha256 }) => Number.isSafeInteger(bytes) && bytes > 0 && plainHex(sha256));
    return fit ? index : undefined;
  } catch {
    return undefined;
  }
}

export async function listEarlier(): Promise<EarlierAbout[]> {
  const store = await existing(EARLIER);
  if (!store) return [];
  const all: EarlierAbout[] = [];
  for (const key of await keysWith(store, EARLIER, 'index.json')) {
    const index = await readIndex(store, key);
    if (!index) continue;
    const { pieces, complete } = index;
    const open = async (): Promise<Blob> => {
      const blobs = await Promise.all(pieces.map(async (_, i) => (await store.match(addressOf(EARLIER, key, i)))?.blob()));
      return new Blob(blobs.filter((blob) => blob !== undefined));
    };
    all.push({ key, bytes: pieces.reduce((sum, { bytes }) => sum + bytes, 0), complete, open, remove: () => removeAll(store, EARLIER, key) });
  }
  return all;
}

export async function openEarlier(key: string): Promise<Earlier | undefined> {
  const store = await existing(EARLIER);
  const index = store && (await readIndex(store, key));
  if (!index) return undefined;
  const starts: number[] = [];
  const bytes = index.pieces.reduce((at, piece) => (starts.push(at), at + piece.bytes), 0);
  let last: { i: number; bytes: Uint8Array<ArrayBuffer> } | undefined;
  const pieceAt = async (i: number): Promise<Uint8Array<ArrayBuffer> | undefined> => {
    if (last?.i === i) return last.bytes;
    const response = await store.match(addressOf(EARLIER, key, i));
    const piece = response && new Uint8Array(await response.arrayBuffer());
    if (!piece || piece.length !== index.pieces[i].bytes || (await sumOf(piece)) !== index.pieces[i].sha256) return undefined;
    last = { i, bytes: piece };
    return piece;
  };
  return {
    bytes,
    async read(at, n) {
      const into = new Uint8Array(n);
      for (let have = 0; have < n;) {
        const i = starts.findLastIndex((start) => start <= at + have);
        const piece = await pieceAt(i);
        if (!piece) return undefined;
        const some = piece.subarray(at + have - starts[i]).subarray(0, n - have);
        if (some.length === 0) return undefined;
        into.set(some, have);
        have += some.length;
      }
      return into;
    },
    close: async () => {},
    remove: () => removeAll(store, EARLIER, key),
  };
}

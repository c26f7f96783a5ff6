/* Which downloads were under way when the page was left (localStorage). Apart from the rest of the section: the page looks here when it opens. */

export interface Noted {
  input: string; // an id of the manifest, a reference or an address
  name: string;
  id: string | null; // in the store
  paused: boolean; // by the person, or after an error
}

const KEY = 'model-downloads';
const MOST = 50;

function parse(text: string | null): Noted[] {
  try {
    const stored: unknown = JSON.parse(text ?? '[]');
    if (!Array.isArray(stored)) return [];
    return stored.slice(-MOST).flatMap((entry: Partial<Record<keyof Noted, unknown>> | null) => {
      const { input, name, id, paused } = entry ?? {};
      if (typeof input !== 'string' || typeof name !== 'string') return [];
      return [{ input, name, id: typeof id === 'string' ? id : null, paused: paused === true }];
    });
  } catch {
    return [];
  }
}

function read(): Noted[] {
  try {
    return parse(localStorage.getItem(KEY));
  } catch {
    return [];
  }
}

function write(all: readonly Noted[]): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(all));
  } catch {
    // forgotten with the page
  }
}

/** Notes one; what other tabs noted stays. */
export const note = (noted: Noted): void => write([...read().filter(({ input }) => input !== noted.input), noted]);

export const forget = (input: string): void => write(read().filter((noted) => noted.input !== input));

/** Calls when another tab paused a download, or ended it. */
export function watchNotes(onPaused: (input: string) => void, onGone: (input: string) => void): void {
  addEventListener('storage', ({ key, oldValue, newValue }) => {
    if (key !== KEY) return;
    const now = new Map(parse(newValue).map((noted) => [noted.input, noted]));
    for (const { input, paused } of parse(oldValue)) {
      if (!now.has(input)) onGone(input);
      else if (!paused && now.get(input)!.paused) onPaused(input);
    }
  });
}

/** Goes on with what was under way, whichever section is open. */
export async function resumeDownloads(): Promise<void> {
  const noted = read();
  if (noted.length > 0) await (await import('./downloads.ts')).beginDownloads(noted);
}

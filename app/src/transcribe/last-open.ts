/* Whether a transcript was open when the page was left: known at once, while the transcript itself is read a moment later. */

const KEY = 'transcript-open';

function read(): boolean {
  try {
    return localStorage.getItem(KEY) !== null;
  } catch {
    return false;
  }
}

export const LAST_OPEN = read();

export function noteOpen(open: boolean): void {
  try {
    if (open) localStorage.setItem(KEY, '1');
    else localStorage.removeItem(KEY);
  } catch {
    // the first view flashes up then
  }
}

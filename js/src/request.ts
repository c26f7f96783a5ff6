// fetch() with headers that are for one host: a token of the caller's must not go along where that host sends us.
//
//   Authorization alone ─> fetch(), which leaves it out itself when another origin follows
//   other headers too ───> redirects one by one; in browsers, which do not show where they lead, fetch() follows with all but Authorization
import { streamPieces } from './stream.js';

/** Headers of the caller's, by name. */
export type OwnHeaders = Readonly<Record<string, string>>;

const REDIRECTS = [301, 302, 303, 307, 308];
const MOST_REDIRECTS = 20;

/** `own` goes to the origin of `url` alone, as far as the platform lets us see to it. Throws what fetch() throws. */
export async function request(url: string, init: RequestInit = {}, own: OwnHeaders = {}): Promise<Response> {
  const headers = { ...(init.headers as Record<string, string> | undefined), ...own };
  if (Object.keys(own).every((name) => name.toLowerCase() === 'authorization')) return fetch(url, { ...init, headers });
  const { origin } = new URL(url);
  let ours = true;
  for (let at = url, n = 0; n <= MOST_REDIRECTS; n++) {
    const response = await fetch(at, { ...init, headers: ours ? headers : init.headers, redirect: 'manual' });
    if (response.type === 'opaqueredirect') return fetch(url, { ...init, headers });
    const to = REDIRECTS.includes(response.status) ? response.headers.get('location') : null;
    if (to === null) return response;
    void response.body?.cancel().catch(() => {});
    at = new URL(to, at).href;
    ours &&= new URL(at).origin === origin;
  }
  throw new TypeError(`more than ${MOST_REDIRECTS} redirects`);
}

/** What came is not what it should be; says what it is, in a few words. */
export class BadAnswer extends Error {}

/** A JSON text of at most so many bytes. Throws a BadAnswer, or what broke the connection. */
export async function jsonOf(response: Response, mostBytes: number): Promise<unknown> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  if (!response.body) throw new BadAnswer('it is empty');
  for await (const piece of streamPieces(response.body)) {
    bytes += piece.length;
    if (bytes > mostBytes) throw new BadAnswer(`it has more than ${mostBytes} bytes`);
    pieces.push(piece.slice());
  }
  const text = await new Blob(pieces as Uint8Array<ArrayBuffer>[]).text();
  try {
    return JSON.parse(text);
  } catch {
    throw new BadAnswer('it is no JSON');
  }
}

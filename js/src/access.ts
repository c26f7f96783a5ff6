// To whom requests for a model go, and with which headers: the hub, and what the caller gave for its own addresses.
import { SottoError } from './errors.js';
import { checkHub, HUB, urlOf } from './hub-reference.js';
import type { OwnHeaders } from './request.js';

/** Headers of requests for models; a function is asked for each origin, such as "https://huggingface.co". */
export type RequestHeaders = OwnHeaders | ((origin: string) => OwnHeaders | undefined);

export interface AccessOptions {
  /** Base address of what stands in for huggingface.co: a mirror, or a hub of one's own. Default: https://huggingface.co. */
  hub?: string | URL | undefined;
  /**
   * Sent along with requests for what was named here: the model, `sources`, `manifest`, and the hub where the model is one of a hub or `hub` is
   * given. They go to no other host, not to those of the built-in list either. A function says for each origin what goes there.
   */
  headers?: RequestHeaders | undefined;
}

/** Names and values that HTTP knows; what a browser sets itself it refuses or ignores. */
function checkHeaders(headers: unknown): OwnHeaders {
  if (typeof headers !== 'object' || headers === null)
    throw new SottoError('argument', 'headers must map names to values, or be a function of an origin that gives such a map.');
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) throw new SottoError('argument', `headers has a name that is none of HTTP: ${JSON.stringify(name)}.`);
    if (/^(range|host|content-length)$/i.test(name)) throw new SottoError('argument', `headers cannot have ${name}: requests for models set it themselves.`);
    if (typeof value !== 'string' || /[^\t\x20-\x7e\x80-\xff]/.test(value))
      throw new SottoError('argument', `The value of ${name} in headers must be a string of one line.`); // and is not repeated, for it may be a secret
  }
  return headers as OwnHeaders;
}

/** Where requests go, and what goes along. */
export class Access {
  /** Base address of the hub, without "/" at its end. */
  readonly hub: string;
  readonly #headers: RequestHeaders;
  readonly #origins = new Set<string>();

  constructor({ hub, headers = {} }: AccessOptions) {
    this.hub = checkHub(hub);
    this.#headers = typeof headers === 'function' ? headers : checkHeaders(headers);
    if (hub !== undefined) this.give(this.hub);
  }

  /** The caller named this address: the headers go there. */
  give(address: string): void {
    const url = urlOf(address);
    if (url) this.#origins.add(url.origin);
  }

  /** What goes along to an address. */
  headersFor(address: string): OwnHeaders | undefined {
    const url = urlOf(address);
    if (!url || !/^https?:$/.test(url.protocol)) return undefined;
    if (typeof this.#headers !== 'function') return this.#origins.has(url.origin) ? this.#headers : undefined;
    const headers = this.#headers(url.origin);
    return headers === undefined ? undefined : checkHeaders(headers);
  }

  /** The same for some addresses, by their origins, as downloads carry it; undefined: nothing. */
  headersOf(addresses: readonly string[]): Record<string, OwnHeaders> | undefined {
    const entries = addresses.flatMap((address): [string, OwnHeaders][] => {
      const headers = this.headersFor(address);
      return headers && Object.keys(headers).length > 0 ? [[new URL(address).origin, headers]] : [];
    });
    return entries.length > 0 ? Object.fromEntries(entries) : undefined;
  }

  /** An address of the default hub, at the hub that counts here. */
  atHub(address: string): string {
    return address.startsWith(`${HUB}/`) ? this.hub + address.slice(HUB.length) : address;
  }
}

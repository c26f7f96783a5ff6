/* The sealed page: one that can send no request, and shows that it cannot.
 *
 *   seal() ──> the service worker keeps what the engine needs, then forwards nothing, of no tab and no worker
 *          ──> a content security policy closes this document at once, and every document and worker that is loaded from now on
 *          ──> trials: requests that must all fail. Only then does the page call itself sealed.
 *
 * The two walls do not know of each other: the policy is the browser's, whatever the service worker does. */

import { computed, effect, signal } from '@preact/signals';
import { announcement } from '../ui/say.ts';
import { sentenceOf } from '../ui/told.ts';
import { ask, controlledFromStart, controller } from './service.ts';

/** A request that a sealed page tries. */
export interface Trial {
  what: string;
  blocked: boolean;
}

export type Seal =
  | { at: 'open' }
  | { at: 'sealing' }
  | { at: 'sealed'; trials: Trial[] }
  | { at: 'broken'; trials: Trial[] } // sealed, but a request was not stopped
  | { at: 'failed'; why: string };

export const seal = signal<Seal>({ at: 'open' });

export const sealed = computed(() => seal.value.at === 'sealed');

/** Why a model does not come. */
export const notWhileSealed = (name: string): string =>
  `The page is sealed, and ${name} is not on this device yet: unseal it (the lock at the top) to download it.`;

/** Only a page with a service worker can be sealed. */
export const canSeal = computed(() => controller.value !== null);

interface State {
  sealed: boolean;
  policy: string;
  allowed: string[]; // addresses that the policy still allows: files of the engine, which the service worker answers
}

/** Closes a page that was sealed before, and listens for other tabs that seal or have sealed it. */
export function beginSeal(): void {
  navigator.serviceWorker?.addEventListener('message', ({ data }: MessageEvent<State & { type?: string }>) => {
    if (data?.type === 'seal' && data.sealed && seal.value.at === 'open') void close(data); // by another tab
  });
  effect(() => {
    if (controller.value) void look();
  });
}

async function look(): Promise<void> {
  const state = await ask<State>({ type: 'state' });
  if (state.sealed && seal.value.at === 'open') await close(state);
}

/** Forbids the page every request, until it is unsealed. */
export async function sealPage(): Promise<void> {
  seal.value = { at: 'sealing' };
  try {
    const { detect } = await import('sotto');
    const engine = detect().relaxedSimd ? 'sotto-relaxed' : 'sotto-simd'; // with threads or without: that may change with the next load
    const state = await ask<State>({ type: 'seal', engine });
    // Workers that began without the service worker are not answered by it.
    if (!controlledFromStart()) return location.reload();
    await close(state);
    if (sealed.value) announcement.value = 'Sealed: no request can leave this page.';
  } catch (error) {
    seal.value = {
      at: 'failed',
      why: `The page could not be sealed, because what it needs without a network is not all here. ${sentenceOf(error)}`,
    };
  }
}

/** Loads the page anew, with its usual policy. */
export async function unsealPage(): Promise<void> {
  await ask({ type: 'unseal' });
  location.reload();
}

async function close({ policy, allowed }: State): Promise<void> {
  seal.value = { at: 'sealing' };
  const element = document.createElement('meta');
  element.httpEquiv = 'Content-Security-Policy';
  element.content = policy;
  document.head.append(element); // policies add up: none can take back another
  const trials = await tryAll(allowed);
  seal.value = { at: trials.every(({ blocked }) => blocked) ? 'sealed' : 'broken', trials };
}

/* ---- trials ---- */

const NOBODY = 'sealed.invalid'; // a host that there cannot be: even a seal that fails tells nobody anything
const WAIT_MS = 3000; // for the browser to say that it blocked a request

/** Whether the browser says that its policy stops what `send` does to `address`. */
async function isStopped(address: string, send: () => unknown): Promise<boolean> {
  let stopped = false;
  let told = () => {};
  const said = new Promise<void>((resolve) => (told = resolve));
  const onViolation = ({ blockedURI }: SecurityPolicyViolationEvent) => {
    if (blockedURI !== address) return;
    stopped = true;
    told();
  };
  document.addEventListener('securitypolicyviolation', onViolation);
  try {
    await Promise.resolve(send()).catch(() => {});
  } catch {
    // a refusal, too; what counts is who refused
  }
  await Promise.race([said, new Promise((done) => setTimeout(done, WAIT_MS))]);
  document.removeEventListener('securitypolicyviolation', onViolation);
  return stopped;
}

async function tryAll(allowed: readonly string[]): Promise<Trial[]> {
  const own = new URL('./?sealed', document.baseURI).href;
  const other = `https://${NOBODY}/`;
  const picture = `https://${NOBODY}/picture.png`;
  const socket = `wss://${NOBODY}/`;
  const hidden = `${allowed[0]}?sealed`; // the policy knows no queries; here the service worker stands alone
  const isRefused = () => fetch(hidden).then(() => false, () => true);
  const trials: [string, Promise<boolean>][] = [
    ['To the host of this page', isStopped(own, () => fetch(own))],
    ['To another host', isStopped(other, () => fetch(other))],
    ['A picture of another host', isStopped(picture, () => (new Image().src = picture))],
    ['A socket to another host', isStopped(socket, () => new WebSocket(socket))],
    ['A file of the engine, with a message in its address', isRefused()],
  ];
  return Promise.all(trials.map(async ([what, result]) => ({ what, blocked: await result })));
}

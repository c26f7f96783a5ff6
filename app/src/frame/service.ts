/* The page and its service worker: how it comes, how a new version is announced, and the one reload that brings threads.
 *
 * Where the host sends no isolating headers, the service worker does, from the second load on. So the page loads itself a second
 * time, once, as long as nobody has touched it; else it offers that. */

import { signal } from '@preact/signals';

/** A new version of the page waits, or has come already in another tab. */
export const updateReady = signal(false);
/** After a reload the engine could use all cores. */
export const threadsOffered = signal(false);
/** The service worker that answers this page's requests, if one does. */
export const controller = signal<ServiceWorker | null>(null);

/** Whether one did from the first request on, so that the workers of the page have it too. */
export const controlledFromStart = (): boolean => fromStart;

const container = (): ServiceWorkerContainer | undefined => navigator.serviceWorker as ServiceWorkerContainer | undefined;
const fromStart = !!container()?.controller;

const RELOADED = 'reloaded-for-threads';
const LOOK_MS = 3600_000; // between looks for a new version, in a tab that stays open

/* ---- whether somebody has begun something ---- */

let touched = false;
for (const type of ['pointerdown', 'keydown', 'drop', 'paste', 'change']) {
  addEventListener(type, () => (touched = true), { capture: true, once: true, passive: true });
}

/* ---- beginning ---- */

/** Without it (private windows, plain http) the page works all the same, only not offline. */
export async function startService(): Promise<void> {
  const service = container();
  if (!service) return;
  try {
    controller.value = service.controller;
    service.addEventListener('controllerchange', () => onController(service.controller));
    await rest(); // what it keeps is fetched after what is seen
    const registration = (await isSealed()) ? await service.ready : await service.register('./offline.js');
    watchVersions(registration);
    await service.ready;
    // A page that was loaded past it, by Shift and Reload, has none.
    controller.value = service.controller;
    if (!fromStart) void bringThreads();
    else if (crossOriginIsolated) forgetReload();
  } catch {
    // not here
  }
}

/** Whether the page may ask for nothing, not even for a newer version of itself. */
async function isSealed(): Promise<boolean> {
  return controller.value !== null && (await ask<{ sealed: boolean }>({ type: 'state' })).sealed;
}

/** Waits until the browser has nothing better to do, but not for long. */
function rest(): Promise<void> {
  return new Promise((resolve) => {
    if ('requestIdleCallback' in globalThis) requestIdleCallback(() => resolve(), { timeout: 3000 });
    else setTimeout(resolve, 1000);
  });
}

function onController(now: ServiceWorker | null): void {
  const before = controller.value;
  controller.value = now;
  if (reloading) location.reload();
  else if (before && now) updateReady.value = true;
  else if (!fromStart && now) void bringThreads();
}

/* ---- threads ---- */

/** The headers are there from the next load on. */
async function bringThreads(): Promise<void> {
  if (crossOriginIsolated || threadsOffered.value || !controller.value) return;
  if (!touched && rememberReload()) location.reload();
  else threadsOffered.value = true;
}

/** Whether this tab has not been reloaded for this yet; false, too, where that cannot be remembered. */
function rememberReload(): boolean {
  try {
    if (sessionStorage.getItem(RELOADED)) return false;
    sessionStorage.setItem(RELOADED, '1');
    return sessionStorage.getItem(RELOADED) === '1';
  } catch {
    return false;
  }
}

function forgetReload(): void {
  try {
    sessionStorage.removeItem(RELOADED);
  } catch {
    // was never written
  }
}

/* ---- versions ---- */

let waiting: ServiceWorker | null = null;
let reloading = false;

function watchVersions(registration: ServiceWorkerRegistration): void {
  const offer = (worker: ServiceWorker | null) => {
    if (worker?.state !== 'installed' || !controller.value) return; // the first version waits for nobody
    waiting = worker;
    updateReady.value = true;
  };
  offer(registration.waiting);
  registration.addEventListener('updatefound', () => {
    const coming = registration.installing;
    coming?.addEventListener('statechange', () => offer(coming));
  });
  let looked = Date.now();
  addEventListener('visibilitychange', () => {
    if (document.hidden || Date.now() - looked < LOOK_MS) return;
    looked = Date.now();
    const look = async () => {
      if (!(await isSealed())) await registration.update();
    };
    look().catch(() => {}); // no network
  });
}

/** Loads the page again, in its new version where one waits. Other tabs go on with theirs. */
export function reload(): void {
  if (waiting?.state === 'installed') {
    reloading = true;
    waiting.postMessage({ type: 'activate' });
  } else location.reload();
}

/** Asks the service worker, which answers once. Throws where it cannot. */
export function ask<T>(message: { type: string } & Record<string, unknown>): Promise<T> {
  return new Promise((resolve, reject) => {
    const worker = controller.value;
    if (!worker) return reject(new Error('no service worker answers for this page'));
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }: MessageEvent<T & { error?: string }>) => {
      port1.close();
      if (data.error === undefined) resolve(data);
      else reject(new Error(data.error));
    };
    worker.postMessage(message, [port2]);
  });
}

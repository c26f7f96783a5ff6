/* The service worker: with it the page opens, and transcribes, without a network.
 *
 *   install ──> the page's own files, but not the engines: which one is needed is not known yet
 *   a page  ──> network, else what was kept
 *   assets/ ──> what was kept, else network, and keep it: their names change with their content
 *
 * Models are none of its business, also the one that comes with the page: the package keeps them, once they are used.
 * The build fills in the two constants. */

const FILES = __FILES__;
const STORE = 'page-__VERSION__';

addEventListener('install', (event) => {
  event.waitUntil(
    caches
      .open(STORE)
      .then((store) => store.addAll(FILES))
      .then(() => skipWaiting()),
  );
});

addEventListener('activate', (event) => {
  const old = async () => {
    const names = (await caches.keys()).filter((name) => name.startsWith('page-') && name !== STORE);
    await Promise.all(names.map((name) => caches.delete(name)));
    await clients.claim();
  };
  event.waitUntil(old());
});

addEventListener('fetch', (event) => {
  const { request } = event;
  const inside = request.url.startsWith(registration.scope) ? request.url.slice(registration.scope.length) : null;
  if (request.method !== 'GET' || request.headers.has('range') || inside === null) return;
  if (request.mode === 'navigate' && /^(index\.html)?([?#]|$)/.test(inside)) event.respondWith(page(request));
  else if ((inside.startsWith('assets/') && !inside.endsWith('.gguf')) || FILES.includes(inside)) event.respondWith(asset(request));
});

async function page(request) {
  try {
    return await fetch(request);
  } catch (error) {
    const kept = await caches.match('./', { cacheName: STORE });
    if (kept) return kept;
    throw error;
  }
}

async function asset(request) {
  const store = await caches.open(STORE);
  const kept = await store.match(request, { ignoreVary: true });
  if (kept) return kept;
  const response = await fetch(request);
  if (response.ok) await store.put(request, response.clone()).catch(() => {}); // no room: not kept
  return response;
}

/* The service worker. With it the page opens and works without a network, has the headers that threads need wherever it is
 * hosted, and can be sealed.
 *
 *   install ──> the page's own files, but not the engines: which one is needed is not known yet
 *   a page  ──> what was kept, so that a page and its files are of one version; else network
 *   assets/ ──> what was kept, also of an older version that a tab still shows; else network, and keep it: names change with content
 *   sealed  ──> what was kept, for every request of every tab and worker; nothing is forwarded
 *
 * A new version waits until a page asks for it or the last tab of the old one is closed. Models are none of its business, also
 * the one that comes with the page: the package keeps them, once they are used. The build fills in the constants. */

const FILES = __FILES__; // kept at install
const ENTRY = __ENTRY__; // that the page of this version names
const ENGINE = __ENGINE__; // what a sealed page may ask for: engines, the network of voice activity, the sample
const POLICY = __POLICY__; // of the page and its workers, when it is not sealed

const PREFIX = `page-${new URL(registration.scope).pathname} `; // other copies of the page may share the origin
const STORE = `${PREFIX}__VERSION__`;
const STATE = 'sotto-page'; // whether it is sealed, for every scope
const SEAL = new URL('sealed', registration.scope).href;

/* A list in a header ends at these two. */
const inPolicy = (file) => new URL(file, registration.scope).href.replace(/[;,]/g, (c) => (c === ';' ? '%3B' : '%2C'));

const SEALED_POLICY = [
  "default-src 'none'",
  `script-src ${inPolicy('assets/')} 'wasm-unsafe-eval'`,
  `worker-src ${inPolicy('assets/')}`,
  `style-src ${inPolicy('assets/')} 'unsafe-inline'`,
  `img-src ${inPolicy('./')} data:`,
  `manifest-src ${inPolicy('./')}`,
  'media-src blob:',
  `connect-src ${ENGINE.map(inPolicy).join(' ')}`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/* ---- versions ---- */

addEventListener('install', (event) => event.waitUntil(install()));

async function install() {
  if (await readSeal()) throw new Error('The page is sealed: no version is fetched.');
  const store = await caches.open(STORE);
  // Names of assets change with their content; others could be older ones that the browser still has.
  await store.addAll(FILES.map((file) => new Request(file, { cache: file.startsWith('assets/') ? 'default' : 'reload' })));
  const page = await (await store.match('./')).text();
  if (page.includes(ENTRY)) return;
  await caches.delete(STORE);
  throw new Error('The host gives a page of another version; it is asked again later.');
}

addEventListener('activate', (event) => event.waitUntil(forgetOld('').then(() => clients.claim())));

/** Files of older versions go once no tab can show them. `mine`: the client that is about to show this version. */
async function forgetOld(mine) {
  const shown = await clients.matchAll({ type: 'window', includeUncontrolled: true });
  if (shown.some(({ id, url }) => id !== mine && url.startsWith(registration.scope))) return;
  const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== STORE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

/* ---- the seal ---- */

let sealed; // undefined until it is read
void readSeal();

async function readSeal() {
  if (sealed !== undefined) return sealed;
  const kept = await caches.match(SEAL, { cacheName: STATE }).catch(() => undefined);
  sealed ??= kept !== undefined; // unless it was changed meanwhile
  return sealed;
}

/** Keeps what a sealed page needs, then lets nothing through. `engine`: names of the files of ENGINE that this browser uses begin so. */
async function seal(engine) {
  const store = await caches.open(STORE);
  for (const file of ENGINE) {
    const wanted = !file.endsWith('.wasm') || file.startsWith(`assets/${engine}-`);
    if (wanted && !(await store.match(file))) await store.add(file);
  }
  await (await caches.open(STATE)).put(SEAL, new Response());
  sealed = true;
}

async function unseal() {
  await (await caches.open(STATE)).delete(SEAL);
  sealed = false;
}

/** Tells every tab. */
async function tell() {
  for (const client of await clients.matchAll({ type: 'window' })) client.postMessage({ type: 'seal', ...stateOf() });
}

const stateOf = () => ({ sealed, policy: SEALED_POLICY, allowed: ENGINE.map((file) => new URL(file, registration.scope).href) });

addEventListener('message', (event) => {
  const { type, engine } = event.data ?? {};
  const [port] = event.ports;
  const actions = {
    activate: () => skipWaiting(),
    state: readSeal,
    seal: () => seal(String(engine)).then(tell),
    unseal: () => unseal().then(tell),
  };
  if (!Object.hasOwn(actions, type)) return;
  event.waitUntil(
    actions[type]().then(
      () => port?.postMessage(stateOf()),
      (error) => port?.postMessage({ ...stateOf(), error: String(error?.message ?? error) }),
    ),
  );
});

/* ---- requests ---- */

addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.cache === 'only-if-cached' && request.mode !== 'same-origin') return; // of developer tools
  if (sealed === false && !isPage(request) && !isAsset(request)) return; // the browser's own way is the shortest
  if (request.mode === 'navigate') event.waitUntil(forgetOld(event.clientId));
  event.respondWith(answer(request));
});

const inside = ({ url }) => (url.startsWith(registration.scope) ? url.slice(registration.scope.length) : null);
const isPage = (request) => request.mode === 'navigate' && /^(index\.html)?([?#]|$)/.test(inside(request) ?? 'no');

function isAsset(request) {
  const file = inside(request);
  if (file === null || request.method !== 'GET' || request.headers.has('range')) return false;
  return (file.startsWith('assets/') && !file.endsWith('.gguf')) || FILES.includes(file);
}

async function answer(request) {
  const page = isPage(request);
  const asset = !page && isAsset(request);
  const closed = await readSeal();
  const kept = page ? await caches.match('./', { cacheName: STORE }) : asset ? await find(request) : undefined;
  if (kept) return dressed(kept, closed, request);
  if (closed) return Response.error();
  const response = await fetch(request);
  if (!page && !asset) return response;
  if (asset && response.ok) {
    const store = await caches.open(STORE);
    await store.put(request, response.clone()).catch(() => {}); // no room: not kept
  }
  return dressed(response, false, request);
}

async function find(request) {
  const store = await caches.open(STORE);
  return (await store.match(request, { ignoreVary: true })) ?? caches.match(request, { ignoreVary: true });
}

/** The response with the headers that isolate the page, and with what it may ask for. */
function dressed(response, closed, { destination }) {
  if (response.status === 0) return response; // a redirect, which the browser follows
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  headers.set('Cross-Origin-Resource-Policy', 'same-origin');
  if (closed) headers.set('Content-Security-Policy', SEALED_POLICY);
  else if (/worker$/.test(destination)) headers.set('Content-Security-Policy', POLICY); // the page has it in its head
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}

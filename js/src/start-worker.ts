// Starts a module worker, also one that lies on another origin (a CDN): there it is imported by a worker of our own.

/** Apart from import.meta.url, so that bundlers do not take what is made of it for a second copy of the worker. */
const here = import.meta.url;

/** `start` must hold the literal `new Worker(new URL(...))` that bundlers look for. */
export function startWorker(file: string, start: () => Worker): Worker {
  const { protocol, origin } = new URL(here);
  /* blob: and data: are of this origin; file: is what bundlers say that leave import.meta.url as it was when they built. */
  if (!/^https?:$/.test(protocol) || origin === globalThis.location?.origin) return start();
  const source = `import ${JSON.stringify(new URL(file, here).href)};`;
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  try {
    return new Worker(url, { type: 'module' });
  } finally {
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }
}

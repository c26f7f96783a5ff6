// Starts a module worker, also one that lies on another origin (a CDN): there it is imported by a worker of our own.

/** Apart from import.meta.url, so that bundlers do not take what is made of it for a second copy of the worker. */
const here = import.meta.url;

/** `start` must hold the literal `new Worker(new URL(...))` that bundlers look for. */
export function startWorker(file: string, start: () => Worker): Worker {
  const { protocol, origin } = new URL(here);
  if (protocol === 'blob:' || protocol === 'data:' || origin === globalThis.location?.origin) return start();
  const source = `import ${JSON.stringify(new URL(file, here).href)};`;
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  try {
    return new Worker(url, { type: 'module' });
  } finally {
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }
}

// Starts a module worker, also one that lies on another origin (a CDN): there it is imported by a worker of our own.

/** `start(undefined)` must hold the literal `new Worker(new URL(...))` that bundlers look for. */
export function startWorker(url: URL, start: (url: string | undefined) => Worker): Worker {
  if (url.protocol === 'blob:' || url.protocol === 'data:' || url.origin === globalThis.location?.origin)
    return start(undefined);
  const source = URL.createObjectURL(new Blob([`import ${JSON.stringify(url.href)};`], { type: 'text/javascript' }));
  try {
    return start(source);
  } finally {
    setTimeout(() => URL.revokeObjectURL(source), 60_000);
  }
}

#!/usr/bin/env node
// Serves a folder, by default the built page, for this machine: node tools/serve.mjs [--port N] [FOLDER].
//
// models/ of the repository appears under /models/. Every answer carries the headers that isolate the page (threads need
// that), and ranges are answered, for the player. With --port 0 the system picks a free port; the address is printed.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createGzip } from 'node:zlib';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.wav': 'audio/wav',
  '.mp3': 'audio/mpeg',
  '.ogg': 'audio/ogg',
  '.txt': 'text/plain; charset=utf-8',
};

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** The file behind a request's path; undefined where there is none. */
function fileOf(folder, url) {
  let name;
  try {
    name = decodeURIComponent(new URL(url, 'http://localhost').pathname);
  } catch {
    return undefined;
  }
  const [base, rest] = name.startsWith('/models/') ? [path.join(root, 'models'), name.slice(8)] : [folder, name];
  const file = path.join(base, path.normalize(`/${rest}`));
  if (name.includes('\0')) return undefined;
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat?.isFile()) return { file, size: stat.size };
  const index = path.join(file, 'index.html');
  const indexStat = stat?.isDirectory() ? statSync(index, { throwIfNoEntry: false }) : undefined;
  return indexStat && { file: index, size: indexStat.size };
}

/** [first, last] of a Range header, null for none, undefined for one outside the file. */
function rangeOf(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return null;
  const first = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const last = match[1] === '' || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  return first <= last ? [first, last] : undefined;
}

/** A listening server; close() ends it. For tests: `isolated: false` leaves the isolating headers out, `onFile` is told of each file that is sent, `onRequest` of every request, `hold` may give a promise that a request waits for (false: there is no such file), and `compressed: true` sends text
 *  as most hosts do, with gzip. */
export function serve({ folder = path.join(root, 'app/dist'), port = 8080, host = '127.0.0.1', isolated = true, compressed = false, onFile, onRequest, hold } = {}) {
  const headers = {
    'Cache-Control': 'no-cache',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    'Accept-Ranges': 'bytes',
    ...(isolated && { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }),
  };
  const server = createServer(async (request, response) => {
    const found = fileOf(folder, request.url);
    onRequest?.(request);
    const hidden = (await hold?.(request)) === false;
    if (request.method !== 'GET' && request.method !== 'HEAD') return response.writeHead(405, headers).end();
    if (!found || hidden) return response.writeHead(404, { ...headers, 'Content-Type': 'text/plain' }).end('There is no such file.\n');
    const range = rangeOf(request.headers.range, found.size);
    if (range === undefined) return response.writeHead(416, { ...headers, 'Content-Range': `bytes */${found.size}` }).end();
    const [first, last] = range ?? [0, found.size - 1];
    const type = TYPES[path.extname(found.file).toLowerCase()] ?? 'application/octet-stream';
    if (compressed && !range && request.method === 'GET' && /^text|json|svg|wasm/.test(type)) {
      response.writeHead(200, { ...headers, 'Content-Type': type, 'Content-Encoding': 'gzip' });
      return createReadStream(found.file).pipe(createGzip({ level: 9 })).pipe(response);
    }
    response.writeHead(range ? 206 : 200, {
      ...headers,
      'Content-Type': type,
      'Content-Length': last - first + 1,
      ...(range && { 'Content-Range': `bytes ${first}-${last}/${found.size}` }),
    });
    if (request.method === 'HEAD' || found.size === 0) return response.end();
    onFile?.(found.file);
    createReadStream(found.file, { start: first, end: last }).on('error', () => response.destroy()).pipe(response);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      const url = `http://localhost:${server.address().port}/`;
      resolve({ url, close: () => new Promise((done) => server.close(done).closeAllConnections()) });
    });
  });
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({ options: { port: { type: 'string', default: '8080' } }, allowPositionals: true });
  try {
    const { url } = await serve({ port: Number(values.port), folder: positionals[0] && path.resolve(positionals[0]) });
    console.log(`sotto is at ${url} (Ctrl-C ends it)`);
  } catch (error) {
    console.error(error.code === 'EADDRINUSE' ? `Port ${values.port} is taken: choose another, as in make run PORT=8081.` : `serve: ${error.message}`);
    process.exit(1);
  }
}

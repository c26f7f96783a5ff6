// A hub of models as huggingface.co is one, for tests: lists of files page by page, large files at another origin that refuses tokens,
// gated repositories, its words for what is not there. The shapes are those of its public API.
//
//   /api/models/OWNER/REPO/tree/REVISION[/FOLDER][?recursive=true&cursor=N]   JSON of files, the next page in Link
//   /OWNER/REPO/resolve/REVISION/PATH                                         small files, or a redirect to where large ones are
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const hash = (algorithm, ...data) => data.reduce((h, d) => h.update(d), createHash(algorithm)).digest('hex');
const gitOid = (bytes) => hash('sha1', `blob ${bytes.length}\0`, bytes);
const isLarge = (path) => /\.(gguf|bin|safetensors)$/.test(path);
const CORS = {
  'access-control-allow-origin': '*',
  'access-control-allow-headers': 'authorization, range, x-key',
  'access-control-expose-headers': 'x-error-code, link, etag, accept-ranges, content-range, content-length',
};

async function listen(t, handle) {
  const server = createServer(handle);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

function sendBytes(request, response, bytes, more = {}) {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  const first = Number(from ?? 0);
  const last = to ? Math.min(Number(to), bytes.length - 1) : bytes.length - 1;
  if (from !== undefined && first >= bytes.length) return response.writeHead(416, { ...CORS, 'content-range': `bytes */${bytes.length}` }).end();
  const head = { ...CORS, ...more, 'content-length': last - first + 1, 'accept-ranges': 'bytes', etag: `"${gitOid(bytes)}"` };
  if (from === undefined) response.writeHead(200, head);
  else response.writeHead(206, { ...head, 'content-range': `bytes ${first}-${last}/${bytes.length}` });
  response.end(request.method === 'HEAD' ? undefined : bytes.subarray(first, last + 1));
}

/**
 * repos: { 'owner/repo': { files: { path: Buffer } or { revision: ... } by revisions, gated?: token } }.
 * Gives the base address, what was asked of it and of the place of large files, and `down`: it and that place break every connection.
 */
export async function startHub(t, repos, { pageSize = 1000, api = true } = {}) {
  const hub = { url: '', files: '', asked: [], askedFiles: [], down: false };
  const fail = (response, status, code) => void response.writeHead(status, { ...CORS, ...(code && { 'x-error-code': code }) }).end();

  const find = (request, response, name, revision, isTree) => {
    const repo = repos[name];
    const token = request.headers.authorization;
    if (!repo) return fail(response, 401, 'RepoNotFound');
    // Files of gated repositories are listed for everybody.
    if (repo.gated && !isTree && token !== `Bearer ${repo.gated}`) return fail(response, token ? 403 : 401, 'GatedRepo');
    const files = repo.revisions?.[revision] ?? (revision === 'main' ? repo.files : undefined);
    if (!files) return fail(response, 404, 'RevisionNotFound');
    return files;
  };

  const tree = (request, response, url, [name, revision, folder]) => {
    const files = find(request, response, name, revision, true);
    if (!files) return;
    const inside = Object.entries(files).filter(([path]) => folder === '' || path.startsWith(`${folder}/`));
    if (inside.length === 0 && folder !== '') return fail(response, 404, 'EntryNotFound');
    const entries = new Map();
    for (const [path, bytes] of inside) {
      const rest = path.slice(folder === '' ? 0 : folder.length + 1).split('/');
      for (let i = 1; i < rest.length; i++) {
        const directory = path.split('/').slice(0, -i).join('/');
        entries.set(directory, { type: 'directory', oid: hash('sha1', directory), size: 0, path: directory });
      }
      if (rest.length > 1 && url.searchParams.get('recursive') !== 'true') continue;
      const lfs = { oid: hash('sha256', bytes), size: bytes.length, pointerSize: 134 };
      entries.set(path, { type: 'file', oid: isLarge(path) ? hash('sha1', path) : gitOid(bytes), size: bytes.length, ...(isLarge(path) && { lfs, xetHash: lfs.oid }), path });
    }
    const all = [...entries.values()];
    const at = Number(url.searchParams.get('cursor') ?? 0);
    const next = new URL(url);
    next.searchParams.set('cursor', at + pageSize);
    const link = at + pageSize < all.length ? { link: `<${next.href}>; rel="next"` } : {};
    response.writeHead(200, { ...CORS, 'content-type': 'application/json', ...link }).end(JSON.stringify(all.slice(at, at + pageSize)));
  };

  const file = (request, response, [name, revision, path]) => {
    const files = find(request, response, name, revision, false);
    if (!files) return;
    if (!Object.hasOwn(files, path)) return fail(response, 404, 'EntryNotFound');
    if (!isLarge(path)) return sendBytes(request, response, files[path], { 'x-repo-commit': '0'.repeat(40) });
    const to = `${hub.files}/${hash('sha256', files[path])}?repo=${name}&path=${encodeURIComponent(path)}&revision=${revision}`;
    response.writeHead(302, { ...CORS, location: to, 'x-linked-size': files[path].length, 'x-linked-etag': `"${hash('sha256', files[path])}"` }).end();
  };

  hub.url = await listen(t, (request, response) => {
    if (request.method === 'OPTIONS') return response.writeHead(204, CORS).end();
    const url = new URL(request.url, hub.url);
    hub.asked.push({ path: request.url, headers: request.headers });
    if (hub.down) return response.destroy();
    const parts = url.pathname.split('/').slice(1).map(decodeURIComponent);
    if (parts[0] === 'api' && api) return tree(request, response, url, [parts.slice(2, 4).join('/'), parts[5], parts.slice(6).join('/')]);
    if (parts[2] === 'resolve') return file(request, response, [parts.slice(0, 2).join('/'), parts[3], parts.slice(4).join('/')]);
    fail(response, 404);
  });
  hub.files = await listen(t, (request, response) => {
    if (request.method === 'OPTIONS') return response.writeHead(204, CORS).end();
    const url = new URL(request.url, hub.files);
    hub.askedFiles.push({ path: request.url, headers: request.headers });
    if (hub.down) return response.destroy();
    if (request.headers.authorization) return fail(response, 400); // as stores of files with signed addresses do
    const { files, revisions } = repos[url.searchParams.get('repo')];
    const bytes = (revisions?.[url.searchParams.get('revision')] ?? files)[url.searchParams.get('path')];
    sendBytes(request, response, bytes);
  });
  return hub;
}

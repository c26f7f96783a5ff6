/* Builds the page into dist/, to be served from any path. In development it is served with the headers that threads need,
 * and the models of ../models under models/, as tools/serve.mjs does with the built page. */

import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { defineConfig, type Connect, type Plugin } from 'vite';

const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** Where models may come from beside the page's own server; Hugging Face forwards to hosts under hf.co. */
const MODEL_HOSTS = [
  'https://huggingface.co',
  'https://*.hf.co',
  'https://*.huggingface.co',
  'https://unpkg.com',
  'https://cdn.jsdelivr.net',
];

const policy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "style-src 'self' 'unsafe-inline'", // the waveform's shadow root
  "img-src 'self' data:",
  "media-src 'self' blob:",
  `connect-src 'self' ${MODEL_HOSTS.join(' ')}`,
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/** The content security policy, in the built page only: the development server needs inline scripts. */
function contentSecurityPolicy(): Plugin {
  return {
    name: 'content-security-policy',
    apply: 'build',
    transformIndexHtml: () => [
      { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: policy }, injectTo: 'head-prepend' },
    ],
  };
}

/** The style of the frame in the page itself, so that its first paint waits for nothing else. */
function inlineStyle(): Plugin {
  return {
    name: 'inline-style',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler: (html, { bundle = {} }) =>
        html.replace(/<link rel="stylesheet"[^>]*href="\.\/([^"]+)"[^>]*>/, (link, name: string) => {
          const file = bundle[name];
          if (file?.type !== 'asset') return link;
          delete bundle[name];
          return `<style>${String(file.source).trim()}</style>`;
        }),
    },
  };
}

/** dist/offline.js, the service worker, which knows what was built. */
function serviceWorker(): Plugin {
  return {
    name: 'service-worker',
    apply: 'build',
    enforce: 'post',
    generateBundle(_, bundle) {
      const built = Object.values(bundle);
      const hash = createHash('sha256');
      for (const file of built) hash.update(file.type === 'chunk' ? file.code : file.source);
      const names = built.map((file) => file.fileName);
      const small = names.filter((name) => !/\.(wasm|wav|gguf|bin|html)$/.test(name));
      const entry = built.find((file) => file.type === 'chunk' && file.isEntry)!.fileName;
      const constants: Record<string, unknown> = {
        __FILES__: ['./', ...readdirSync(join(import.meta.dirname, 'public')).filter((name) => !name.startsWith('_')), ...small], // _headers is the host's
        __ENTRY__: entry,
        __ENGINE__: names.filter((name) => /\.(wasm|wav|bin)$/.test(name)),
        __POLICY__: policy,
      };
      const template = readFileSync(join(import.meta.dirname, 'src/offline.js'), 'utf8');
      hash.update(template);
      const source = Object.entries(constants)
        .reduce((text, [name, value]) => text.replace(name, () => JSON.stringify(value)), template)
        .replace('__VERSION__', hash.digest('hex').slice(0, 12));
      this.emitFile({ type: 'asset', fileName: 'offline.js', source });
    },
  };
}

function localModels(): Plugin {
  const root = join(import.meta.dirname, '../models');
  const serve: Connect.NextHandleFunction = (request, response, next) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname));
    const file = join(root, path);
    const found = file.startsWith(`${root}/`) ? statSync(file, { throwIfNoEntry: false }) : undefined;
    if (!found?.isFile()) {
      response.statusCode = 404;
      return response.end();
    }
    response.writeHead(200, { ...isolation, 'Content-Type': 'application/octet-stream', 'Content-Length': found.size });
    if (request.method === 'HEAD') return response.end();
    createReadStream(file).on('error', next).pipe(response);
  };
  return { name: 'local-models', configureServer: ({ middlewares }) => void middlewares.use('/models', serve) };
}

export default defineConfig({
  base: './',
  plugins: [contentSecurityPolicy(), inlineStyle(), serviceWorker(), localModels()],
  server: { headers: isolation, fs: { allow: ['..'] } },
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    // The package apart from the page, which tests weigh.
    rolldownOptions: { output: { advancedChunks: { groups: [{ name: 'sotto', test: /\/js\/dist\// }] } } },
  },
});

/* The one place where the page meets the engine. (development stand-in until the package is built) */
export interface Token { id: number; text: string; p: number }
export interface Segment { start: number; end: number; text: string; tokens: Token[] }
export interface ModelEntry {
  id: string;
  label: string;
  group: 'many' | 'english' | 'other';
  file: string;
  bytes: number;
  sha256: string;
  languages: number; // 1: English only
  translates: boolean;
  urls: string[]; // to try in order
}

import manifest from '../../js/models.json';

/** Weights offered first, of each size; the rest are larger files for nearly the same text. */
const LEAN = /^q5/;

function entryOf(m: (typeof manifest.models)[number]): ModelEntry {
  const family = m.name.replace('Whisper ', '').replace('.en', '').replaceAll('-', ' ');
  const lean = LEAN.test(m.weights);
  const english = m.languages === 1;
  const bits = { f16: '16 bit', q8_0: '8 bit' }[m.weights];
  return {
    id: m.id,
    label: family[0]!.toUpperCase() + family.slice(1) + (lean ? '' : `${english ? ', English' : ''}, ${bits ?? m.weights}`),
    group: !lean ? 'other' : english ? 'english' : 'many',
    file: m.file,
    bytes: m.size_bytes,
    sha256: m.sha256,
    languages: m.languages,
    translates: !english && !m.id.includes('turbo'),
    urls: [new URL(`models/${m.file}`, document.baseURI).href],
  };
}

export const MODELS: ModelEntry[] = manifest.models.map(entryOf);
export type Model = { entry: ModelEntry } | { file: File };
export interface Progress { fraction: number; done: number }
export interface Request {
  language: string; translate: boolean; beamSize: number; timestamps: boolean; prompt: string;
  signal: AbortSignal; onProgress(p: Progress): void; onSegment(s: Segment): void;
}
export interface Engine {
  variant: string; threads: number; transcribe(samples: Float32Array<ArrayBuffer>, r: Request): Promise<{ language: string; probability: number }>;
  close(): void;
}
const wait = (ms: number, signal: AbortSignal) => new Promise<void>((ok, no) => {
  const t = setTimeout(ok, ms); signal.addEventListener('abort', () => { clearTimeout(t); no(signal.reason); });
});
export async function open(model: Model, signal: AbortSignal, onBytes: (l: number, t: number, from: 'network' | 'cache') => void): Promise<Engine> {
  const total = 'entry' in model ? model.entry.bytes : model.file.size;
  for (let i = 0; i <= 10; i++) { onBytes((total * i) / 10, total, 'network'); await wait(150, signal); }
  return {
    variant: 'relaxed SIMD', threads: crossOriginIsolated ? navigator.hardwareConcurrency : 1, 
    async transcribe(samples, r) {
      const said = ['And so, my fellow Americans,', 'ask not what your country can do for you,', 'ask what you can do for your country.'];
      const n = Math.max(3, Math.round(samples.length / 16000 / 4));
      const d = samples.length / 16000;
      for (let i = 0; i < n; i++) {
        for (let k = 0; k < 5; k++) { await wait(120, r.signal); r.onProgress({ fraction: (i + k / 5) / n, done: (i / n) * d }); }
        r.onSegment({ start: (d * i) / n, end: (d * (i + 1)) / n, text: ' ' + said[i % 3], tokens: [] });
      }
      return { language: 'en', probability: 0.98 };
    },
    close() {},
  };
}
export async function isStored(_entry: ModelEntry): Promise<boolean> { return false; }
export function write(format: string, _r: unknown): string { return format; }

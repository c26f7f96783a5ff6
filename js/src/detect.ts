// What this browser or Node can run, found out with tiny modules written out by hand:
//
//   SIMD ── relaxed SIMD, and right? ─┐
//   shared memory allowed here? ──────┴─> one of sotto-{simd,relaxed}-{threads,single}.wasm
//
// Relaxed SIMD is not only asked for but tried: some engines accept it and compute wrong sums.

const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const I32 = 0x7f;
const END = 0x0b;
const SIMD = 0xfd;
const ATOMIC = 0xfe;

const section = (id: number, bytes: number[]): number[] => [id, bytes.length, ...bytes];

/** A module with one function, exported as "f": (i32 x parameters) -> i32, and one page of memory if wanted. */
function tinyModule(parameters: number, code: number[], shared = false): Uint8Array<ArrayBuffer> {
  const body = [0x00, ...code, END];
  return new Uint8Array([
    ...MAGIC,
    ...section(1, [1, 0x60, parameters, ...Array(parameters).fill(I32), 1, I32]),
    ...section(3, [1, 0]),
    ...(shared ? section(5, [1, 0x03, 1, 1]) : []),
    ...section(7, [1, 1, 0x66, 0x00, 0]),
    ...section(10, [1, body.length, ...body]),
  ]);
}

const get = (i: number): number[] => [0x20, i];
const splat = [SIMD, 0x11]; // i32x4.splat
const lane0 = [SIMD, 0x1b, 0]; // i32x4.extract_lane 0
const dotAdd = [SIMD, 0x93, 0x02]; // i32x4.relaxed_dot_i8x16_i7x16_add_s

const simdProbe = (): Uint8Array<ArrayBuffer> => tinyModule(1, [...get(0), ...splat, SIMD, 0x62, ...lane0]); // i8x16.popcnt
const threadsProbe = (): Uint8Array<ArrayBuffer> => tinyModule(1, [...get(0), ATOMIC, 0x10, 2, 0], true); // i32.atomic.load

/** f(a, b, c) = lane 0 of dot(a, b, dot(b', a, c)) with b' = b: sums of four products of bytes, twice. */
const relaxedProbe = (): Uint8Array<ArrayBuffer> =>
  tinyModule(3, [
    ...[...get(0), ...splat, ...get(1), ...splat],
    ...[...get(0), ...splat, ...get(1), ...splat, ...get(2), ...splat, ...dotAdd],
    ...[...dotAdd, ...lane0],
  ]);

function relaxedSimdIsRight(): boolean {
  const probe = relaxedProbe();
  if (!WebAssembly.validate(probe)) return false;
  const f = new WebAssembly.Instance(new WebAssembly.Module(probe)).exports['f'] as (
    a: number,
    b: number,
    c: number,
  ) => number;
  const pack = (bytes: number[]): number => bytes.reduce((word, byte, i) => word | ((byte & 255) << (8 * i)), 0);
  const cases: [number[], number[], number][] = [
    [[1, 2, 3, 4], [5, 6, 7, 8], 9],
    [[-128, -128, -128, -128], [127, 127, 127, 127], 1],
    [[127, 127, 127, 127], [127, 127, 127, 127], -70000],
    [[-1, 100, -100, 50], [0, 127, 1, 15], 1 << 20],
    [[-8, 7, -8, 7], [15, 0, 15, 8], -3],
  ];
  return cases.every(([a, b, c]) => f(pack(a), pack(b), c) === c + 2 * a.reduce((sum, x, i) => sum + x * b[i], 0));
}

export interface Features {
  simd: boolean;
  /** Supported, and computing what the kernels rely on. */
  relaxedSimd: boolean;
  threads: boolean;
  /** Why `threads` is false, in words for the person who can change it. */
  whySingle?: string;
}

function whySingle(): string | undefined {
  if ((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === false) {
    return (
      'this page is not cross-origin isolated; send it with the headers "Cross-Origin-Opener-Policy: same-origin" and ' +
      '"Cross-Origin-Embedder-Policy: require-corp" to use several threads'
    );
  }
  if (typeof SharedArrayBuffer === 'undefined') return 'SharedArrayBuffer is not available here';
  if (!WebAssembly.validate(threadsProbe())) return 'this WebAssembly engine has no threads';
  return undefined;
}

let found: Features | undefined;

/** Finds out once what can run here. */
export function detect(): Features {
  if (!found) {
    if (typeof WebAssembly === 'undefined')
      return { simd: false, relaxedSimd: false, threads: false, whySingle: 'WebAssembly is not available here' };
    const simd = WebAssembly.validate(simdProbe());
    const why = whySingle();
    found = { simd, relaxedSimd: simd && relaxedSimdIsRight(), threads: why === undefined, whySingle: why };
  }
  return found;
}

export type Variant = 'simd-single' | 'simd-threads' | 'relaxed-single' | 'relaxed-threads';
export const VARIANTS: readonly Variant[] = ['simd-single', 'simd-threads', 'relaxed-single', 'relaxed-threads'];

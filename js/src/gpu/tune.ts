// Which way of multiplying many rows is best on a GPU: measured once, by one product of middling size, and noted for the
// next time. Products of packed bytes are a way for some types of weights alone: whether they are faster than the best of the
// others is told by itself.
//
//   ways that it has ──only one──> that one
//                    └─noted before? ─> the note
//                    └─each compiled and played once, then for a few ms ─> the fastest, noted
import type { Notes } from '../platform.js';
import type { Sources } from './compose.ts';
import { MANY_F16, MANY_F32, MANY_MATRIX, MANY_PACKED, nameOf, TRAIT, type OpenedDevice } from './device.ts';
import { Health } from './health.ts';
import { Player } from './player.ts';

/** A way, as gpu_linear_many.c records it. */
interface Way {
  path: number;
  /** The product's kernel. */
  kernel: string;
  /** Rows and columns of results of a workgroup. */
  tile: [number, number];
  /** What x is made first. */
  prepared?: 'half' | 'bytes' | undefined;
}

/** The product that is measured: x [n, IN] by a weight [OUT, IN]; few rows where even these take a while. */
const MANY_ROWS = 512;
const FEW_ROWS = 64;
const A_WHILE_MS = 3;
const IN = 1024;
const OUT = 2048;
/** Of a row that was made f16, in units of 8 bytes: gpu_linear_many.c. */
const HALF_STRIDE = IN / 4 + 2;
/** Of a row in bytes, in units of 16: linear_many_bytes.wgsl. */
const BYTES_STRIDE = IN / 8 + IN / 128;
/** How long a way is measured, about; products are played at most so often. */
const MEASURE_MS = 8;
const MOST_REPEATS = 64;

/** Ways that a device has, the plainest first, with tiles that gpu_linear_many.c chooses for such a product. */
function waysOf({ traits }: OpenedDevice): Way[] {
  const rolled = `rolled=${traits[TRAIT.software]}`;
  const plain = `linear_many path=f32 bm=64 bn=64 tm=8 tn=4 ${rolled}`;
  const ways: Way[] = [{ path: MANY_F32, kernel: plain, tile: [64, 64] }];
  if (traits[TRAIT.packedDot]) {
    const bytes = `linear_many_packed ${rolled} bm=64 bn=128 tm=4 tn=8`;
    ways.push({ path: MANY_PACKED, kernel: bytes, tile: [64, 128], prepared: 'bytes' });
  }
  if (!traits[TRAIT.f16]) return ways;
  const halves = `linear_many path=f16 bm=128 bn=64 tm=8 tn=4 ${rolled}`;
  ways.push({ path: MANY_F16, kernel: halves, tile: [128, 64], prepared: 'half' });
  const lanes = traits[TRAIT.subgroupMax];
  if (traits[TRAIT.matrix] && traits[TRAIT.subgroupMin] === lanes && 4 * lanes <= traits[TRAIT.maxInvocations]) {
    const large = traits[TRAIT.maxWorkgroupBytes] >= 28 << 10;
    const tile = large ? 'bm=128 bn=64 fm=4 fn=2 step=64' : 'bm=64 bn=64 fm=2 fn=2 step=32';
    const kernel = `linear_many_matrix ${tile} subgroup=${lanes}`;
    ways.push({ path: MANY_MATRIX, kernel, tile: [large ? 128 : 64, 64], prepared: 'half' });
  }
  return ways;
}

/** Sets traits.many_path and traits.packed_dot. */
export async function tune(opened: OpenedDevice, sources: Sources, version: string, notes: Notes): Promise<void> {
  const ways = waysOf(opened);
  const { about, traits } = opened;
  const choose = (path: number, packed: boolean): void => {
    traits[TRAIT.manyPath] = path;
    traits[TRAIT.packedDot] = Number(packed);
  };
  if (ways.length === 1 || about.software) return choose(ways[0].path, false);
  const key = `gpu ${nameOf(about)}`;
  const canPack = ways.some(({ path }) => path === MANY_PACKED);
  const made = [version, ...about.features, ...(canPack ? ['packed-dot'] : [])].join(' ');
  const noted = parse(await notes.read(key));
  const known = ways.some(({ path }) => path !== MANY_PACKED && path === noted?.path);
  if (noted?.made === made && known) return choose(noted.path, canPack && noted.packed === true);
  const times = await measure(opened, sources, ways);
  const timeOf = (way: Way): number => times[ways.indexOf(way)];
  const best = ways.filter(({ path }) => path !== MANY_PACKED).reduce((a, b) => (timeOf(b) < timeOf(a) ? b : a));
  choose(best.path, ways.some((way) => way.path === MANY_PACKED && timeOf(way) < timeOf(best)));
  const [path, packed] = [best.path, traits[TRAIT.packedDot] === 1];
  if (opened.health.sound) await notes.write(key, JSON.stringify({ made, path, packed, times }));
}

function parse(note: string | undefined): { made: string; path: number; packed?: unknown } | undefined {
  try {
    return note === undefined ? undefined : JSON.parse(note);
  } catch {
    return undefined; // cut off: measured anew
  }
}

/** ms of a product, of each way; Infinity where the driver does not take its kernels. */
async function measure(opened: OpenedDevice, sources: Sources, ways: readonly Way[]): Promise<number[]> {
  const times: number[] = [];
  let n = MANY_ROWS;
  for (const way of ways) {
    // With a health of its own: a way that is refused says nothing of the others.
    const player = new Player({ ...opened, health: new Health(), close: () => {} }, { sources, profile: true });
    await player.kernels.prepare(kernelsOf(way));
    if (way === ways[0] && (await timeOf(player, makeProduct(player, way, FEW_ROWS))) > A_WHILE_MS) n = FEW_ROWS;
    times.push(player.health.sound ? await timeOf(player, makeProduct(player, way, n)) : Infinity);
    await player.close();
  }
  return times;
}

async function timeOf(player: Player, product: readonly number[]): Promise<number> {
  await timed(player, product, 1); // now the GPU is awake
  const once = await timed(player, product, 1);
  const repeats = Math.min(MOST_REPEATS, Math.floor(MEASURE_MS / Math.max(once, 1e-3)));
  return repeats > 1 ? (await timed(player, product, repeats)) / repeats : once;
}

/** ms of so many products: by the GPU's clock where it can be read, as some browsers are slow to tell that work is done. */
async function timed(player: Player, product: readonly number[], repeats: number): Promise<number> {
  const total = async (): Promise<number> => (await player.profile())!.rows.reduce((sum, { ms }) => sum + ms, 0);
  const before = await total();
  const start = performance.now();
  player.play(Uint32Array.from(new Array(repeats).fill(product).flat()), new Uint32Array(0));
  await player.finished();
  const wall = performance.now() - start;
  return (await total()) - before || wall;
}

/** What prepares x, where something does, and the product. */
const PREPARATIONS = { half: 'linear_many_half threads=128 deep=2', bytes: 'linear_many_bytes' } as const;
const kernelsOf = ({ kernel, prepared }: Way): string[] => [
  ...(prepared ? [PREPARATIONS[prepared]] : []),
  `${kernel} type0=q4_0 bias=0 act=none res=0`,
];

/** The records of one product, with buffers of its own. */
function makeProduct(player: Player, way: Way, n: number): number[] {
  const [rows, cols] = way.tile;
  const stride = way.prepared === 'bytes' ? BYTES_STRIDE : HALF_STRIDE;
  const act = player.openBuffer(4 * n * (IN + OUT));
  const quants = (OUT * IN) / 2; // bytes of q4_0, then of their scales
  const scales = (OUT * IN) / 16;
  const weight = player.openBuffer(quants + scales);
  const prepared = player.openBuffer((way.prepared === 'bytes' ? 16 : 8) * n * stride);
  const tiles = Math.ceil(n / rows);
  const record = (name: string, groups: number, params: number[], bindings: number[][]): number[] => [
    ...[player.kernels.id(name), groups, 1, 1, params.length, bindings.length],
    ...[...params, ...bindings.flat()],
  ];
  const inAct = [1, act, 0, 0];
  const inPrepared = [12, prepared, 0, 0];
  const preparation = {
    half: () => record(PREPARATIONS.half, n, [n, IN, 0, IN, stride], [inAct, inPrepared]),
    bytes: () => record(PREPARATIONS.bytes, (n * IN) / 32 / 64, [n, IN, 0, IN, 4 * stride, IN / 32], [inAct, inPrepared]),
  };
  return [
    ...(way.prepared ? preparation[way.prepared]() : []),
    ...record(
      kernelsOf(way).at(-1)!,
      tiles * Math.ceil(OUT / cols),
      [n, OUT, IN, 0, IN, n * IN, OUT, 0, 0, 0, tiles, stride],
      [inAct, [4, weight, 0, quants], [5, weight, quants / 256, scales], ...(way.prepared ? [inPrepared] : [])],
    ),
  ];
}

// linear_many by its parameters, as gpu_linear_many.c records it.

/** Quads of the rows that linear_many_half makes. */
export const halfStride = (cols) => Math.ceil(cols / 64) * 16 + 2;

/** Units of 16 bytes of the rows that linear_many_bytes makes. */
export const packedStride = (cols) => 4 * (cols / 32) + Math.ceil(cols / 128);

/** How rows of f16 are shared out, as a variant's keys. */
export function rowShare(cols) {
  const quads = halfStride(cols) - 2;
  const threads = quads <= 128 ? 64 : quads <= 512 ? 128 : 256;
  return `threads=${threads} deep=${Math.min(8, Math.ceil(quads / threads))}`;
}

/** The tile of a variant: "bm=64 bn=32 ..." -> [64, 32]. */
export const tileOf = (variant) => ['bm', 'bn'].map((key) => Number(new RegExp(`${key}=(\\d+)`).exec(variant)[1]));

/**
 * A dispatch of linear_many, after linear_many_half or linear_many_bytes where x is prepared. `variant`: its tile and path. memory (act) and vec: arrays or buffers.
 * Returns act as it is afterwards; with `repeat`, { ms, prepare } instead: of one dispatch, and of its preparation.
 */
export async function manyLinear(gpu, variant, o) {
  const [bm, bn] = tileOf(variant);
  const tiles = Math.ceil(o.n / bm);
  const half = /path=(f16|matrix)/.test(variant);
  const packed = /path=packed/.test(variant);
  const stride = packed ? packedStride(o.in) : halfStride(o.in);
  const name = /path=matrix/.test(variant) ? 'linear_many_matrix' : packed ? `linear_many_packed rolled=${gpu.software}` : `linear_many rolled=${gpu.software}`;
  const bindings = {
    1: o.memory instanceof Float32Array ? { act: o.memory } : o.memory,
    2: o.vec instanceof Float32Array ? { vec: o.vec } : o.vec,
    4: o.weight.quants instanceof Uint32Array ? { quants: o.weight.quants } : o.weight.quants,
    5: o.weight.scales instanceof Uint32Array ? { scales: o.weight.scales } : o.weight.scales,
  };
  let prepare = 0;
  if (half) {
    bindings[12] = gpu.buffer(new Uint32Array(o.n * stride * 2));
    const made = await gpu.run(`linear_many_half ${rowShare(o.in)}`, { params: [o.n, o.in, o.x, o.stride, stride], bindings, grid: [o.n, 1, 1], repeat: o.repeat });
    prepare = made.ms;
  }
  if (packed) {
    const blocks = o.in / 32;
    bindings[12] = gpu.buffer(new Uint32Array(o.n * stride * 4));
    const params = [o.n, o.in, o.x, o.stride, 4 * stride, blocks];
    prepare = (await gpu.run('linear_many_bytes', { params, bindings, grid: [Math.ceil((o.n * blocks) / 64), 1, 1], repeat: o.repeat })).ms;
  }
  const { act, ms } = await gpu.run(`${name} ${variant} type0=${o.type} bias=${o.bias >= 0 ? 1 : 0} act=${o.act} res=${o.res}`, {
    params: [o.n, o.out, o.in, o.x, o.stride, o.y, o.yStride, Math.max(0, o.bias), o.resAt ?? 0, o.resStride ?? 0, tiles, stride],
    bindings,
    grid: [tiles * Math.ceil(o.out / bn), 1, 1],
    repeat: o.repeat,
  });
  bindings[12]?.destroy();
  return o.repeat ? { ms, prepare } : act;
}

// Numbers of $from to f16 or bf16 ($to), to nearest even. An invocation reads 16 bytes. A value of LIMIT or more sets the status.
struct Params {
  n: u32, // elements; those behind them, to the end of 16 bytes, are 0
  cols: u32, first: u32, // not used here
  zero: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> blocks: array<u32>;
@group(0) @binding(3) var<storage, read_write> status: array<atomic<u32>>;

#include quantize_bits

fn two(low: u32, high: u32) -> u32 {
  if (max(low & SIZE, high & SIZE) >= LIMIT) { atomicOr(&status[0], 1u); }
#if to == f16
  return to_half(low) | (to_half(high) << 16);
#else
  return to_bfloat(low) | (to_bfloat(high) << 16);
#endif
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
#if from == f32
  if (4 * id.x >= p.n) { return; }
  let unit = source[id.x];
  blocks[2 * id.x] = two(unit.x, unit.y);
  blocks[2 * id.x + 1] = two(unit.z, unit.w);
#else
  if (8 * id.x >= p.n) { return; }
  let unit = source[id.x];
#for i 4
#if from == f16
  blocks[4 * id.x + $i] = two(from_half(unit[$i] & 0xffffu), from_half(unit[$i] >> 16));
#else
  blocks[4 * id.x + $i] = two(unit[$i] << 16, unit[$i] & 0xffff0000u);
#endif
#endfor
#endif
}

// y[i] = cos(pos[i] * frequencies), sin(pos[i] * frequencies): [n, 2 * half].  own=1: the frequencies lie in act.
//
// The built-in functions are good for small angles only, and those here reach 100000. The angle's turns are taken in whole numbers, which no compiler
// rearranges: with the angle = m / 2^s, m of 24 bits,
//
//     m * (2^64 / 2 pi) >> s = turns * 2^64, of which the 32 bits below the point count
//
// and what is left of a quarter turn goes through polynomials.
struct Params { n: u32, half: u32, y: u32, y_stride: u32, frequencies: u32, pos: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
#if own
#let from act
#else
#let from vec
@group(0) @binding(2) var<storage, read> vec: array<f32>;
#endif
@group(0) @binding(3) var<storage, read> ints: array<i32>;

// 2^64 / (2 pi)
const HIGH = 0x28be60dbu;
const LOW = 0x9391054au;

// a * b: low word, high word.
fn multiply(a: u32, b: u32) -> vec2<u32> {
  let a0 = a & 0xffffu;
  let a1 = a >> 16u;
  let b0 = b & 0xffffu;
  let b1 = b >> 16u;
  let middle = a1 * b0 + ((a0 * b0) >> 16u); // at most 2^32 - 2^16
  let carried = (middle & 0xffffu) + a0 * b1;
  return vec2<u32>(a * b, a1 * b1 + (middle >> 16u) + (carried >> 16u));
}

// The part of a turn that angle is, in 2^-32; angle in [0, 2^24).
fn turns(angle: f32) -> u32 {
  let bits = bitcast<u32>(angle);
  let m = (bits & 0x7fffffu) | 0x800000u;
  let s = 150u - (bits >> 23u); // the angle is m * 2^-s
  if (s > 63u) { return 0u; }
  let low = multiply(m, LOW);
  let high = multiply(m, HIGH);
  let middle = high.x + low.y;
  let top = high.y + select(0u, 1u, middle < high.x);
  // Bits [32 + s, 64 + s) of top, middle.
  if (s >= 32u) { return top >> (s - 32u); }
  return select(middle, (middle >> s) | (top << (32u - s)), s > 0u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
  let index = (wid.x + wid.y * groups.x) * 64u + thread;
  let row = index / p.half;
  if (row >= p.n) { return; }
  let i = index % p.half;
  let turned = turns(f32(ints[p.pos + row]) * $from[p.frequencies + i]);
  let quarter = (turned + 0x20000000u) >> 30u;
  let r = f32(bitcast<i32>(turned - (quarter << 30u))) * 1.4629180792671596e-9; // 2 pi / 2^32: within an eighth of a turn
  let r2 = r * r;
  let sine = r + r * r2 * (-1.6666654611e-1 + r2 * (8.3321608736e-3 + r2 * -1.9515295891e-4));
  let cosine = 1.0 - 0.5 * r2 + r2 * r2 * (4.166664568298827e-2 + r2 * (-1.388731625493765e-3 + r2 * 2.443315711809948e-5));
  let y = p.y + row * p.y_stride + i;
  let swapped = (quarter & 1u) == 1u;
  act[y] = select(cosine, sine, swapped) * select(1.0, -1.0, quarter == 1u || quarter == 2u);
  act[y + p.half] = select(sine, cosine, swapped) * select(1.0, -1.0, quarter >= 2u);
}

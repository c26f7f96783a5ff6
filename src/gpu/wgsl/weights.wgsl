// A weight [out, in] of $type, number $w: #include weights w=0 type=q4_0. All names begin with w0_, w1_ ...
//
// A row is read in units of 16 bytes of quants, of quads of 4 elements each:
//
//     let u = w0_unit(row, unit, in_);                          loads
//     w0_floats(u, k) * w0_scale(u, k) + w0_offset(u)           quad k of it, k < w0_quads; elements (unit * w0_quads + k) * 4 ... + 3
//
// or u = w0_next(u) and quad 0, or a quad at a time with w0_quad. gpu_weight.c packs rows so; b is the index of a block of 32 elements in the whole part, s = b / 8 that of a
// k-quant's block of 256, and scales are f16 where nothing else is said:
//
//              quants, 16 bytes each               scales, in words
//     f32      4 elements                           -
//     f16 bf16 8 elements                           -                    rows of dense types are padded with zeros to 16 bytes
//     q8_0     16 elements + 128                    d of b and b + 1
//     q4_0     b                                    d of b and b + 1
//     q4_1     b                                    d, m
//     q5_0     b                                    high of b, high of b + 1, d of both
//     q5_1     b                                    high, then d, m
//     q4_K     b                                    5 of s: d, m; then of each b 6 bits each of scale and minimum, in two bytes
//     q5_K     b                                    13 of s: those of q4_K; high of 8 b
//     q6_K     b                                    21 of s: d, 0; then of each b two signed scales of 16 elements; two words of high of 8 b
//
// Word k of a unit of b has the low nibbles of quad k and the upper ones of quad k + 4. What is above the nibble of quad k, byte j: bit k of byte j
// of high; with two bits each they are 2 (k % 4) and the next, of word k / 4.
#if w == 0
@group(0) @binding(4) var<storage, read> w0_quants: array<vec4<u32>>;
#elif w == 1
@group(0) @binding(6) var<storage, read> w1_quants: array<vec4<u32>>;
#else
@group(0) @binding(8) var<storage, read> w2_quants: array<vec4<u32>>;
#endif
#if type != f32 && type != f16 && type != bf16
#if w == 0
@group(0) @binding(5) var<storage, read> w0_scales: array<u32>;
#elif w == 1
@group(0) @binding(7) var<storage, read> w1_scales: array<u32>;
#else
@group(0) @binding(9) var<storage, read> w2_scales: array<u32>;
#endif
#endif

#if type == f32
const w${w}_quads = 1u;
#elif type == f16 || type == bf16
const w${w}_quads = 2u;
#elif type == q8_0
const w${w}_quads = 4u;
#else
const w${w}_quads = 8u;
#endif

struct w${w}_Unit {
  quants: vec4<u32>,
#if type == q5_0 || type == q5_1 || type == q5_K
  high: u32,
#elif type == q6_K
  high: vec2<u32>,
  scales: vec2<f32>,
#endif
#if type != f32 && type != f16 && type != bf16
  scale: f32,
  offset: f32,
#endif
}

// Units of a row; the last one of a dense row may go past its end, with zeros.
fn w${w}_units(in_: u32) -> u32 {
  return (in_ + 4 * w${w}_quads - 1) / (4 * w${w}_quads);
}

fn w${w}_unit(row: u32, unit: u32, in_: u32) -> w${w}_Unit {
  var u: w${w}_Unit;
  let at = row * w${w}_units(in_) + unit;
  u.quants = w${w}_quants[at];
#if type == q8_0
  let d = unpack2x16float(w${w}_scales[at >> 2]);
  u.scale = select(d.x, d.y, (at & 2) != 0);
#elif type == q4_0
  let d = unpack2x16float(w${w}_scales[at >> 1]);
  u.scale = select(d.x, d.y, (at & 1) != 0);
#elif type == q4_1
  let d = unpack2x16float(w${w}_scales[at]);
  u.scale = d.x;
  u.offset = d.y;
#elif type == q5_0
  let pair = (at >> 1) * 3;
  u.high = w${w}_scales[pair + (at & 1)];
  let d = unpack2x16float(w${w}_scales[pair + 2]);
  u.scale = select(d.x, d.y, (at & 1) != 0);
#elif type == q5_1
  u.high = w${w}_scales[2 * at];
  let d = unpack2x16float(w${w}_scales[2 * at + 1]);
  u.scale = d.x;
  u.offset = d.y;
#elif type == q4_K || type == q5_K
#if type == q4_K
  let first = (at >> 3) * 5;
#else
  let first = (at >> 3) * 13;
  u.high = w${w}_scales[first + 5 + (at & 7)];
#endif
  let d = unpack2x16float(w${w}_scales[first]);
  let both = w${w}_scales[first + 1 + ((at & 7) >> 1)] >> (16 * (at & 1));
  u.scale = d.x * f32(both & 63);
  u.offset = -(d.y * f32((both >> 8) & 63));
#elif type == q6_K
  let first = (at >> 3) * 21;
  let word = first + 5 + 2 * (at & 7);
  u.high = vec2<u32>(w${w}_scales[word], w${w}_scales[word + 1]);
  let d = unpack2x16float(w${w}_scales[first]).x;
  let both = bitcast<i32>(w${w}_scales[first + 1 + ((at & 7) >> 1)] << (16 - 16 * (at & 1)));
  u.scales = d * vec2<f32>(vec2<i32>((both << 8) >> 24, both >> 24));
#endif
  return u;
}

// The integers of quad k, as floats; the elements themselves where the type is dense.
fn w${w}_floats(u: w${w}_Unit, k: u32) -> vec4<f32> {
#if type == f32
  return bitcast<vec4<f32>>(u.quants);
#elif type == f16
  return vec4<f32>(unpack2x16float(u.quants[2 * k]), unpack2x16float(u.quants[2 * k + 1]));
#elif type == bf16
  let v = u.quants.xxyy << vec4<u32>(16, 0, 16, 0);
  let last = u.quants.zzww << vec4<u32>(16, 0, 16, 0);
  return bitcast<vec4<f32>>(select(v, last, k == 1) & vec4<u32>(0xffff0000));
#else
#if type == q8_0
  let v = u.quants[k];
#elif type == q4_0 || type == q4_1 || type == q4_K
  let v = (u.quants[k & 3] >> (k & 4)) & 0x0f0f0f0f;
#elif type == q5_0 || type == q5_1 || type == q5_K
  let v = ((u.quants[k & 3] >> (k & 4)) & 0x0f0f0f0f) | (((u.high >> k) & 0x01010101) << 4);
#else
  let high = select(u.high.x, u.high.y, k >= 4);
  let v = ((u.quants[k & 3] >> (k & 4)) & 0x0f0f0f0f) | (((high >> (2 * (k & 3))) & 0x03030303) << 4);
#endif
#if type == q8_0
  const zero = 128.0;
#elif type == q4_0
  const zero = 8.0;
#elif type == q5_0
  const zero = 16.0;
#elif type == q6_K
  const zero = 32.0;
#else
  const zero = 0.0;
#endif
  // A byte becomes a float as the low bits of 2^23, or from 8 bits further up of 2^15: cheaper than to convert it, and exact.
  let bytes = vec4<u32>(v, v, v >> 16, v >> 16) & vec4<u32>(0xff, 0xff00, 0xff, 0xff00);
  return bitcast<vec4<f32>>(bytes | vec4<u32>(0x4b000000, 0x47000000, 0x4b000000, 0x47000000)) -
      vec4<f32>(8388608.0 + zero, 32768.0 + zero, 8388608.0 + zero, 32768.0 + zero);
#endif
}

// A unit whose quad k is quad k + 1 of u: for k < 3 and 4 <= k < 7, in loops that a compiler keeps.
fn w${w}_next(u: w${w}_Unit) -> w${w}_Unit {
  var next = u;
#if type == f16 || type == bf16
  next.quants = u.quants.zwxy;
#else
  next.quants = u.quants.yzwx;
#endif
#if type == q5_0 || type == q5_1 || type == q5_K
  next.high = u.high >> 1;
#elif type == q6_K
  next.high = u.high >> vec2<u32>(2);
#endif
  return next;
}

#if type != f32 && type != f16 && type != bf16
fn w${w}_scale(u: w${w}_Unit, k: u32) -> f32 {
#if type == q6_K
  return select(u.scales.x, u.scales.y, k >= 4);
#else
  return u.scale;
#endif
}

fn w${w}_offset(u: w${w}_Unit) -> f32 {
#if type == q4_1 || type == q5_1 || type == q4_K || type == q5_K
  return u.offset;
#else
  return 0.0;
#endif
}
#endif

// Elements [32 * block + 4 * i, + 4) of a row of in_ elements, i < 8; zeros past its end.
fn w${w}_quad(row: u32, block: u32, i: u32, in_: u32) -> vec4<f32> {
  if (32 * block + 4 * i >= in_) { return vec4<f32>(); }
  let quad = 8 * block + i;
  let u = w${w}_unit(row, quad / w${w}_quads, in_);
#if type == f32 || type == f16 || type == bf16
  return w${w}_floats(u, quad % w${w}_quads);
#else
  let k = quad % w${w}_quads;
  return w${w}_floats(u, k) * w${w}_scale(u, k) + w${w}_offset(u);
#endif
}

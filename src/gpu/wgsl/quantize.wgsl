// Rows of $from to blocks of 32 elements with one scale: $to is q4_0, q4_1, q5_0, q5_1 or q8_0; the same bytes as src/quant/quant_legacy.c.
//
//   d = largest / -8, -16 (q4_0, q5_0), |largest| / 127 (q8_0), (max - min) / 15, 31 (q4_1, q5_1)
//   q = (x - min) * (1 / d), rounded as there
//
// An invocation a block, 64 blocks a workgroup. A block's bytes are an even number: it is written as halves of words into workgroup memory, from
// where whole words go out.
struct Params {
  n: u32,    // elements, a multiple of 32
  cols: u32, first: u32, // not used here
  zero: u32, // 0
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> blocks: array<u32>;
@group(0) @binding(3) var<storage, read_write> status: array<atomic<u32>>;

#let threads 64
#let wide 1
#if to == q4_0
#let head 1
#let halves 9
const DIVISOR = 8.0;
const BIAS = 8.5;
const TOP = 15.0;
#elif to == q4_1
#let head 2
#let halves 10
const DIVISOR = 15.0;
const BIAS = 0.5;
const TOP = 15.0;
#elif to == q5_0
#let head 3
#let halves 11
const DIVISOR = 16.0;
const BIAS = 16.5;
const TOP = 31.0;
#elif to == q5_1
#let head 4
#let halves 12
const DIVISOR = 31.0;
const BIAS = 0.5;
const TOP = 31.0;
#else
#let head 1
#let halves 17
const DIVISOR = 127.0;
#endif

var<workgroup> tile: array<u32, 64 * 33>;
var<workgroup> out: array<u32, 64 * $halves>; // 16 bits each

fn put(at: u32, bits: u32) { tile[at] = bits; }

#include quantize_bits
#include quantize_tile

// What integers are made with: elements in the tile and their least one 2^up as large, the inverse of the scale by so much smaller.
struct Scale {
  up: i32,
  offset: f32,
  inverse: f32,
  endless: bool, // 1 / d is infinite
}

// 1 / d, of a d that is not negative; 0 of 0.
fn set_inverse(s: ptr<function, Scale>, d: u32) {
  (*s).endless = d != 0u && d <= 1u << 21; // 2^-128
  if (d == 0u) {
    (*s).inverse = 0.0;
  } else if ((*s).endless) {
    (*s).inverse = 0x1p100f; // no product is so small that it would not leave the range
  } else {
    (*s).inverse = bitcast<f32>(quotient(bitcast<u32>(1.0f), d, (*s).up));
  }
}

// Lifts 32 elements from `at` on, whose largest magnitude this is, where they are small.
fn lift(at: u32, largest: u32) -> i32 {
  if (largest >= SMALL) { return 0; }
  for (var j = 0u; j < 32 + p.zero; j++) { tile[at + j] = lifted(tile[at + j]); }
  return UP;
}

fn scaled(at: u32, s: Scale) -> f32 {
  let x = bitcast<f32>(tile[at]);
#if to == q4_1 || to == q5_1
  return rounded(rounded(x - s.offset) * s.inverse);
#else
  return rounded(x * s.inverse);
#endif
}

#if to == q8_0
// Away from zero where it is in the middle, as C rounds; a byte. What infinity makes of 0 is the least integer.
fn level(at: u32, s: Scale) -> u32 {
  let x = clamp(scaled(at, s), -127.0, 127.0);
  if (s.endless && x == 0.0) { return 0x81u; }
  let size = abs(x);
  let whole = u32(size);
  let q = whole + select(0u, 1u, size - f32(whole) >= 0.5);
  return select(q, 0u - q, x < 0.0) & 0xffu;
}
#else
fn level(at: u32, s: Scale) -> u32 {
  let biased = scaled(at, s) + select(BIAS, 0.0, s.endless);
  return u32(clamp(biased, 0.0, TOP));
}
#endif

#if to == q4_1 || to == q5_1
// Of the same order as the numbers; both zeros are equal.
fn key_of(bits: u32) -> i32 {
  let size = i32(bits & SIZE);
  return select(size, -size, bits >= SIGN);
}

fn scale_of(from_: u32, to_: u32) -> Scale {
  var low = 0x7f7fffffu;
  var high = 0xff7fffffu;
  for (var j = 0u; j < 32 + p.zero; j++) {
    let b = tile[from_ + j];
    if (key_of(b) < key_of(low)) { low = b; }
    if (key_of(b) > key_of(high)) { high = b; }
  }
  var s: Scale;
  s.up = lift(from_, max(low & SIZE, high & SIZE));
  s.offset = bitcast<f32>(select(low, lifted(low), s.up == UP));
  let top = bitcast<f32>(select(high, lifted(high), s.up == UP));
  let range = bitcast<u32>(rounded(top - s.offset)) & SIZE;
  let d = quotient(range, bitcast<u32>(DIVISOR), s.up);
  set_inverse(&s, d);
  out[to_] = to_half(d);
  out[to_ + 1] = to_half(low);
  return s;
}
#else
fn scale_of(from_: u32, to_: u32) -> Scale {
  var largest = 0u;
  for (var j = 0u; j < 32 + p.zero; j++) {
    let b = tile[from_ + j];
    if ((b & SIZE) > (largest & SIZE)) { largest = b; }
  }
  var s: Scale;
  s.up = lift(from_, largest & SIZE);
  let size = select(largest, lifted(largest), s.up == UP) & SIZE;
  let d = quotient(size, bitcast<u32>(DIVISOR), s.up);
  set_inverse(&s, d);
#if to == q8_0
  out[to_] = to_half(d);
#else
  let sign = ~largest & SIGN; // the largest gets the least integer
  s.inverse = bitcast<f32>(bitcast<u32>(s.inverse) | sign);
  out[to_] = to_half(d | sign);
#endif
  return s;
}
#endif

fn quantize(from_: u32, to_: u32) {
  let s = scale_of(from_, to_);
#if to == q8_0
  for (var k = 0u; k < 16 + p.zero; k++) {
    out[to_ + 1 + k] = level(from_ + 2 * k, s) | (level(from_ + 2 * k + 1, s) << 8);
  }
#else
  var fifth = 0u;
  for (var k = 0u; k < 8 + p.zero; k++) {
    let a = level(from_ + 2 * k, s);
    let b = level(from_ + 2 * k + 1, s);
    let c = level(from_ + 2 * k + 16, s);
    let d = level(from_ + 2 * k + 17, s);
    out[to_ + $head + k] = (a & 15) | ((c & 15) << 4) | ((b & 15) << 8) | ((d & 15) << 12);
    fifth |= ((a >> 4) | ((b >> 4) << 1) | ((c >> 4) << 16) | ((d >> 4) << 17)) << (2 * k);
  }
#if to == q5_0 || to == q5_1
  out[to_ + $head - 2] = fifth & 0xffffu;
  out[to_ + $head - 1] = fifth >> 16;
#endif
#endif
}

@compute @workgroup_size($threads)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  read_tile(wid.x * TILE, thread);
  workgroupBarrier();
  quantize(thread * RUN, thread * $halves);
  workgroupBarrier();
  let words = (p.n / 32 * $halves + 1) / 2; // of all blocks
  let first = wid.x * 32 * $halves;
  for (var i = thread; i < 32 * $halves; i += $threads) {
    if (first + i < words) { blocks[first + i] = out[2 * i] | (out[2 * i + 1] << 16); }
  }
}

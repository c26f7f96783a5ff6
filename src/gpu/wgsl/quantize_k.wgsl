// Rows of $from to blocks of 256 elements: $to is q4_K, q5_K or q6_K. Sub-blocks of 32 (q6_K: 16) elements have scales, and but for q6_K minima, that are
// integers too; src/quant/quant_k.c has the layout. Which scales are best is searched for: quantize_k_search.wgsl.
//
//   tile: x, and how much its error weighs ─> scale, minimum of each sub-block ─> d, dmin of the block ─> their integers ─> those of x ─> bytes
//
// Four blocks a workgroup, and 128 invocations: of those of a sub-block each tries its share of the scales, and each has 8 elements of its own.
struct Params {
  n: u32,     // elements, a multiple of 256
  cols: u32,  // of a row
  first: u32, // column of element 0
  zero: u32,  // 0
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> blocks: array<u32>;
@group(0) @binding(3) var<storage, read_write> status: array<atomic<u32>>;
#if weighted
@group(0) @binding(4) var<storage, read> weights: array<f32>; // [cols]
#endif

#let threads 128
#let wide 2
#if to == q6_K
const SUB = 16u; // elements
#else
const SUB = 32u;
#endif
const OWN = 8u;          // elements of an invocation
const WAYS = SUB / OWN;  // invocations of a sub-block
const SUBS = 256u / SUB; // of a block

var<workgroup> tile: array<vec2<f32>, 32 * 33>; // x, weight
var<workgroup> sums: array<f32, 128>;
var<workgroup> fits: array<vec3<f32>, 128>;     // how good, scale, minimum
var<workgroup> parts: array<vec2<u32>, 64>;     // of each sub-block: the integers of scale and minimum
var<workgroup> heads: array<u32, 4>;            // of each block: d, dmin
var<workgroup> quants: array<u32, 256>;         // of four elements, a byte each

fn put(at: u32, bits: u32) { tile[at].x = bitcast<f32>(bits); }

#include quantize_bits
#include quantize_tile
#include quantize_k_search

// ---- bytes, as words of a block ----

#if to == q6_K
fn word_of(block: u32, i: u32) -> u32 {
  let q = block * 64;
  if (i < 32) { // nibbles: of 128 elements, those of groups 0 and 1 low, of groups 2 and 3 high
    let at = q + i / 16 * 32 + i % 16;
    return (quants[at] & 0x0f0f0f0f) | ((quants[at + 16] & 0x0f0f0f0f) << 4);
  }
  if (i < 48) { // two bits of each of four groups
    let at = q + (i - 32) / 8 * 32 + i % 8;
    var word = 0u;
    for (var g = 0u; g < 4 + p.zero; g++) { word |= ((quants[at + 8 * g] >> 4) & 0x03030303) << (2 * g); }
    return word;
  }
  if (i == 52) { return heads[block]; }
  var word = 0u;
  for (var k = 0u; k < 4 + p.zero; k++) { word |= (parts[block * SUBS + 4 * (i - 48) + k].x & 255) << (8 * k); }
  return word;
}

fn write_blocks(first: u32, n: u32, thread: u32) { // 105 halves of words each
  for (var i = thread; i < (n * 105 + 1) / 2; i += 128) {
    blocks[first / 2 * 105 + i] = half_of(2 * i) | (half_of(2 * i + 1) << 16);
  }
}

fn half_of(i: u32) -> u32 {
  let half = i % 105;
  return (word_of(i / 105, half / 2) >> (16 * (half % 2))) & 0xffff;
}
#else
#if to == q4_K
const WORDS = 36u;
#else
const WORDS = 44u;
#endif

fn word_of(block: u32, i: u32) -> u32 {
  if (i == 0) { return heads[block]; }
  if (i < 4) { // 6 bits each of scales and minima
    var word = 0u;
    for (var k = 0u; k < 4 + p.zero; k++) {
      let a = parts[block * SUBS + k];
      let b = parts[block * SUBS + 4 + k];
      let byte = select(select(a.y | ((b.y >> 4) << 6), a.x | ((b.x >> 4) << 6), i == 1), (b.x & 15) | ((b.y & 15) << 4), i == 3);
      word |= byte << (8 * k);
    }
    return word;
  }
  let q = block * 64;
#if to == q5_K
  if (i < 12) { // the fifth bit of each of eight groups
    var word = 0u;
    for (var g = 0u; g < 8 + p.zero; g++) { word |= ((quants[q + 8 * g + i - 4] >> 4) & 0x01010101) << g; }
    return word;
  }
#endif
  let k = i + 32 - WORDS;
  let at = q + k / 8 * 16 + k % 8;
  return (quants[at] & 0x0f0f0f0f) | ((quants[at + 8] & 0x0f0f0f0f) << 4);
}

fn write_blocks(first: u32, n: u32, thread: u32) {
  for (var i = thread; i < n * WORDS; i += 128) { blocks[first * WORDS + i] = word_of(i / WORDS, i % WORDS); }
}
#endif

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  read_tile(wid.x * TILE, thread);
  workgroupBarrier();
  search(wid.x * TILE, thread);
  workgroupBarrier();
  write_blocks(wid.x * 4, min(4, p.n / 256 - wid.x * 4), thread);
}

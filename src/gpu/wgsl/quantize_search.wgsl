// Rows of $from to blocks of 256 elements, q4_K, q5_K or q6_K ($to), or by importance ($weighted) of 32: q4_0, q4_1, q5_0 or q5_1. Scales and minima are
// those with the least errors that a search finds; src/quant has the layouts.
//
//   tile: x, and how much its error weighs ─> scale, minimum of each sub-block ─> as they are stored ─> integers of x ─> bytes
//           quantize_search_fit.wgsl                                                               quantize_search_bytes.wgsl
//
// 1024 elements a workgroup, and 128 invocations: of those of a sub-block each tries its share of the scales, and each has 8 elements of its own.
// Loops that end at a number + p.zero are not unrolled, which some compilers would take many seconds for.
struct Params {
  n: u32,     // elements, a multiple of the block's
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
// halves: of words, of a block. signed: integers lie around 0, and there is no minimum.
#if to == q4_K
#let halves 72
#let top 15
#elif to == q5_K
#let halves 88
#let top 31
#elif to == q6_K
#let halves 105
#let signed 32
#elif to == q4_0
#let halves 9
#let signed 8
#elif to == q4_1
#let halves 10
#let top 15
#elif to == q5_0
#let halves 11
#let signed 16
#else
#let halves 12
#let top 31
#endif
#if halves > 12
#let superblock 1
const BLOCK = 256u;
#else
const BLOCK = 32u;
#endif
#if to == q6_K
const SUB = 16u; // elements
#else
const SUB = 32u;
#endif
const OWN = 8u;            // elements of an invocation
const WAYS = SUB / OWN;    // invocations of a sub-block
const SUBS = BLOCK / SUB;  // of a block
const HALVES = ${halves}u;

var<workgroup> tile: array<vec2<f32>, 32 * 33>; // x, weight
var<workgroup> sums: array<f32, 128>;
var<workgroup> fits: array<vec3<f32>, 128>;     // how good, scale, minimum
var<workgroup> parts: array<vec2<u32>, 64>;     // of each sub-block: the integers of scale and minimum
var<workgroup> heads: array<u32, 32>;           // of each block: d and the minimum, or that of the minima, as f16
var<workgroup> quants: array<u32, 256>;         // of four elements, a byte each, from 0 on

fn put(at: u32, bits: u32) { tile[at].x = bitcast<f32>(bits); }

#include quantize_bits
#include quantize_tile
#include quantize_search_fit
#include quantize_search_bytes

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  read_tile(wid.x * TILE, thread);
  workgroupBarrier();
  search(wid.x * TILE, thread);
  workgroupBarrier();
  let words = (p.n / BLOCK * HALVES + 1) / 2; // of all blocks
  const OURS = TILE / BLOCK * HALVES / 2;
  for (var i = thread; i < OURS; i += 128) {
    if (wid.x * OURS + i < words) { blocks[wid.x * OURS + i] = half_of(2 * i) | (half_of(2 * i + 1) << 16); }
  }
}

// Products of at most 8 rows: y_i = act(prep(x) . w_iᵀ + bias_i) + residual, of up to three weights, or geglu of two; see ops.h.
//
//   workgroup = GROUPS groups of LANES threads; a group takes EACH rows of the weight, GROUPS apart; and again, p.tiles times
//
//     ask for the first weights ──> x, sums, norm into xs ──> products of each thread ──> parts ──> sums of LANES, finish, store
//
// Such a product mostly waits for memory: so the weights are on their way before x is, every workgroup makes the norm itself, and the norm's
// factor of a row, which all of it shares, is applied to the results.
//
// Keys:
//   rows           of x, 1 ... 8
//   n, type0 ...   weights; those of one dispatch have units of equal size, for xs is laid out by them
//   geglu          1: y = gelu(x . w0ᵀ) * (x . w1ᵀ)
//   norm           0, rms, layer
//   add            0; 1: x + add; 2: x + rms(add) * add_gain. Workgroup 0 stores the sum.
//   act            0, gelu
//   bias           1: where a product's bias is not NONE it is in vec
//   res            1: a residual in act; 2: in vec
//   threads, lanes, each; deep: units of a row that a thread holds at a time
//   room           vectors of xs
//   whole          units of a row, where all of x fits into xs; 0: it comes in pieces
//   heads          not 0: x is what attend_few left of so many heads, to be joined as attend_combine does it
//   sg             of layer norms: subgroups have at least this many threads; 0: no subgroups
#if sg
enable subgroups;
#endif
struct Params {
  cols: u32, x: u32, x_stride: u32,
  add: u32, add_stride: u32, add_gain: u32,
  sum: u32, sum_stride: u32,
  gain: u32, norm_bias: u32, eps: f32,
  res: u32, res_stride: u32,
  piece: u32, // units in xs, where they are not all
  tiles: u32, // times that a workgroup does its rows, with one norm
  y0: u32, y0_stride: u32, bias0: u32, out0: u32, groups0: u32, // groups: workgroups of this product and those before
  y1: u32, y1_stride: u32, bias1: u32, out1: u32, groups1: u32,
  y2: u32, y2_stride: u32, bias2: u32, out2: u32, groups2: u32,
  dim: u32, stretches: u32, stats: u32, // of heads; stats: pairs of largest score and sum, in scratch
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
#if norm || add == 2 || bias || res == 2
@group(0) @binding(2) var<storage, read> vec: array<f32>;
#endif

#if heads
@group(0) @binding(12) var<storage, read> scratch: array<vec4<f32>>;
#endif

const THREADS = ${threads}u;
const LANES = ${lanes}u;
const GROUPS = THREADS / LANES;
const ROWS = ${rows}u;
const N_SUMS = $each * $rows;
#if geglu
const N_PARTS = 2 * N_SUMS;
#else
const N_PARTS = N_SUMS;
#endif
const NONE = 0xffffffffu;

// Of a thread: of row e of the weight and row r of x.
struct Sums {
#for e $each
#for r $rows
  of${e}_$r: f32,
#endfor
#endfor
}

fn plus_dot(sum: f32, a: vec4<f32>, b: vec4<f32>) -> f32 {
  return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

// Quad k of unit u of row r: xs[(r * quads + k) * line + u], so that neighbouring threads read neighbouring vectors; lines are odd, so that those who
// write quad after quad meet all banks of the memory.
var<workgroup> xs: array<vec4<f32>, $room>;
var<workgroup> parts: array<f32, N_PARTS * THREADS>; // [sum][lane][group]

const QUADS = w0_quads;
#if whole
fn units_of_row() -> u32 { return $whole; }
fn line() -> u32 { return $whole | 1; }
#else
fn units_of_row() -> u32 { return w0_units(p.cols); }
fn line() -> u32 { return p.piece | 1; }
#endif

#include linear_few_weight w=0 type=$type0
#if n >= 2
#include linear_few_weight w=1 type=$type1
#endif
#if n >= 3
#include linear_few_weight w=2 type=$type2
#endif

#include linear_few_x

fn gelu_tanh(x: f32) -> f32 {
  // Past 10 the tanh is 1 in f32; some drivers give NaN for large arguments.
  let t = clamp(0.7978845608 * (x + 0.044715 * x * x * x), -10.0, 10.0);
  return 0.5 * x * (1.0 + tanh(t));
}
#if act == gelu
#include gelu_erf
#endif

fn put_parts(sums: Sums, first: u32, thread: u32) {
  let at = (first * LANES + thread % LANES) * GROUPS + thread / LANES;
#for e $each
#for r $rows
  parts[at + ($e * ROWS + $r) * THREADS] = sums.of${e}_$r;
#endfor
#endfor
}

#if lanes > 24
// Many parts become FOLD, in place.
const FOLD = 8u;
fn fold(thread: u32) {
  workgroupBarrier();
  for (var i = thread; i < N_PARTS * FOLD * GROUPS; i += THREADS) {
    let first = i / (FOLD * GROUPS) * LANES;
    let group = i % GROUPS;
    let own = i / GROUPS % FOLD;
    var all = 0.0;
    for (var lane = own; lane < LANES; lane += FOLD) { all += parts[(first + lane) * GROUPS + group]; }
    parts[(first + own) * GROUPS + group] = all;
  }
}
#else
const FOLD = LANES;
fn fold(thread: u32) {}
#endif

// Sum i of a group, over its threads.
fn total(i: u32, group: u32) -> f32 {
  var all = vec4<f32>();
  let first = i * LANES * GROUPS + group;
  for (var lane = 0u; lane + 3 < FOLD; lane += 4) {
    let at = first + lane * GROUPS;
    all += vec4<f32>(parts[at], parts[at + GROUPS], parts[at + 2 * GROUPS], parts[at + 3 * GROUPS]);
  }
  for (var lane = FOLD / 4 * 4; lane < FOLD; lane++) { all.x += parts[first + lane * GROUPS]; }
  return (all.x + all.y) + (all.z + all.w);
}

fn finish(value: f32, r: u32, row: u32, y: u32, y_stride: u32, bias: u32) {
  var v = value;
#if bias
  if (bias != NONE) { v += vec[bias + row]; }
#endif
#if act == gelu
  v = gelu_erf(v);
#endif
#if res == 1
  v += act[p.res + r * p.res_stride + row];
#elif res == 2
  v += vec[p.res + r * p.res_stride + row];
#endif
  act[y + r * y_stride + row] = v;
}

#if geglu
#include linear_few_product w=0
#else
#include linear_few_product w=0
#if n >= 2
#include linear_few_product w=1
#endif
#if n >= 3
#include linear_few_product w=2
#endif
#endif

@compute @workgroup_size($threads)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
#if sg && norm == layer
        @builtin(subgroup_size) subgroup_size: u32, @builtin(subgroup_invocation_id) subgroup_lane: u32,
#endif
        @builtin(local_invocation_index) thread: u32) {
#if sg && norm == layer
  sg_size = subgroup_size;
  sg_lane = subgroup_lane;
#endif
  let group = wid.x + wid.y * grid.x;
  if (group < p.groups0) {
    product0(group, thread, group == 0);
    return;
  }
#if n >= 2 && geglu != 1
  if (group < p.groups1) {
    product1(group - p.groups0, thread, false);
    return;
  }
#endif
#if n >= 3
  if (group < p.groups2) { product2(group - p.groups1, thread, false); }
#endif
}

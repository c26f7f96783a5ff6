// attend_tile by subgroup matrices: f16 16 x 16 x 16, sums in f32. The same parameters.
//
//   workgroup = 16 * BLOCKS rows, each 16 of them with ACROSS subgroups; for PLACES places, with barriers between:
//
//     subgroups, each 16 rows x PLACES / ACROSS places:    scores = q · keys
//     threads, TEAM of them a row:                         weights = exp(scores - reference)
//     subgroups, each 16 rows x DIM / ACROSS dims:         y += weights · values
//
// The reference of a row is the largest score of its first places, and of later ones when that is larger by RISE: until then weights are
// larger than 1, which f16 has room for, and y needs no new scale. For that y goes through workgroup memory, as where its rows
// lie in a matrix is not known.
//
// Keys:
//   dim, table, whole      as in attend_tile; dim is a multiple of 16 * across
//   blocks, places, across, subgroup (its size, which must not vary)
//   steps    dim / 16: matrices of a row of q
//   news     places / 16 / across: matrices of scores of a subgroup
//   olds     places / 16: matrices of weights of a row
//   outs     dim / 16 / across: matrices of y of a subgroup
//   loads    ceil(places * dim / 8 / threads): 8 elements of keys, or of values, that a thread fetches
//   eights   places / 8 / TEAM: 8 scores that a thread weighs
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
struct Params {
  n: u32,                       // queries
  n_head: u32,                  // of keys
  group: u32,                   // query heads that share one
  q: u32, q_stride: u32, y: u32, y_stride: u32,
  scale: f32,
  cap: f32,                     // 0: none
  ring: u32,
  slots: u32,
  first: u32, length: u32,      // [n] in ints; first may be NONE: 0 for all
  n_tiles: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
#if whole == 0
@group(0) @binding(3) var<storage, read> ints: array<i32>;
#endif
@group(0) @binding(10) var<storage, read> keys: array<vec4<u32>>;
@group(0) @binding(11) var<storage, read> values: array<vec4<u32>>;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

const NONE: u32 = 0xffffffff;
const LEAST: f32 = -3e38;
const RISE: f32 = 8.0;
const D8: u32 = $dim / 8;
const BLOCKS: u32 = $blocks;
const PLACES: u32 = $places;
const ACROSS: u32 = $across;
const SUBGROUP: u32 = $subgroup;
const ROWS: u32 = 16 * BLOCKS;
const THREADS: u32 = BLOCKS * ACROSS * SUBGROUP;
const TEAM: u32 = ACROSS * SUBGROUP / 16;

// Workgroup memory, in units of 16 bytes: keys or values [place], scores [row], weights [row]; before all that q [row].
const STRIDE: u32 = D8 + 1; // one more than needed, as in the others, so that rows lie in different banks
const SCORES: u32 = PLACES * STRIDE;
const SCORES_STRIDE: u32 = PLACES / 4 + 1;
const WEIGHTS: u32 = SCORES + ROWS * SCORES_STRIDE;
const WEIGHTS_STRIDE: u32 = PLACES / 8 + 1;
var<workgroup> tile: array<vec4<u32>, max(ROWS * STRIDE, WEIGHTS + ROWS * WEIGHTS_STRIDE)>;
var<workgroup> factors: array<f32, ROWS>; // to scale y by; at the end 1 / sum of weights
var<workgroup> rises: u32;                // whether one is not 1
#if whole == 0
#include attend_span
#endif

fn slot_of(i: u32) -> u32 {
#if table
  return u32(ints[p.slots + i]);
#else
  return i % p.ring;
#endif
}

fn halves(x: vec4<f32>) -> vec2<u32> {
  let c = clamp(x, vec4<f32>(-65504.0), vec4<f32>(65504.0));
  return vec2<u32>(pack2x16float(c.xy), pack2x16float(c.zw));
}

fn act4(at: u32) -> vec4<f32> { return vec4<f32>(act[at], act[at + 1], act[at + 2], act[at + 3]); }

// A row of q or y of this tile; past the end the last one.
fn row_at(start: u32, stride: u32, row: u32, kv_head: u32) -> u32 {
  let i = min(row, p.n * p.group - 1);
  return start + i / p.group * stride + (kv_head * p.group + i % p.group) * $dim;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) tid: u32,
        @builtin(subgroup_id) subgroup: u32) {
  let item = wid.x + wid.y * grid.x;
  let begin = item % p.n_tiles * ROWS;
  let kv_head = item / p.n_tiles;
  if (kv_head >= p.n_head) { return; }
  let block = subgroup / ACROSS * 16; // the first row of this subgroup
  let part = subgroup % ACROSS;
  let row = tid / TEAM;               // of this thread, when it weighs
  let member = tid % TEAM;

#if whole
  let seen = vec2<u32>(0, p.ring);
  let span = seen;
#else
  let query = min(begin + row, p.n * p.group - 1) / p.group;
  var seen = vec2<u32>(0, u32(ints[p.length + query]));
  if (p.first != NONE) { seen += vec2<u32>(u32(ints[p.first + query])); }
  let span = span_of(seen, tid);
#endif

  for (var e = tid; e < ROWS * D8; e += THREADS) {
    let at = row_at(p.q, p.q_stride, begin + e / D8, kv_head) + e % D8 * 8;
    tile[e / D8 * STRIDE + e % D8] = vec4<u32>(halves(act4(at) * p.scale), halves(act4(at + 4) * p.scale));
  }
  workgroupBarrier();
#for k $steps
  let q$k = subgroupMatrixLoad<Left, row_major>(&tile, block * STRIDE + 2 * $k, STRIDE);
#endfor
#for f $outs
  var y$f: Sum;
#endfor
  var reference = LEAST;
  var sum = 0.0; // this thread's share

#for i $loads
  let e$i = tid + $i * THREADS;
  let source$i = kv_head * D8 + e$i % D8;
  var fetched$i = vec4<u32>();
  if (e$i < PLACES * D8) { fetched$i = keys[slot_of(min(span.x + e$i / D8, span.y - 1)) * p.n_head * D8 + source$i]; }
#endfor
  for (var at = span.x; at < span.y; at += PLACES) {
    workgroupBarrier();
#for i $loads
    if (e$i < PLACES * D8) { tile[e$i / D8 * STRIDE + e$i % D8] = fetched$i; }
#endfor
    workgroupBarrier();
#for i $loads
    if (e$i < PLACES * D8) { fetched$i = values[slot_of(min(at + e$i / D8, span.y - 1)) * p.n_head * D8 + source$i]; }
#endfor
#for j $news
    var score$j = Sum();
    let place$j = 16 * (part * $news + $j);
#for k $steps
    score$j = subgroupMatrixMultiplyAccumulate(q$k, subgroupMatrixLoad<Right, col_major>(&tile, place$j * STRIDE + 2 * $k, STRIDE), score$j);
#endfor
    subgroupMatrixStore<row_major>(&tile, SCORES + block * SCORES_STRIDE + place$j / 4, score$j, SCORES_STRIDE);
#endfor
    workgroupBarrier();

#for i $loads
    if (e$i < PLACES * D8) { tile[e$i / D8 * STRIDE + e$i % D8] = fetched$i; }
#endfor
    // Scores 8 * column to 8 * column + 7 of the row.
    let ends = vec2<i32>(seen) - vec2<i32>(i32(at));
    var most = LEAST;
#for i $eights
    let column$i = member + TEAM * $i;
    var a$i = bitcast<vec4<f32>>(tile[SCORES + row * SCORES_STRIDE + 2 * column$i]);
    var b$i = bitcast<vec4<f32>>(tile[SCORES + row * SCORES_STRIDE + 2 * column$i + 1]);
    if (p.cap > 0) {
      a$i = p.cap * tanh(clamp(a$i / p.cap, vec4<f32>(-10.0), vec4<f32>(10.0)));
      b$i = p.cap * tanh(clamp(b$i / p.cap, vec4<f32>(-10.0), vec4<f32>(10.0)));
    }
    let four$i = vec4<i32>(i32(8 * column$i)) + vec4<i32>(0, 1, 2, 3);
    let a_seen$i = (four$i >= vec4<i32>(ends.x)) & (four$i < vec4<i32>(ends.y));
    let b_seen$i = (four$i + 4 >= vec4<i32>(ends.x)) & (four$i + 4 < vec4<i32>(ends.y));
    a$i = select(vec4<f32>(LEAST), a$i, a_seen$i);
    b$i = select(vec4<f32>(LEAST), b$i, b_seen$i);
    let eight$i = max(a$i, b$i);
    most = max(most, max(max(eight$i.x, eight$i.y), max(eight$i.z, eight$i.w)));
#endfor
    for (var d = 1u; d < TEAM; d *= 2) { most = max(most, subgroupShuffleXor(most, d)); }
    var factor = 1.0;
    if (most > reference + RISE) {
      factor = exp(reference - most);
      if (reference > LEAST) { rises = 1; }
      reference = most;
    }
    sum *= factor;
#for i $eights
    a$i = select(vec4<f32>(), exp(a$i - reference), a_seen$i);
    b$i = select(vec4<f32>(), exp(b$i - reference), b_seen$i);
    sum += dot(a$i + b$i, vec4<f32>(1.0));
    tile[WEIGHTS + row * WEIGHTS_STRIDE + column$i] = vec4<u32>(halves(a$i), halves(b$i));
#endfor
    if (member == 0) { factors[row] = factor; }
    let rescale = workgroupUniformLoad(&rises);
    if (rescale != 0) {
      rises = 0;
#for f $outs
      subgroupMatrixStore<row_major>(&tile, SCORES + block * SCORES_STRIDE + part * (PLACES / 4 / ACROSS), y$f, SCORES_STRIDE);
      workgroupBarrier();
      for (var e = tid % SUBGROUP; e < 64; e += SUBGROUP) {
        let to = SCORES + (block + e / 4) * SCORES_STRIDE + part * (PLACES / 4 / ACROSS) + e % 4;
        tile[to] = bitcast<vec4<u32>>(bitcast<vec4<f32>>(tile[to]) * factors[block + e / 4]);
      }
      workgroupBarrier();
      y$f = subgroupMatrixLoad<Sum, row_major>(&tile, SCORES + block * SCORES_STRIDE + part * (PLACES / 4 / ACROSS), SCORES_STRIDE);
      workgroupBarrier();
#endfor
    }
#for i $loads
    if (e$i < PLACES * D8) { fetched$i = keys[slot_of(min(at + PLACES + e$i / D8, span.y - 1)) * p.n_head * D8 + source$i]; }
#endfor
#for j $olds
    let weights$j = subgroupMatrixLoad<Left, row_major>(&tile, WEIGHTS + block * WEIGHTS_STRIDE + 2 * $j, WEIGHTS_STRIDE);
#for f $outs
    y$f = subgroupMatrixMultiplyAccumulate(
      weights$j, subgroupMatrixLoad<Right, row_major>(&tile, 16 * $j * STRIDE + 2 * (part * $outs + $f), STRIDE), y$f);
#endfor
#endfor
  }

  for (var d = 1u; d < TEAM; d *= 2) { sum += subgroupShuffleXor(sum, d); }
  if (member == 0) { factors[row] = 1.0 / sum; }
#for f $outs
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&tile, SCORES + block * SCORES_STRIDE + part * (PLACES / 4 / ACROSS), y$f, SCORES_STRIDE);
  workgroupBarrier();
  for (var e = tid % SUBGROUP; e < 64; e += SUBGROUP) {
    let own = block + e / 4;
    if (begin + own < p.n * p.group) {
      let out = factors[own] * bitcast<vec4<f32>>(tile[SCORES + own * SCORES_STRIDE + part * (PLACES / 4 / ACROSS) + e % 4]);
      let to = row_at(p.y, p.y_stride, begin + own, kv_head) + 16 * (part * $outs + $f) + e % 4 * 4;
#for i 4
      act[to + $i] = out[$i];
#endfor
    }
  }
#endfor
}

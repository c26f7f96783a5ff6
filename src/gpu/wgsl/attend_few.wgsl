// Attention of few queries over many places: y = softmax(cap(q kᵀ * scale)) v by heads.
//
//   workgroup = ROWS rows (a query's head each) that share a head of keys  x  one stretch of the places
//
//   for a block of BLOCK places:   LANES threads a place    scores = q · keys
//                                  32 threads a row         weights = exp(scores - largest)
//                                  D4 threads a place       y = y * shrink + weights · values
//
// The keys and values of a block are asked for together, and those of the first one before q is ready: such a dispatch mostly waits for memory.
// Loops over a thread's own values are written out: what is indexed by a variable does not stay in registers.
// With one stretch y is finished here; else each leaves y, its largest score and its sum of weights in `scratch`, for attend_combine.
//
// Grid: stretches, n_head * chunks, sequences. Keys:
//   d8      head_dim / 8
//   rows    1 ... 8, and at most 4 for head_dim > 128
//   lanes   threads a place: a power of two, 2 ... 32
//   units, each, scores    what a thread takes of a block: 8 elements of a key, 4 elements of a value, scores; as below
//   pairs   of rows
//   shared  1: the rows may be of several queries
//   table   1: place i is ints[p.slots + seq * p.slots_stride + i]; 2: the same of chosen; 0: i % p.ring
//   fresh   1: k and v of each query's newest place are still in act, and this dispatch stores them. No other query sees that place.
//   turn    1: q and the fresh k are rotated, after an RMS norm of the head where there is a gain
//   part    1: several stretches
//   sg      subgroups have at least this many threads, in order of their index: shuffles instead of workgroup memory; 0: no subgroups
#if sg
enable subgroups;
#endif
struct Params {
  q: u32, q_stride: u32, k: u32, k_stride: u32, v: u32, v_stride: u32, y: u32, y_stride: u32,
  n_head: u32,                    // of keys
  group: u32,                     // query heads that share one
  together: u32,                  // queries that share a row of the table: a sequence
  chunks: u32,                    // workgroups that share out the rows of a sequence
  stretch: u32,                   // places
  ring: u32,
  slots: u32, slots_stride: u32,  // of the table
  turns: u32, turns_stride: u32,  // cosines and sines in act, by query
  q_gain: u32, k_gain: u32,       // in vectors, or NONE
  eps: f32,
  scale: f32,
  cap: f32,                       // 0: none
  stats: u32,                     // in scratch, after all the y: pairs of largest score and sum
  queries: array<vec4<u32>, 8>,   // query i sees [x, y) of its row of the table; z: the slot of its newest place, y - 1
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
#if turn
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
#endif
#if table == 1
@group(0) @binding(3) var<storage, read> ints: array<i32>;
#elif table == 2
@group(0) @binding(13) var<storage, read> chosen: array<u32>;
#endif
#if fresh
@group(0) @binding(10) var<storage, read_write> keys: array<vec4<u32>>;
@group(0) @binding(11) var<storage, read_write> values: array<vec2<u32>>;
#else
@group(0) @binding(10) var<storage, read> keys: array<vec4<u32>>;
@group(0) @binding(11) var<storage, read> values: array<vec2<u32>>;
#endif
#if part
@group(0) @binding(12) var<storage, read_write> scratch: array<f32>;
#endif

const NONE: u32 = 0xffffffff;
const LEAST: f32 = -3e38;
const D8: u32 = $d8;
const D4: u32 = 2 * D8;
const DIM: u32 = 8 * D8;
const ROWS: u32 = $rows;
const LANES: u32 = $lanes;
const BLOCK: u32 = 256 / LANES;      // units = ceil(D8 / LANES), scores = ceil(BLOCK / 32)
const GROUPS: u32 = 256 / D4;        // values that the workgroup takes at a time: each = ceil(BLOCK / GROUPS)
const TURNED: u32 = ROWS + $fresh;   // rows to rotate: those of q, and the fresh k
const WIDE: u32 = max((ROWS + 3) / 4, min(ROWS, 2));

var<workgroup> queries: array<vec4<f32>, ROWS * D4>;
var<workgroup> wide: array<vec4<f32>, 256 * WIDE>;   // parts of scores, [row / 4][thread]; at the end parts of y, [row % 2][thread]
var<workgroup> weights: array<f32, BLOCK * ROWS>;
var<workgroup> narrow: array<f32, 256>;
var<workgroup> shrink: array<f32, 8>;                // by row; at the end its sum of weights
#if fresh
var<workgroup> new_key: array<vec2<u32>, D4>;
var<workgroup> new_value: array<vec2<u32>, D4>;
#endif

#include row_reduce
#include halves
#if turn
fn vector4(at: u32) -> vec4<f32> { return vec4<f32>(vectors[at], vectors[at + 1], vectors[at + 2], vectors[at + 3]); }
#endif

struct Row { query: u32, head: u32, real: bool }

fn row_of(row: u32, seq: u32, kv_head: u32, chunk: u32) -> Row {
  let i = chunk * ROWS + row;
  let at = min(i, p.together * p.group - 1);
#if shared
  return Row(seq * p.together + at / p.group, kv_head * p.group + at % p.group, row < ROWS && i == at);
#else
  return Row(seq, kv_head * p.group + at, row < ROWS && i == at);
#endif
}

// Place i of the stretch. origin: its first place, in the table or in the ring.
fn slot_of(origin: u32, i: u32) -> u32 {
#if table == 1
  return u32(ints[origin + i]);
#elif table == 2
  return chosen[origin + i];
#else
  return select(origin + i, origin + i - p.ring, origin + i >= p.ring);
#endif
}

// q of this workgroup's rows, and the fresh k and v.
fn prepare(seq: u32, kv_head: u32, chunk: u32, tid: u32) {
  for (var begin = 0u; begin < TURNED; begin += 8) {
    let row = begin + tid / 32;
    let i = row_of(row, seq, kv_head, chunk);
    var at = p.q + i.query * p.q_stride + i.head * DIM;
#if fresh
    if (row == ROWS) { at = p.k + seq * p.k_stride + kv_head * DIM; }
#endif
    // Elements [4 * lane, +4) of both halves of the head: what turns together.
    let lane = tid % 32;
    let works = row < TURNED && lane < D8;
    var low = vec4<f32>();
    var high = vec4<f32>();
    if (works) {
      low = act4(at + 4 * lane);
      high = act4(at + DIM / 2 + 4 * lane);
    }
#if turn
    let turn_at = p.turns + i.query * p.turns_stride + 4 * lane;
    var cosine = vec4<f32>();
    var sine = vec4<f32>();
    if (works) {
      cosine = act4(turn_at);
      sine = act4(turn_at + DIM / 2);
    }
    if (p.q_gain != NONE || p.k_gain != NONE) {
      let gain = select(p.q_gain, p.k_gain, row == ROWS);
      var gain_low = vec4<f32>(1.0);
      var gain_high = vec4<f32>(1.0);
      if (works && gain != NONE) {
        gain_low = vector4(gain + 4 * lane);
        gain_high = vector4(gain + DIM / 2 + 4 * lane);
      }
      let squares = row_sum(dot(low, low) + dot(high, high), tid);
      let factor = select(1.0, inverseSqrt(squares / f32(DIM) + p.eps), gain != NONE);
      low *= factor * gain_low;
      high *= factor * gain_high;
    }
    let turned = low * cosine - high * sine;
    high = high * cosine + low * sine;
    low = turned;
#endif
    if (works) {
#if fresh
      if (row == ROWS) {
        new_key[lane] = halves(low);
        new_key[D8 + lane] = halves(high);
      }
#endif
      if (row < ROWS) {
        queries[row * D4 + lane] = low;
        queries[row * D4 + D8 + lane] = high;
      }
    }
  }
#if fresh
  if (tid < D4) { new_value[tid] = halves(act4(p.v + seq * p.v_stride + kv_head * DIM + 4 * tid)); }
#endif
  workgroupBarrier();
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
  let stretch = wid.x;
  let chunk = wid.y % p.chunks;
  let kv_head = wid.y / p.chunks;
  let seq = wid.z;

  // What the sequence sees, and this workgroup's stretch of it.
  var first = p.queries[seq * p.together].x;
  var last = p.queries[seq * p.together].y;
#if shared
  for (var i = 1u; i < p.together; i++) {
    first = min(first, p.queries[seq * p.together + i].x);
    last = max(last, p.queries[seq * p.together + i].y);
  }
#endif
  let begin = first + stretch * p.stretch;
  let end = min(begin + p.stretch, last);
#if fresh
  let held = min(end, last - 1); // from here on keys and values are not in memory yet
#else
  let held = end;
#endif
#if table
  let origin = p.slots + seq * p.slots_stride + begin;
#else
  let origin = begin % p.ring;
#endif

  let row = tid / 32;
  let mine = row_of(row, seq, kv_head, chunk);
  let sees = p.queries[mine.query].xy;

  let key_place = tid / LANES;
  let key_unit = tid % LANES;
  let group = tid / D4;
  let column = tid % D4;

#for r $rows
  var y$r = vec4<f32>();
#endfor
  var top = LEAST; // of row `row`, as `sum`, which is this thread's share
  var sum = 0.0;

  for (var at = begin; at < end; at += BLOCK) {
#for i $units
    var key$i = vec4<u32>();
#endfor
    if (at + key_place < held) {
      let base = (slot_of(origin, at - begin + key_place) * p.n_head + kv_head) * D8;
#for i $units
      if (key_unit + $i * LANES < D8) { key$i = keys[base + key_unit + $i * LANES]; }
#endfor
    }
#for i $each
    var value$i = vec2<u32>();
    let place$i = group + $i * GROUPS;
    if ((group < GROUPS) & (place$i < BLOCK) & (at + place$i < held)) {
      value$i = values[(slot_of(origin, at - begin + place$i) * p.n_head + kv_head) * D4 + column];
    }
#endfor
    if (at == begin) { prepare(seq, kv_head, chunk, tid); }
#if fresh
    if (at + key_place == last - 1) {
#for i $units
      let new$i = 2 * min(key_unit + $i * LANES, D8 - 1);
      key$i = vec4<u32>(new_key[new$i], new_key[new$i + 1]);
#endfor
    }
#for i $each
    if (at + place$i == last - 1) { value$i = new_value[column]; }
#endfor
#endif

#for r $rows
    var score$r = 0.0;
#endfor
#for i $units
    if (key_unit + $i * LANES < D8) {
      let low = floats(key$i.xy);
      let high = floats(key$i.zw);
      let q = 2 * (key_unit + $i * LANES);
#for r $rows
      score$r += dot(low, queries[$r * D4 + q]) + dot(high, queries[$r * D4 + q + 1]);
#endfor
    }
#endfor
#if sg >= lanes
    for (var d = 1u; d < LANES; d *= 2) {
#for r $rows
      score$r += subgroupShuffleXor(score$r, d);
#endfor
    }
    if (key_unit == 0) {
#for r $rows
      weights[key_place * ROWS + $r] = score$r;
#endfor
    }
#else
    var four = vec4<f32>();
#for r $rows
    four[$r % 4] = score$r;
    if ($r % 4 == 3 || $r + 1 == ROWS) { wide[$r / 4 * 256 + tid] = four; }
#endfor
#endif
    workgroupBarrier();

    let seen_from = select(0u, sees.x - at, sees.x > at);
    let seen_to = select(0u, min(sees.y, end) - at, sees.y > at);
    var most = top;
#for i $scores
    var weight$i = LEAST;
    let spot$i = tid % 32 + 32 * $i;
    let visible$i = (row < ROWS) & (spot$i < BLOCK) & (spot$i >= seen_from) & (spot$i < seen_to);
    if (visible$i) {
#if sg >= lanes
      weight$i = weights[spot$i * ROWS + row];
#else
      weight$i = 0.0;
      for (var j = 0u; j < LANES; j++) { weight$i += wide[row / 4 * 256 + spot$i * LANES + j][row % 4]; }
#endif
      weight$i *= p.scale;
      if (p.cap > 0) { weight$i = p.cap * tanh(clamp(weight$i / p.cap, -10.0, 10.0)); }
    }
    most = max(most, weight$i);
#endfor
    most = row_max(most, tid);
    let old = exp(top - most);
    sum *= old;
    top = most;
    if (row < ROWS) {
#for i $scores
      weight$i = select(0.0, exp(weight$i - top), visible$i);
      if (spot$i < BLOCK) { weights[spot$i * ROWS + row] = weight$i; }
      sum += weight$i;
#endfor
      if (tid % 32 == 0) { shrink[row] = old; }
    }
    workgroupBarrier();

#for r $rows
    y$r *= shrink[$r];
#endfor
#for i $each
    if ((group < GROUPS) & (place$i < BLOCK)) {
      let v = floats(value$i);
#for r $rows
      y$r += weights[place$i * ROWS + $r] * v;
#endfor
    }
#endfor
    workgroupBarrier();
  }

  sum = row_sum(sum, tid);
  if (row < ROWS && tid % 32 == 0) { shrink[row] = sum; }
#if part
  if (mine.real && tid % 32 == 0) {
    let at = p.stats + 2 * ((mine.query * p.n_head * p.group + mine.head) * grid.x + stretch);
    scratch[at] = top;
    scratch[at + 1] = sum;
  }
#endif
  // Rows 2 * h and 2 * h + 1.
  let half = tid / D4;
#for h $pairs
#for r $rows
  if ($r / 2 == $h) { wide[$r % 2 * 256 + tid] = y$r; }
#endfor
  workgroupBarrier();
  let out$h = row_of(2 * $h + half, seq, kv_head, chunk);
  if (half < 2 && out$h.real) {
    var whole = vec4<f32>();
    for (var i = 0u; i < GROUPS; i++) { whole += wide[half * 256 + i * D4 + column]; }
#if part
    let at = ((out$h.query * p.n_head * p.group + out$h.head) * grid.x + stretch) * DIM + 4 * column;
#for i 4
    scratch[at + $i] = whole[$i];
#endfor
#else
    whole /= shrink[2 * $h + half];
    let at = p.y + out$h.query * p.y_stride + out$h.head * DIM + 4 * column;
#for i 4
    act[at + $i] = whole[$i];
#endfor
#endif
  }
  workgroupBarrier();
#endfor

#if fresh
  if (chunk == 0 && end == last && begin < end && tid < D4) {
    let at = p.queries[seq].z * p.n_head + kv_head;
    values[at * D4 + tid] = new_value[tid];
    if (tid < D8) { keys[at * D8 + tid] = vec4<u32>(new_key[2 * tid], new_key[2 * tid + 1]); }
  }
#endif
}

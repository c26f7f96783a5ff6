// Attention of many queries: y = softmax(cap(q kᵀ * scale)) v by heads, with the largest score and the sum of weights of each row so far.
//
//   workgroup = TILE rows (a query's head each) that share a head of keys; for each 64 places:
//
//     16 x 16 threads, each R rows x 4 places:        scores   += left [16 dims][rows]   · right [16 dims][places]     for all dims
//                                                     weights   = exp(scores - largest)
//     the same threads, each R rows x 4 dims x parts: y         = y * shrink + left [16 places][rows] · right [16 places][dims]
//
// Loops over a thread's own values are written out: what is indexed by a variable does not stay in registers.
//
// Keys:
//   dim     head_dim, a multiple of 8, at most 256
//   r       rows of a thread, 4 or 2: TILE is 16 times that
//   parts   ceil(dim / 64)
//   table   1: place i is ints[p.slots + i]; 0: i % p.ring
//   rolled  1: loops stay loops, for drivers of CPUs, which take long to compile what they unroll
//   whole   1: every query sees all the p.ring places, whatever p.first and p.length
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
@group(0) @binding(10) var<storage, read> keys: array<u32>;
@group(0) @binding(11) var<storage, read> values: array<vec2<u32>>;

const NONE: u32 = 0xffffffff;
const LEAST: f32 = -3e38;
const DIM: u32 = $dim;
const R: u32 = $r;
const TILE: u32 = 16 * R;
const STRIDE: u32 = 17; // of `left` and `right`: not 16, so that threads of neighbouring rows meet different banks

var<workgroup> left: array<vec$r<f32>, 16 * STRIDE>;
var<workgroup> right: array<vec4<f32>, 16 * STRIDE>;

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

fn floats(x: vec2<u32>) -> vec4<f32> { return vec4<f32>(unpack2x16float(x.x), unpack2x16float(x.y)); }

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
  let item = wid.x + wid.y * grid.x;
  let tile = item % p.n_tiles;
  let kv_head = item / p.n_tiles;
  if (kv_head >= p.n_head) { return; }
  let n_row = p.n * p.group;
#if rolled
  let SIXTEEN = 16 * min(p.n, 1); // 16, which compilers do not know
#else
  const SIXTEEN = 16u;
#endif
  let across = tid % 16; // places, then dims
  let down = tid / 16;   // rows

  // Rows of this thread; those past the end repeat the last one.
#for i $r
  let row$i = tile * TILE + down * R + $i;
  let query$i = min(row$i, n_row - 1) / p.group;
  let row_at$i = p.q + query$i * p.q_stride + (kv_head * p.group + min(row$i, n_row - 1) % p.group) * DIM; // in act
#if whole
  let seen$i = vec2<u32>(0, p.ring);
#else
  var seen$i = vec2<u32>(0, u32(ints[p.length + query$i]));
  if (p.first != NONE) { seen$i += vec2<u32>(u32(ints[p.first + query$i])); }
#endif
#endfor
#if whole
  let first = 0u;
  let end = p.ring;
#else
  var seen = seen0;
#for i $r
  seen = vec2<u32>(min(seen.x, seen$i.x), max(seen.y, seen$i.y));
#endfor
  let both = span_of(seen, tid);
  let first = both.x;
  let end = both.y;
#endif

#for i $r
#for part $parts
  var y${i}_$part = vec4<f32>();
#endfor
#endfor
  var top = vec$r<f32>(LEAST);
  var sum = vec$r<f32>(); // this thread's share

  for (var at = first; at < end; at += 64) {
    // Where the keys begin that this thread fetches; later places repeat the last one.
#for i 4
    let key_at$i = (slot_of(min(at + down * 4 + $i, end - 1)) * p.n_head + kv_head) * (DIM / 2);
#endfor
#for i $r
    var scores$i = vec4<f32>();
#endfor
    for (var d = 0u; d < DIM; d += 16) {
      workgroupBarrier();
      // One dim of R rows of q and of 4 keys.
      let mine = d + across;
      var l = vec$r<f32>();
      var k = vec4<f32>();
      if (mine < DIM) {
#for i $r
        l[$i] = act[row_at$i + mine];
#endfor
#for i 4
        k[$i] = unpack2x16float(keys[key_at$i + mine / 2])[mine % 2];
#endfor
      }
      left[across * STRIDE + down] = l;
      right[across * STRIDE + down] = k;
      workgroupBarrier();
      for (var j = 0u; j < SIXTEEN; j++) {
        let a = left[j * STRIDE + down];
        let b = right[j * STRIDE + across];
#for i $r
        scores$i += a[$i] * b;
#endfor
      }
    }

    // The largest score of each row over all its 16 threads.
    let place = vec4<u32>(at + across * 4) + vec4<u32>(0, 1, 2, 3);
    var most: vec$r<f32>;
#for i $r
    scores$i *= p.scale;
    if (p.cap > 0) { scores$i = p.cap * tanh(clamp(scores$i / p.cap, vec4<f32>(-10.0), vec4<f32>(10.0))); }
    let visible$i = (place >= vec4<u32>(seen$i.x)) & (place < vec4<u32>(seen$i.y));
    scores$i = select(vec4<f32>(LEAST), scores$i, visible$i);
    most[$i] = max(max(scores$i.x, scores$i.y), max(scores$i.z, scores$i.w));
#endfor
    workgroupBarrier();
    left[across * STRIDE + down] = most;
    workgroupBarrier();
    for (var j = 0u; j < SIXTEEN; j++) { most = max(most, left[j * STRIDE + down]); }
    most = max(most, top);
    let shrink = exp(top - most);
    top = most;
    sum *= shrink;
#for i $r
    // What is not visible has no weight, even where a row has seen nothing yet.
    scores$i = select(vec4<f32>(), exp(scores$i - most[$i]), visible$i);
    sum[$i] += scores$i.x + scores$i.y + scores$i.z + scores$i.w;
#for part $parts
    y${i}_$part *= shrink[$i];
#endfor
#endfor

    for (var c = 0u; c < 4; c++) {
      // Places [16 * c, +16) of these.
      if (at + 16 * c >= end) { break; }
      let mine = at + 16 * c + down;
      let value_at = (slot_of(min(mine, end - 1)) * p.n_head + kv_head) * (DIM / 4) + across;
#for part $parts
      var v$part = vec4<f32>();
      if ((16 * $part + across < DIM / 4) & (mine < end)) { v$part = floats(values[value_at + 16 * $part]); }
#endfor
      workgroupBarrier();
      if (across / 4 == c) {
#for j 4
        var column$j: vec$r<f32>;
#for i $r
        column$j[$i] = scores$i[$j];
#endfor
        left[(across % 4 * 4 + $j) * STRIDE + down] = column$j;
#endfor
      }
#for part $parts
#if part > 0
      workgroupBarrier();
#endif
      right[down * STRIDE + across] = v$part;
      workgroupBarrier();
      for (var j = 0u; j < SIXTEEN; j++) {
        let a = left[j * STRIDE + down];
        let b = right[j * STRIDE + across];
#for i $r
        y${i}_$part += a[$i] * b;
#endfor
      }
#endfor
    }
  }

  workgroupBarrier();
  left[across * STRIDE + down] = sum;
  workgroupBarrier();
  sum = vec$r<f32>();
  for (var j = 0u; j < SIXTEEN; j++) { sum += left[j * STRIDE + down]; }
#for i $r
  if (row$i < n_row) {
    let to = p.y + query$i * p.y_stride + (kv_head * p.group + row$i % p.group) * DIM + across * 4;
#for part $parts
    if (16 * $part + across < DIM / 4) {
      let out = y${i}_$part / sum[$i];
#for j 4
      act[to + 64 * $part + $j] = out[$j];
#endfor
    }
#endfor
  }
#endfor
}

// Attention of many queries: y = softmax(cap(q kᵀ * scale)) v by heads, with the largest score and the sum of weights of each row so far.
//
//   workgroup = TILE rows (a query's head each) that share a head of keys; for each 64 places:
//
//     16 x 16 threads, each R rows x 4 places:        scores   += left [16 dims][rows]   · right [16 dims][places]     for all dims
//                                                     weights   = exp(scores - largest)
//     the same threads, each R rows x 4 dims x PARTS: y         = y * shrink + left [16 places][rows] · right [16 places][dims]
//
// Keys:
//   dim     head_dim, a multiple of 8, at most 256
//   r       rows of a thread, 4 or 2: TILE is 16 times that
//   table   1: place i is ints[p.slots + i]; 0: i % p.ring
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
const PARTS: u32 = (DIM + 63) / 64;
const STRIDE: u32 = 17; // of `left` and `right`: not 16, so that threads of neighbouring rows meet different banks

var<workgroup> left: array<vec$r<f32>, 16 * STRIDE>;
var<workgroup> right: array<vec4<f32>, 16 * STRIDE>;

#if whole == 0
// What the rows of the tile see: the least first and the greatest end.
var<workgroup> least: atomic<u32>;
var<workgroup> greatest: atomic<u32>;
var<workgroup> span: vec2<u32>;
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
  let across = tid % 16; // places, then dims
  let down = tid / 16;   // rows

  // Rows of this thread; those past the end repeat the last one.
  var row_at: array<u32, R>; // of q in act
  var seen: array<vec2<u32>, R>;
  for (var i = 0u; i < R; i++) {
    let row = min(tile * TILE + down * R + i, n_row - 1);
    row_at[i] = p.q + row / p.group * p.q_stride + (kv_head * p.group + row % p.group) * DIM;
#if whole
    seen[i] = vec2<u32>(0, p.ring);
#else
    var start = 0u;
    if (p.first != NONE) { start = u32(ints[p.first + row / p.group]); }
    seen[i] = vec2<u32>(start, start + u32(ints[p.length + row / p.group]));
#endif
  }
#if whole
  let first = 0u;
  let end = p.ring;
#else
  if (tid == 0) { atomicStore(&least, NONE); }
  workgroupBarrier();
  if (across == 0) {
    for (var i = 0u; i < R; i++) {
      atomicMin(&least, seen[i].x);
      atomicMax(&greatest, seen[i].y);
    }
  }
  workgroupBarrier();
  if (tid == 0) { span = vec2<u32>(atomicLoad(&least), atomicLoad(&greatest)); }
  let both = workgroupUniformLoad(&span);
  let first = both.x;
  let end = both.y;
#endif

  var y = array<vec4<f32>, R * PARTS>();
  var top = array<f32, R>();
  var sum = array<f32, R>(); // this thread's share
  for (var i = 0u; i < R; i++) { top[i] = LEAST; }

  for (var at = first; at < end; at += 64) {
    // Where the keys begin that this thread fetches; later places repeat the last one.
    var key_at: array<u32, 4>;
    for (var i = 0u; i < 4; i++) {
      key_at[i] = (slot_of(min(at + down * 4 + i, end - 1)) * p.n_head + kv_head) * (DIM / 2);
    }
    var scores = array<vec4<f32>, R>();
    for (var d = 0u; d < DIM; d += 16) {
      workgroupBarrier();
      // One dim of R rows of q and of 4 keys.
      let mine = d + across;
      var l = vec$r<f32>();
      var k = vec4<f32>();
      if (mine < DIM) {
        for (var i = 0u; i < R; i++) { l[i] = act[row_at[i] + mine]; }
        for (var i = 0u; i < 4; i++) { k[i] = unpack2x16float(keys[key_at[i] + mine / 2])[mine % 2]; }
      }
      left[across * STRIDE + down] = l;
      right[across * STRIDE + down] = k;
      workgroupBarrier();
      for (var j = 0u; j < 16; j++) {
        let a = left[j * STRIDE + down];
        let b = right[j * STRIDE + across];
        for (var i = 0u; i < R; i++) { scores[i] += a[i] * b; }
      }
    }

    // The largest score of each row over all its 16 threads.
    var most: vec$r<f32>;
    for (var i = 0u; i < R; i++) {
      var score = scores[i] * p.scale;
      if (p.cap > 0) { score = p.cap * tanh(clamp(score / p.cap, vec4<f32>(-10.0), vec4<f32>(10.0))); }
      let place = vec4<u32>(at + across * 4) + vec4<u32>(0, 1, 2, 3);
      let visible = (place >= vec4<u32>(seen[i].x)) & (place < vec4<u32>(seen[i].y));
      scores[i] = select(vec4<f32>(LEAST), score, visible);
      most[i] = max(max(scores[i].x, scores[i].y), max(scores[i].z, scores[i].w));
    }
    workgroupBarrier();
    left[across * STRIDE + down] = most;
    workgroupBarrier();
    for (var j = 0u; j < 16; j++) { most = max(most, left[j * STRIDE + down]); }
    for (var i = 0u; i < R; i++) {
      let largest = max(top[i], most[i]);
      let shrink = exp(top[i] - largest);
      // What is not visible has no weight, even where a row has seen nothing yet.
      let weights = select(exp(scores[i] - largest), vec4<f32>(), scores[i] == vec4<f32>(LEAST));
      top[i] = largest;
      sum[i] = sum[i] * shrink + weights.x + weights.y + weights.z + weights.w;
      scores[i] = weights;
      for (var part = 0u; part < PARTS; part++) { y[i * PARTS + part] *= shrink; }
    }

    for (var c = 0u; c < 4; c++) {
      // Places [16 * c, +16) of these.
      if (at + 16 * c >= end) { break; }
      let place = at + 16 * c + down;
      let value_at = (slot_of(min(place, end - 1)) * p.n_head + kv_head) * (DIM / 4);
      for (var part = 0u; part < PARTS; part++) {
        workgroupBarrier();
        if (part == 0 && across / 4 == c) {
          for (var j = 0u; j < 4; j++) {
            var l: vec$r<f32>;
            for (var i = 0u; i < R; i++) { l[i] = scores[i][j]; }
            left[(across % 4 * 4 + j) * STRIDE + down] = l;
          }
        }
        let column = part * 16 + across;
        var v = vec4<f32>();
        if (column < DIM / 4 && place < end) { v = floats(values[value_at + column]); }
        right[down * STRIDE + across] = v;
        workgroupBarrier();
        for (var j = 0u; j < 16; j++) {
          let a = left[j * STRIDE + down];
          let b = right[j * STRIDE + across];
          for (var i = 0u; i < R; i++) { y[i * PARTS + part] += a[i] * b; }
        }
      }
    }
  }

  var total: vec$r<f32>;
  for (var i = 0u; i < R; i++) { total[i] = sum[i]; }
  workgroupBarrier();
  left[across * STRIDE + down] = total;
  workgroupBarrier();
  total = vec$r<f32>();
  for (var j = 0u; j < 16; j++) { total += left[j * STRIDE + down]; }
  for (var i = 0u; i < R; i++) {
    let row = tile * TILE + down * R + i;
    if (row < n_row) {
      let to = p.y + row / p.group * p.y_stride + (kv_head * p.group + row % p.group) * DIM;
      for (var part = 0u; part < PARTS; part++) {
        let column = part * 16 + across;
        if (column < DIM / 4) {
          let out = y[i * PARTS + part] / total[i];
          for (var j = 0u; j < 4; j++) { act[to + column * 4 + j] = out[j]; }
        }
      }
    }
  }
}
